"""A bridge's connection: what ends it is told as it is, and a defect of ours is no lost engine."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

import pytest

from ivr_engine import connection
from ivr_engine.connection import Link, Streams, UnreadableError, opened
from ivr_engine.reconnect import LostError


class Heard(Link[str]):
    """A connection that needs no login; `fails` is raised by what it reads."""

    def __init__(self, streams: Streams, fails: Exception | None) -> None:
        super().__init__(streams)
        self._fails = fails

    async def log_in(self) -> None:
        """There is none."""

    def feed(self, data: bytes) -> None:
        if data and self._fails:
            raise self._fails


async def told(engine: Callable[[socket.socket], object], *, fails: Exception | None = None) -> None:
    """Connect to an engine that does something, and wait until the connection is lost."""
    ours, theirs = socket.socketpair()
    connect = partial(asyncio.open_connection, sock=ours)
    with theirs:
        async with opened(connect, partial(Heard, fails=fails)) as link:
            engine(theirs)
            await link.answers.lost(within_s=10)
            raise AssertionError("the connection was not lost")


def speaks(engine: socket.socket) -> None:
    engine.sendall(b"an event")


async def test_a_closed_connection_is_told() -> None:
    with pytest.raises(LostError, match="the engine closed the connection"):
        await told(socket.socket.close)


async def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(LostError, match="cannot be read: no length"):
        await told(speaks, fails=UnreadableError("no length"))


async def test_a_defect_in_what_takes_the_events_ends_the_program_and_is_no_lost_engine() -> None:
    with pytest.raises(ZeroDivisionError):
        await told(speaks, fails=ZeroDivisionError())


async def test_an_engine_that_asks_for_no_login_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Heard):
        async def log_in(self) -> None:
            await self.answers.expect()

    monkeypatch.setattr(connection, "LOGIN_S", 0.05)
    ours, theirs = socket.socketpair()
    connect = partial(asyncio.open_connection, sock=ours)
    with theirs, pytest.raises(TimeoutError):
        async with opened(connect, partial(Silent, fails=None)):
            pass
