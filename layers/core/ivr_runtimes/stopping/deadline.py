"""A limit on how long work is waited for.

The work itself is not ended: what takes longer goes on in its thread, and its result is dropped. Needed because the
SDK's timeouts hold for each connection attempt and each read, and name resolution has none. Called by `acceptance`.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises; raises `TimeoutError` after `limit_s`."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001  # not handled here: passed on to whoever waits
            result.set_exception(error)

    Thread(target=run, daemon=True).start()  # a new thread: all threads of a pool might hang
    return result.result(limit_s)
