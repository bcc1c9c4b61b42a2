"""A bridge stays connected: it comes back after pauses that grow, and tells each reason once."""

import asyncio
import logging
from random import Random

import pytest

from ivr_engine.reconnect import (
    FIRST_S,
    JITTER,
    LONGEST_S,
    REFUSED_S,
    LoginError,
    LostError,
    Served,
    stay_connected,
)

CLOSED = "the engine closed the connection"
REFUSED = "ConnectionRefusedError: Connection refused"
RNG = Random(1)  # noqa: S311  # pauses, not secrets


class Engine:
    """Connections that end as they are told to: `True` serves first; then an error is raised."""

    def __init__(self, *ends: tuple[bool, Exception]) -> None:
        self.ends, self.pauses = list(ends), list[float]()

    async def connection(self, served: Served) -> None:
        serves, error = self.ends.pop(0)
        if serves:
            served()
        raise error

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.ends:
            raise asyncio.CancelledError

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await stay_connected(self.connection, rng=RNG, pause=self.pause)


async def test_pauses_double_up_to_the_longest_and_vary_by_a_third() -> None:
    engine = Engine(*[(False, OSError())] * 12)
    await engine.run()
    full = [min(FIRST_S * 2**number, LONGEST_S) for number in range(12)]
    assert all(most * (1 - JITTER) <= pause <= most for pause, most in zip(engine.pauses, full, strict=True))
    assert len(set(engine.pauses)) == 12


async def test_after_a_connection_that_served_the_pause_is_short_again() -> None:
    engine = Engine(*[(False, OSError())] * 6, (True, LostError("gone")))
    await engine.run()
    assert engine.pauses[5] > FIRST_S > engine.pauses[6]


async def test_each_reason_is_told_once_until_the_engine_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    lost = (False, ConnectionRefusedError(111, "refused"))
    with caplog.at_level(logging.INFO):
        closed = (False, LostError(CLOSED))
        await Engine(lost, lost, closed, lost, closed, (True, closed[1]), lost).run()
    told = [(record.action, record.getMessage()) for record in caplog.records]  # type: ignore[attr-defined]  # extra
    why = "no connection to the engine: "
    reasons = [("engine_lost", f"{why}{one}") for one in (CLOSED, REFUSED)]
    assert told == [*reversed(reasons), ("engine_connected", "the engine answers again"), *reasons]


async def test_after_a_refused_login_the_pause_is_long_so_that_nobody_is_shut_out() -> None:
    engine = Engine(*[(False, LoginError("check user and password"))] * 4, (False, OSError()))
    await engine.run()
    *refused, other = engine.pauses
    assert all(REFUSED_S * (1 - JITTER) <= pause <= REFUSED_S for pause in refused)
    assert other <= LONGEST_S


async def test_a_defect_is_no_lost_connection() -> None:
    with pytest.raises(ZeroDivisionError):
        await stay_connected(Engine((False, ZeroDivisionError())).connection, rng=RNG)


async def test_a_server_that_says_nothing_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await Engine((False, TimeoutError())).run()
    assert caplog.messages == ["no connection to the engine: no answer in time"]
