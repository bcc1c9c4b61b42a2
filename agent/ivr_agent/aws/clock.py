"""Time as AWS sees it, and time that never jumps.

Owns the estimate of AWS's clock: the `Date` of its answers, carried on by the monotonic clock. So a wrong host clock
cannot change a lease or a deadline. Nor can one wrong `Date`: a time that contradicts all others must be confirmed
first. Asked by every loop; fed by the stores' threads.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

DATE_RESOLUTION_S: Final = 1.0
"""A `Date` header drops the fraction (RFC 9110 section 5.6.7), so the true time is up to this much later."""

ROUND_TRIP_S: Final = 0.5
"""How old the `Date` of a prompt answer may be when we read it; the skew allowance covers slower ones."""

JUMP_S: Final = 10.0
"""A `Date` further from the estimate contradicts it; a slow answer's may be as old as a request's time limit."""

CONFIRMATIONS: Final = 3
"""How many answers in a row must agree on a time that the estimate and the host's clock contradict."""

CONFIRM_S: Final = 30.0
"""For how long they must agree, once the clock is set: a `Date` that a cache repeats falls behind by then."""


@dataclass(slots=True)
class _Claim:
    """A time that contradicts what is known: its first offset, since when it is told, and how often since."""

    offset_s: float
    since_s: float
    told: int = 0


class Clock:
    """`monotonic` measures waits in seconds; `wall` is the host's epoch clock, used until the first answer of AWS."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self.monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._offset_s = wall() - monotonic()
        self._synchronised = False
        self._claim: _Claim | None = None

    @property
    def synchronised(self) -> bool:
        """True once AWS has told the time: until then it is the host's, and no final decision may rest on it."""
        return self._synchronised

    @property
    def host_ahead_s(self) -> float:
        """How far the host's clock is ahead of AWS's latest time, confirmed or not; 0 before the first."""
        if self._synchronised:
            return self._wall() - self.now_s()
        return self._wall() - self.monotonic() - self._claim.offset_s if self._claim is not None else 0.0

    def now_s(self) -> float:
        """Return AWS's time in epoch seconds."""
        return self._offset_s + self.monotonic()

    def observe(self, server_s: float) -> None:
        """Take in an answer's `Date`, in epoch seconds. Thread-safe.

        Each answer gives an earliest and a latest true time; the estimate moves only as far as it must. An answer that
        contradicts both estimate and host clock is a claim: it moves nothing until others confirm it.
        """
        with self._lock:
            now_s = self.monotonic()
            least_s = server_s - now_s
            if not self._is_believed(server_s, now_s):
                return
            if not self._synchronised:
                self._offset_s, self._synchronised = least_s + DATE_RESOLUTION_S / 2, True
            self._offset_s = min(max(self._offset_s, least_s), least_s + DATE_RESOLUTION_S + ROUND_TRIP_S)
            self._claim = None

    def _is_believed(self, server_s: float, now_s: float) -> bool:
        if abs(server_s - self._wall()) <= JUMP_S or abs(server_s - self.now_s()) <= JUMP_S:
            return True
        offset_s = server_s - now_s
        if self._claim is None or abs(offset_s - self._claim.offset_s) > JUMP_S:
            self._claim = _Claim(offset_s, now_s)
        self._claim.told += 1
        lasted_s = now_s - self._claim.since_s
        return self._claim.told >= CONFIRMATIONS and (not self._synchronised or lasted_s >= CONFIRM_S)


def rfc3339(epoch_s: float) -> str:
    """Return an instant as RFC 3339, UTC, whole seconds, `Z`."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
