"""Time as AWS sees it, and time that never jumps.

Owns the estimate of AWS's clock: the `Date` of its answers carried on by the monotonic clock, so that a wrong host
clock cannot bend a lease or a deadline (DESIGN section 7). Asked by every loop; fed by the stores' threads.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

DATE_RESOLUTION_S: Final = 1.0
"""A `Date` header drops the fraction (RFC 9110 section 5.6.7), so the true time is up to this much later."""

ROUND_TRIP_S: Final = 0.5
"""How old a prompt answer's `Date` may be when it is looked at; the skew allowance covers slower ones."""


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

    @property
    def synchronised(self) -> bool:
        """True once AWS has answered: until then the time is the host's, and nothing final may be judged by it."""
        return self._synchronised

    @property
    def host_ahead_s(self) -> float:
        """How far the host's clock is ahead of AWS's, in seconds; 0 until AWS has answered."""
        return self._wall() - self.now_s() if self._synchronised else 0.0

    def now_s(self) -> float:
        """Return AWS's time in epoch seconds."""
        return self._offset_s + self.monotonic()

    def observe(self, server_s: float) -> None:
        """Take in an answer's `Date`, in epoch seconds. Thread-safe.

        Each answer bounds the truth on both sides; the estimate moves only as far as it must.
        """
        with self._lock:
            least_s = server_s - self.monotonic()
            most_s = least_s + DATE_RESOLUTION_S + ROUND_TRIP_S
            if not self._synchronised:
                self._offset_s, self._synchronised = least_s + DATE_RESOLUTION_S / 2, True
            self._offset_s = min(max(self._offset_s, least_s), most_s)


def rfc3339(epoch_s: float) -> str:
    """Return an instant as RFC 3339, UTC, whole seconds, `Z`."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
