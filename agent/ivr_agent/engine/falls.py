"""Whether a session's `seq` has fallen, which it must not (docs/engine-protocol.md, "Falls").

Owns the judgement, from numbers and times alone; one object per probe, begun anew with each session.
"""

from collections import deque
from typing import Final

LATE_S: Final = 30.0
"""An event whose seq has been known for so long is no late one: engines drop after a few seconds what they cannot
deliver."""

MAX_LAG: Final = 10
"""By how many changes a status may be behind events that were sent before it: an engine may count a moment later."""


class Falls:
    """What the session's answers and events have counted so far."""

    def __init__(self, answered_seq: int = -1) -> None:
        self._answered_seq = answered_seq
        self._doubted_seq = -1
        self._trail: deque[tuple[float, int]] = deque()

    @property
    def in_doubt(self) -> bool:
        """True while the last status was below what an event had told: the next one decides."""
        return self._doubted_seq >= 0

    def settled_seq(self, now_s: float, known_seq: int) -> int:
        """Note the seq up to which nothing is missing now; return the one of `LATE_S` ago, -1 when there is none."""
        self._trail.append((now_s, known_seq))
        while len(self._trail) > 1 and self._trail[1][0] <= now_s - LATE_S:
            self._trail.popleft()
        at_s, seq = self._trail[0]
        return seq if at_s <= now_s - LATE_S else -1

    def fallen_from(self, seq: int, *, heard_seq: int) -> int | None:
        """Return what a status has fallen from: an earlier one's seq, an event's far above, or one that two miss.

        `heard_seq` is the highest seq told when the status was asked for: events that came since prove nothing.
        """
        before = max(self._answered_seq, self._doubted_seq, heard_seq - MAX_LAG)
        self._answered_seq = seq
        self._doubted_seq = heard_seq if before <= seq < heard_seq else -1
        return before if seq < before else None
