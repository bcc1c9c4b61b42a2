"""A bridge's connection to its engine: opened, logged in, read until it is lost, closed.

Owns the order of these, their time limits, and that each wait for an answer ends with the connection. What the bytes
mean is the subclass's. Called by bridges.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

from ivr_engine.answers import Answers, AnyAnswer
from ivr_engine.reconnect import LostError
from ivr_engine.telling import told

LOGIN_S: Final = 5.0
"""How long opening may take, and login and subscription together."""

CHUNK: Final = 256 * 1024
"""Bytes read at once at most."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UnreadableError(Exception):
    """What came is not the engine's protocol: from here on nothing can be read."""


class Link(ABC, Generic[AnyAnswer]):
    """One connection; once it is lost, it is never used again."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self.answers: Answers[AnyAnswer] = Answers()

    @abstractmethod
    async def log_in(self) -> None:
        """Log in and subscribe; raises `LostError`."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """Take in what was read; raises `LostError` or `UnreadableError`."""

    async def read(self) -> None:
        """Read until the connection is lost, or cut by us; then every open answer ends with the reason."""
        reason = LostError("the engine closed the connection")
        try:
            while data := await self._reader.read(CHUNK):
                self.feed(data)
        except UnreadableError as error:
            reason = LostError(f"what the engine sends cannot be read: {error}")
        except OSError as error:
            reason = LostError(f"the connection broke: {told(error)}")
        except LostError as error:
            reason = error
        finally:
            self.answers.lose(reason)

    def close(self) -> None:
        """Close it at once: an engine that reads nothing would keep it open."""
        self._writer.transport.abort()


AnyLink = TypeVar("AnyLink", bound=Link[Any])


@asynccontextmanager
async def opened(
    streams: Callable[[], Awaitable[Streams]], link: Callable[[Streams], AnyLink]
) -> AsyncIterator[AnyLink]:
    """Open a connection and log in; close it at the end. Raises `LostError`, `OSError` or `TimeoutError`."""
    async with asyncio.timeout(LOGIN_S):
        made = link(await streams())
    reading = asyncio.create_task(made.read())
    try:
        async with asyncio.timeout(LOGIN_S):
            await made.log_in()
        yield made
    finally:
        reading.cancel()
        made.close()
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.result()  # a defect in what takes the events must end the program, not look like a lost engine
