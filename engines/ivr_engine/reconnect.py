"""Keeps a bridge connected to its engine: connects, serves until the connection is lost, pauses, connects again.

Owns the pauses, and that a lost engine is told once and not with every attempt. Called by bridges.
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


class LostError(Exception):
    """The connection to the engine is lost, or was refused; says why, without quoting the engine's data."""


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
    pause_s, silent = FIRST_S, False

    def served() -> None:
        nonlocal pause_s, silent
        if silent:
            log.info("the engine answers again", extra={"action": "engine_connected"})
        pause_s, silent = FIRST_S, False

    while True:
        try:
            await connection(served)
        except (LostError, OSError) as error:
            if not silent:
                reason = str(error) if isinstance(error, LostError) else told(error)
                reason = "no answer in time" if isinstance(error, TimeoutError) else reason
                log.warning("no connection to the engine: %s", reason, extra={"action": "engine_lost"})
            silent = True
        await pause(pause_s * (1 - JITTER * rng.random()))
        pause_s = min(pause_s * 2, LONGEST_S)
