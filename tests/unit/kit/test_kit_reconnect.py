"""A bridge stays connected: it comes back after pauses that grow, and tells a lost engine once."""

import asyncio
import logging
from random import Random

import pytest

from ivr_engine.reconnect import FIRST_S, JITTER, LONGEST_S, LostError, Served, stay_connected

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


async def test_a_lost_engine_is_told_once_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    lost = (False, ConnectionRefusedError(111, "refused"))
    with caplog.at_level(logging.INFO):
        await Engine(lost, lost, lost, (True, LostError("the engine closed the connection")), lost).run()
    told = [(record.action, record.getMessage()) for record in caplog.records]  # type: ignore[attr-defined]  # extra
    assert [action for action, _ in told] == ["engine_lost", "engine_connected", "engine_lost"]
    assert told[0][1] == "no connection to the engine: ConnectionRefusedError: Connection refused"
    assert told[2][1] == "no connection to the engine: the engine closed the connection"


async def test_a_defect_is_no_lost_connection() -> None:
    with pytest.raises(ZeroDivisionError):
        await stay_connected(Engine((False, ZeroDivisionError())).connection, rng=RNG)


async def test_a_server_that_says_nothing_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await Engine((False, TimeoutError())).run()
    assert caplog.messages == ["no connection to the engine: no answer in time"]
