"""Keeps a bridge connected to its engine: connects, serves until the connection is lost, pauses, connects again.

Owns the pauses, and that each reason is told once and not with every attempt. Called by bridges.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, Protocol

from ivr_engine.telling import told

log = logging.getLogger(__name__)

FIRST_S: Final = 0.25
"""The pause after a connection that had served: an engine whose event module restarts is back at once."""

LONGEST_S: Final = 5.0
"""The longest pause, as far apart as the agent's probes."""

JITTER: Final = 0.3
"""How much shorter a pause may be, as a part of it: many bridges must not come at once."""

REFUSED_S: Final = 15.0
"""The longest pause after a refused login: programs that watch for guessed passwords would shut the bridge out."""


class LostError(Exception):
    """The connection to the engine is lost, or was refused; says why, without quoting the engine's data."""


class LoginError(LostError):
    """The engine does not let the bridge in."""


class Served(Protocol):
    """What a connection calls once it is logged in and resynchronised."""

    def __call__(self) -> None:
        """Note that the connection serves."""
        ...


async def stay_connected(
    connection: Callable[[Served], Awaitable[None]],
    *,
    rng: Random,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Run one connection after another, for ever.

    `connection` ends with `LostError` or `OSError`. It calls its argument once it serves: the next pause is short then.
    """
    pause_s, said = FIRST_S, set[str]()

    def served() -> None:
        nonlocal pause_s
        if said:
            log.info("the engine answers again", extra={"action": "engine_connected"})
        pause_s = FIRST_S
        said.clear()

    while True:
        try:
            await connection(served)
        except (LostError, OSError) as error:
            if (reason := _why(error)) not in said:
                log.warning("no connection to the engine: %s", reason, extra={"action": "engine_lost"})
            said.add(reason)
            if isinstance(error, LoginError):
                pause_s = REFUSED_S
        await pause(pause_s * (1 - JITTER * rng.random()))
        pause_s = min(pause_s * 2, LONGEST_S)


def _why(error: LostError | OSError) -> str:
    if isinstance(error, LostError):
        return str(error)
    return "no answer in time" if isinstance(error, TimeoutError) else told(error)
