"""What is owed to the table: ids whose row must be written or deleted, and when.

Owns the order of writing. Changes are coalesced per id, and an id is never in two requests at once. Failed ids come
first again. Rows that no list shows are owed "at leisure": written when nothing else is due, in requests of their own.
Knows only ids and times (monotonic seconds): whether to put or delete is read from the registry when the request is
made, so the table gets the current state. `registry` and `sweep` add what is owed, `flush` writes it.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable
from typing import Final

from ivr_runtimes.identifiers import RuntimeId
from ivr_runtimes.ports import MAX_WRITES

LINGER_S: Final = 0.025
"""How long a lone change waits for others to join; with its write it stays within the promised 50 ms."""

REFRESH_S: Final = 3 * 3600.0
"""A live row is written again after this: half of its `expires_at`, so garbage collection never takes it."""


class Ledger:
    """The ids owed. `wake` is set whenever there may be something to write."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.wake = asyncio.Event()
        self._monotonic = monotonic
        self._ready: dict[RuntimeId, float] = {}
        """Owed, oldest first -> since when."""
        self._leisure: dict[RuntimeId, None] = {}
        """Owed when nothing else is due, in this order."""
        self._leisure_from_s = 0.0
        """Nothing at leisure before this (monotonic): the table was throttled."""
        self._busy: dict[RuntimeId, float | None] = {}
        """Being written -> owed since when; None: at leisure."""
        self._changed: dict[RuntimeId, float] = {}
        """Owed again while busy -> since when."""
        self._tried: dict[RuntimeId, float] = {}
        """What the table may hold -> when it was last tried, oldest first."""
        self._due: dict[RuntimeId, float] = {}
        """To be owed (again) at a later time."""
        self._heap: list[tuple[float, RuntimeId]] = []

    def __len__(self) -> int:
        """How many ids are owed or being written."""
        return len(self._ready) + len(self._busy)

    def __contains__(self, runtime_id: RuntimeId) -> bool:
        """Whether an id is owed or being written."""
        return runtime_id in self._ready or runtime_id in self._busy

    @property
    def leisure(self) -> int:
        """How many ids are owed or being written at leisure."""
        return len(self._leisure) + sum(since_s is None for since_s in self._busy.values())

    def is_leisure(self, ids: Iterable[RuntimeId]) -> bool:
        """Whether these ids, of one batch being written, are owed at leisure."""
        return all(self._busy[runtime_id] is None for runtime_id in ids)

    def owe(self, ids: Iterable[RuntimeId]) -> None:
        """Owe the table these ids."""
        now_s, idle = self._monotonic(), not self._ready
        for runtime_id in ids:
            book = self._changed if runtime_id in self._busy else self._ready
            book.setdefault(runtime_id, now_s)
            self._leisure.pop(runtime_id, None)
        if self._ready and (idle or len(self._ready) >= MAX_WRITES):
            self.wake.set()

    def owe_at_leisure(self, ids: Iterable[RuntimeId]) -> None:
        """Owe the table these ids, whose rows it may hold, once nothing else is due."""
        for runtime_id in ids:
            if runtime_id not in self:
                self._tried.setdefault(runtime_id, self._monotonic())
                self._leisure[runtime_id] = None
        self.wake.set()

    def rest(self, wait_s: float) -> None:
        """Write nothing at leisure for `wait_s`: the table has too much to do."""
        self._leisure_from_s = max(self._leisure_from_s, self._monotonic() + wait_s)

    def owe_at(self, due_s: float, ids: Iterable[RuntimeId]) -> None:
        """Owe the table these ids from `due_s` (monotonic) on, even if they are written before."""
        for runtime_id in ids:
            if self._due.get(runtime_id, 0.0) < due_s:
                self._due[runtime_id] = due_s
                heapq.heappush(self._heap, (due_s, runtime_id))

    def ended(self, runtime_id: RuntimeId) -> None:
        """Owe the table a deletion, unless no row of it was ever tried, as during hours without AWS."""
        if runtime_id in self._tried or runtime_id in self._busy:
            self.owe([runtime_id])
        else:
            self._ready.pop(runtime_id, None)

    def hold(self, ids: Iterable[RuntimeId]) -> None:
        """Note that the table may hold an earlier agent's rows of these ids."""
        now_s = self._monotonic()
        for runtime_id in ids:
            self._tried.setdefault(runtime_id, now_s)

    def forget(self) -> None:
        """Drop what was owed for a replaced session: its rows are invisible, and `sweep` collects them."""
        self._ready.clear()
        self._leisure.clear()
        self._changed.clear()
        self._tried.clear()

    def refresh(self) -> None:
        """Owe again every row last tried half its life ago."""
        before_s = self._monotonic() - REFRESH_S
        old = [runtime_id for runtime_id, at_s in self._tried.items() if at_s <= before_s]
        if old:
            self.owe(old)

    def take(self) -> list[RuntimeId]:
        """Take the next ids to write, at most one batch; they are busy until settled."""
        now_s = self._monotonic()
        self._collect_due(now_s)
        ids = list(itertools.islice(self._ready, MAX_WRITES))
        if len(ids) < MAX_WRITES and all(self._ready[id_] > now_s - LINGER_S for id_ in ids[:1]):
            ids = list(itertools.islice(self._leisure, MAX_WRITES)) if now_s >= self._leisure_from_s else []
        for runtime_id in ids:
            self._busy[runtime_id] = self._ready.pop(runtime_id, None)
            self._leisure.pop(runtime_id, None)
            self._tried.pop(runtime_id, None)
            self._tried[runtime_id] = now_s
        return ids

    def next_s(self) -> float | None:
        """Return the seconds until something can be taken, or None when nothing is owed."""
        waits = [self._heap[0][0] - self._monotonic()] if self._heap else []
        if self._leisure:
            waits.append(self._leisure_from_s - self._monotonic())
        if self._ready:
            lone = len(self._ready) < MAX_WRITES
            waits.append(next(iter(self._ready.values())) + LINGER_S - self._monotonic() if lone else 0.0)
        return max(0.0, min(waits)) if waits else None

    def paid(self, runtime_id: RuntimeId, *, deleted: bool) -> float | None:
        """Settle an id that the table took; return for how many seconds it was owed, None at leisure."""
        since_s = self._busy[runtime_id]
        lag_s = None if since_s is None else self._monotonic() - since_s
        if deleted:
            self._tried.pop(runtime_id, None)
        self._release(runtime_id)
        return lag_s

    def unpaid(self, ids: Iterable[RuntimeId]) -> None:
        """Settle ids that the table did not take: they are first again, and keep the time since when they are owed.

        First, so that hours without AWS retry the same few, not ever more of them.
        """
        were = {runtime_id: self._busy[runtime_id] for runtime_id in ids}
        first = {runtime_id: since_s for runtime_id, since_s in were.items() if since_s is not None}
        for runtime_id in were:
            self._release(runtime_id)
        for runtime_id in first:
            self._ready.pop(runtime_id, None)
        self._ready = first | self._ready
        self._leisure = {id_: None for id_ in were if id_ not in self._ready} | self._leisure
        self.wake.set()

    def set_aside(self, runtime_id: RuntimeId, *, until_s: float) -> None:
        """Settle an id that the table refuses: it is owed again when it changes, or at `until_s` (monotonic)."""
        self._release(runtime_id)
        self.owe_at(until_s, [runtime_id])

    def _release(self, runtime_id: RuntimeId) -> None:
        self._busy.pop(runtime_id, None)
        if (since_s := self._changed.pop(runtime_id, None)) is not None:
            self._ready.setdefault(runtime_id, since_s)

    def _collect_due(self, now_s: float) -> None:
        while self._heap and self._heap[0][0] <= now_s:
            due_s, runtime_id = heapq.heappop(self._heap)
            if self._due.get(runtime_id) == due_s:
                del self._due[runtime_id]
                self.owe([runtime_id])
