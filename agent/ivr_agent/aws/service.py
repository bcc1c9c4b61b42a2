"""The way from the loops to the stores: threads, because boto3 blocks.

Owns one small pool per purpose, so that a hanging write never holds up a heartbeat, and tells `health` which
service answered. Never retries: each loop does.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from ivr_agent.aws.denial import Denials
from ivr_agent.health import Health
from ivr_runtimes.errors import DeniedError, StoreError, StoreUnavailableError

T = TypeVar("T")


class Run(Protocol):
    """How a loop calls a blocking store: `await run(table.write, batch)`."""

    async def __call__(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return what the call returns; raise what it raises."""
        ...


class Service:
    """Implements `Run`: one service of AWS (`dynamodb` or `sqs`) behind its own `size` threads.

    The threads are daemons: a request that hangs in a socket must not hold up the end of the process.
    """

    def __init__(self, name: str, *, size: int, health: Health, denials: Denials, purpose: str) -> None:
        self._name = name
        self._health = health
        self._denials = denials
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{purpose}-{i}", daemon=True) for i in range(size)]
        for thread in self._threads:
            thread.start()

    async def __call__(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking call of a store; raises what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(partial(_run, partial(call, *args, **kwargs), loop, answer))
        try:
            result = await answer
        except StoreError as error:
            self._note(error)
            raise
        self._note(None)
        return result

    def _note(self, error: StoreError | None) -> None:
        self._health.aws[self._name] = not isinstance(error, StoreUnavailableError)
        if isinstance(error, DeniedError):
            self._health.aws_faults[self._name] = self._denials.note(self._name, error)
        else:
            self._health.aws_faults.pop(self._name, None)

    def close(self) -> None:
        """Let the threads end once they are free; does not wait for them."""
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run(call: Callable[[], T], loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]") -> None:
    result: T | None = None
    error: BaseException | None = None
    try:
        result = call()
    except Exception as raised:  # noqa: BLE001  # not handled here: passed on to the awaiting loop
        error = raised
    try:
        loop.call_soon_threadsafe(_settle, answer, result, error)
    except RuntimeError:
        return  # the loop is closed: the program ends and nobody waits


def _settle(answer: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if answer.done():
        return  # the caller was cancelled
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
