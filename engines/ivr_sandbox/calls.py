"""Simulated callers: the calls of one domain, placed at its rate.

Owns when a call comes in and which script takes it. The engine runs the call.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, Protocol

from ivr_sandbox.clock import Scheduler, Timer

JITTER: Final = 0.2
"""How early or late a call may come, as a part of the interval."""


class Start(Protocol):
    """Starts a script; `rng` decides what the caller does."""

    def __call__(self, code: str, *, rng: Random) -> object:
        """Start the script of that code."""
        ...


class Calls:
    """Places evenly spaced calls with a small jitter, from a random first moment on, until stopped.

    All randomness comes from `rng`, and each call gets its own generator: the same seed gives the same calls.
    """

    def __init__(
        self, codes: Sequence[str], *, calls_per_minute: float, start: Start, scheduler: Scheduler, rng: Random
    ) -> None:
        self._interval_s = 60 / calls_per_minute
        self._codes = _in_rounds(codes, rng)
        self._start = start
        self._scheduler = scheduler
        self._rng = rng
        self._due_s = scheduler.time() + rng.uniform(0, self._interval_s)
        self._timer = self._schedule()

    def stop(self) -> None:
        """Place no more calls."""
        self._timer.cancel()

    def _schedule(self) -> Timer:
        stray_s = self._rng.uniform(-JITTER, JITTER) * self._interval_s
        return self._scheduler.call_later(max(0.0, self._due_s + stray_s - self._scheduler.time()), self._place)

    def _place(self) -> None:
        # After a suspension, missed calls are not caught up.
        self._due_s = max(self._due_s + self._interval_s, self._scheduler.time())
        self._timer = self._schedule()
        self._start(next(self._codes), rng=Random(self._rng.getrandbits(64)))  # noqa: S311  # a caller, not a secret


def _in_rounds(codes: Sequence[str], rng: Random) -> Iterator[str]:
    """Yield codes for ever, each once per round, in a new order every round: equal shares, no pattern."""
    while True:
        yield from rng.sample(codes, len(codes))
