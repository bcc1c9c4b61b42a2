"""The driver of every loop: run a step, wait, repeat, until told to stop.

Owns waiting and jitter: a `step()` never sleeps, and tests inject the clock.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from ivr_agent.process.exits import FatalError
from ivr_agent.process.log import say
from ivr_runtimes.telling import told

JITTER: Final = 0.2
"""Waits are shortened by up to this share, never lengthened: three heartbeats always fit one lease."""

MOMENT_S: Final = 0.1
"""Shorter waits get no jitter: something is due at that moment, and an early look would only be repeated."""

NOT_OURS_S: Final = 0.2
"""How soon a loop looks again whether this agent may write for the node: after a start that takes a moment, and a
lapsed lease waits for the sweep."""

Step = Callable[[], Awaitable[float | None]]
"""One pass. Returns the seconds to wait before the next, or None for the loop's interval."""

Chance = Callable[[], float]
"""Randomness in [0, 1)."""


async def every(
    interval_s: float,
    step: Step,
    stop: asyncio.Event,
    *,
    wake: asyncio.Event | None = None,
    chance: Chance = random.random,
    failed: Callable[[str], None] | None = None,
) -> None:
    """Run `step` every `interval_s` until `stop`; `wake` ends a wait early. `failed` is told of failed steps."""
    while not stop.is_set():
        if wake is not None:
            wake.clear()
        wait_s = await _guarded(step, failed)
        delay_s = interval_s if wait_s is None else wait_s
        if delay_s >= MOMENT_S:
            delay_s *= 1 - JITTER * chance()
        await pause(delay_s, stop, *([wake] if wake else []))


async def pause(delay_s: float, *events: asyncio.Event) -> None:
    """Wait for `delay_s`, or until one of the events is set."""
    if not events or any(event.is_set() for event in events):
        await asyncio.sleep(0.0 if events else delay_s)
        return
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=max(0.0, delay_s), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _guarded(step: Step, failed: Callable[[str], None] | None) -> float | None:
    name = getattr(step, "__qualname__", "step")
    try:
        return await step()
    except FatalError:
        raise
    except Exception as error:  # noqa: BLE001  # a defect in one step must not end the daemon
        say(
            "loop_failed", level=logging.ERROR, about=f"{name} {type(error)}", loop=name, error=told(error), trace=error
        )
        if failed is not None:
            failed(name)
        return None


class Backoff:
    """Waits between retries: doubling from `first_s` to at most `most_s`, each jittered down by up to half."""

    def __init__(self, *, first_s: float, most_s: float, chance: Chance = random.random) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._chance = chance
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure and return the wait before the next try, in seconds."""
        wait_s = backoff_s(self.failures, first_s=self._first_s, most_s=self._most_s, chance=self._chance)
        self.failures += 1
        return wait_s

    def reset(self) -> None:
        """Forget the failures: it worked."""
        self.failures = 0


def backoff_s(failures: int, *, first_s: float, most_s: float, chance: Chance) -> float:
    """Return the jittered wait in seconds after that many earlier failures."""
    return min(most_s, first_s * 2.0 ** min(failures, 30)) * (1 - chance() / 2)
