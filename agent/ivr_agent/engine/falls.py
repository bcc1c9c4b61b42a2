"""Whether a session's `seq` has fallen, which it must not (docs/engine-protocol.md, "Falls").

Decides from numbers and times alone; one object per probe, made anew for each session.
"""

from collections import deque
from typing import Final

LATE_S: Final = 30.0
"""An event whose seq was known this long ago is not late: engines drop undelivered events after a few seconds."""

MAX_LAG: Final = 10
"""A status may be this many changes behind events sent before it: an engine may count a moment later."""


class Falls:
    """The seqs that the session's answers and events have told so far."""

    def __init__(self, answered_seq: int = -1) -> None:
        self._answered_seq = answered_seq
        self._doubted_seq = -1
        self._trail: deque[tuple[float, int]] = deque()

    @property
    def in_doubt(self) -> bool:
        """True while the last status was below an event's seq: the next status decides."""
        return self._doubted_seq >= 0

    def settled_seq(self, now_s: float, known_seq: int) -> int:
        """Note the seq up to which nothing is missing; return the one of `LATE_S` ago, -1 if none."""
        self._trail.append((now_s, known_seq))
        while len(self._trail) > 1 and self._trail[1][0] <= now_s - LATE_S:
            self._trail.popleft()
        at_s, seq = self._trail[0]
        return seq if at_s <= now_s - LATE_S else -1

    def fallen_from(self, seq: int, *, heard_seq: int) -> int | None:
        """Return the higher seq that a status fell from: an earlier status's, or an event's far above or missed twice.

        `heard_seq` is the highest seq told before the status was asked for: later events prove nothing.
        """
        before = max(self._answered_seq, self._doubted_seq, heard_seq - MAX_LAG)
        self._answered_seq = seq
        self._doubted_seq = heard_seq if before <= seq < heard_seq else -1
        return before if seq < before else None
