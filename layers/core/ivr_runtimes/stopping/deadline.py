"""Work that is waited for only so long.

Owns the waiting, not the work: what is not done in time goes on by itself, and nobody hears what becomes of it.
Called by `stopping`: the SDK's limits are for each address it connects to and each read; resolving names has none.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises; raises `TimeoutError` after `limit_s` seconds."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001  # not handled here: carried over to whoever waits
            result.set_exception(error)

    Thread(target=run, daemon=True).start()  # one of its own: those of a pool may all hang
    return result.result(limit_s)
