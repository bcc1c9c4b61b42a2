"""Timers: the port through which the engine and the calls wait, and an adapter in virtual time.

A running process passes its event loop; a trial run of a script, or a test, passes `VirtualTime`.
"""

import heapq
from collections.abc import Callable
from typing import Protocol, TypeVarTuple, Unpack

Args = TypeVarTuple("Args")


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Cancel the callback; does nothing after it ran."""
        ...


class Scheduler(Protocol):
    """The used part of an event loop: monotonic time in seconds, and timers. `call_later` never calls back itself."""

    def time(self) -> float:
        """Return the monotonic time."""
        ...

    def call_later(self, delay: float, callback: Callable[[Unpack[Args]], object], *args: *Args) -> Timer:
        """Call back after `delay` seconds."""
        ...


class VirtualTimer:
    """A timer of `VirtualTime`; ordered by due time, then by creation."""

    def __init__(self, due_s: float, number: int, call: Callable[[], object]) -> None:
        self._order = (due_s, number)
        self.due_s = due_s
        self.call: Callable[[], object] | None = call

    def __lt__(self, other: "VirtualTimer") -> bool:
        return self._order < other._order

    def cancel(self) -> None:
        """Cancel the callback."""
        self.call = None


class VirtualTime:
    """A `Scheduler` whose time passes only when told to, without waiting."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._made = 0
        self._timers: list[VirtualTimer] = []

    def time(self) -> float:
        """Return the seconds passed so far."""
        return self._now_s

    def call_later(self, delay: float, callback: Callable[[Unpack[Args]], object], *args: *Args) -> VirtualTimer:
        """Call back after `delay` seconds of this time."""
        self._made += 1
        timer = VirtualTimer(self._now_s + max(0.0, delay), self._made, lambda: callback(*args))
        heapq.heappush(self._timers, timer)
        return timer

    def pass_s(self, seconds: float) -> None:
        """Let time pass, and run each callback at its due time."""
        end_s = self._now_s + seconds
        while self._timers and self._timers[0].due_s <= end_s:
            timer = heapq.heappop(self._timers)
            self._now_s = timer.due_s
            if timer.call is not None:
                timer.call()
        self._now_s = end_s

    @property
    def waiting(self) -> int:
        """How many callbacks are still to come."""
        return sum(timer.call is not None for timer in self._timers)
