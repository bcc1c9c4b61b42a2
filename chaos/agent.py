"""`python -m chaos.agent`: the real agent on a host whose clock is wrong by CHAOS_CLOCK_S seconds.

Owns the shift, which must be made before the agent is imported. Started by the stack in the place of `ivr_agent`.
"""

import os
import time
from collections.abc import Callable
from typing import Final

CLOCK: Final = "CHAOS_CLOCK_S"


def shifted(clock: Callable[[], float], by_s: float) -> Callable[[], float]:
    """Return the clock, wrong by so many seconds."""
    return lambda: clock() + by_s


def main() -> None:
    """Shift the clock, then run the agent."""
    time.time = shifted(time.time, float(os.environ[CLOCK]))
    from chaos import sabotage  # noqa: PLC0415  # the agent's modules must find the shifted clock
    from ivr_agent import __main__ as program  # noqa: PLC0415  # likewise

    sabotage.agent()
    program.main()


if __name__ == "__main__":
    main()
