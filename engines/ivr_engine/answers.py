"""Answers of an engine that a connection waits for, until they come or the connection is lost.

Owns that nobody waits for an answer of a lost connection. Called by a bridge's connection.
"""

import asyncio
import json
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ivr_engine.reconnect import LostError

AnyAnswer = TypeVar("AnyAnswer")
"""An answer as the engine's connection reads it."""


class Answers(Generic[AnyAnswer]):
    """The answers of one connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._expected: set[asyncio.Future[Any]] = {self._lost}

    def expect(self) -> asyncio.Future[AnyAnswer]:
        """Return an answer to wait for; raises `LostError` if none can come any more."""
        if self._lost.done():
            self._lost.result()
        answer: asyncio.Future[AnyAnswer] = self._loop.create_future()
        self._expected.add(answer)
        answer.add_done_callback(self._expected.discard)
        return answer

    @staticmethod
    def give(waiting: asyncio.Future[AnyAnswer] | None, answer: AnyAnswer) -> None:
        """Take in an answer; None: nobody waits for it."""
        if waiting and not waiting.done():
            waiting.set_result(answer)

    def lose(self, reason: LostError) -> None:
        """End each wait: the connection is lost."""
        for answer in tuple(self._expected):
            if not answer.done():
                answer.set_exception(reason)
                answer.exception()  # nobody may wait for it any more

    async def lost(self, *, within_s: float | None = None) -> None:
        """Wait so long, or for ever; raises `LostError` as soon as the connection is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await asyncio.shield(self._lost)


def json_object(text: str, otherwise: str) -> dict[str, Any]:
    """Return a JSON object that the engine has sent; raises `LostError` with that reason if it is something else."""
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise LostError(otherwise)
    return read
