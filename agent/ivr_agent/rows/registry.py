"""The set of this node's runtimes, kept equal to the engine's.

Owns the rules of `session` and `seq` (docs/engine-protocol.md): events older than what is known are ignored, a gap is
repaired by a snapshot. Every change of the set is owed to the table through the ledger. Does no I/O: events come from
`events`, snapshots from `probe`, and `flush` reads the current states.
"""

import math
from enum import StrEnum
from typing import Final

from ivr_agent.protocol import RuntimeState, Snapshot
from ivr_agent.rows.ledger import Ledger
from ivr_runtimes.identifiers import RuntimeId, Session

MAX_AHEAD: Final = 100_000
"""How many seqs beyond a gap are remembered; if there are more, all are dropped, which costs a snapshot."""


class Reception(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    UNKNOWN = "unknown"  # applied, but it ended a runtime of which no start was known
    OLD = "old"
    FOREIGN = "foreign"  # of a session that is not the known one: the engine must be asked


class Registry:
    """The set. `session` is the engine's known session, `seq` the last number up to which nothing is missing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.session: Session | None = None
        self.seq = -1
        self.latest = -1
        """The highest seq that the session has told."""
        self.settled = -1
        """Events up to this seq are not under way any more (set by the probe)."""
        self.repeated: int | None = None
        """The seq of an event at or below `settled`: the session seems to count anew."""
        self.unreadable: set[str] = set()
        """The unreadable rows of the last snapshot: ids, or `row N`."""
        self._live: dict[RuntimeId, RuntimeState] = {}
        self._seqs: dict[RuntimeId, int] = {}
        """The last seq of every live runtime, and of those that ended beyond the gap (tombstones)."""
        self._ahead: set[int] = set()
        """The seqs known beyond the gap."""

    def __len__(self) -> int:
        """How many runtimes live."""
        return len(self._live)

    def ids(self) -> list[RuntimeId]:
        """Return the ids of all live runtimes."""
        return list(self._live)

    def get(self, runtime_id: RuntimeId) -> RuntimeState | None:
        """Return a live runtime's state, or None."""
        return self._live.get(runtime_id)

    def spelling(self, session: Session, runtime_id: RuntimeId) -> RuntimeId | None:
        """Return an id as the engine of that session writes it; None while nothing is known of the session."""
        if session != self.session:
            return None
        state = self._live.get(runtime_id)
        return runtime_id if state is None else state.spelling

    def put(self, session: Session, seq: int, state: RuntimeState) -> Reception:
        """Take in that a runtime started or changed."""
        reception = self._receive(session, seq, state.id)
        if reception is Reception.APPLIED:
            self._live[state.id] = state
            self._ledger.owe([state.id])
            self._advance(seq)
        return reception

    def end(self, session: Session, seq: int, runtime_id: RuntimeId) -> Reception:
        """Take in that a runtime ended."""
        reception = self._receive(session, seq, runtime_id)
        if reception is Reception.APPLIED:
            if self._live.pop(runtime_id, None) is None:
                reception = Reception.UNKNOWN
            self._ledger.ended(runtime_id)
            self._advance(seq)
            if seq <= self.seq:
                self._seqs.pop(runtime_id, None)
        return reception

    def adopt(self, snapshot: Snapshot) -> None:
        """Take in a snapshot; one older than what is known changes nothing."""
        if snapshot.session != self.session:
            self._begin(snapshot)
        elif snapshot.seq >= self.seq:
            self._merge(snapshot)

    def renumber(self) -> None:
        """Forget every seq, since the session counts anew from a lower one: the next snapshot decides what lives.

        Until then the set stays as it is, and events of the new count are treated like events beyond a gap.
        """
        self.seq = self.latest = self.settled = -1
        self.repeated = None
        self._seqs = dict.fromkeys(self._live, -1)
        self._ahead.clear()

    def _receive(self, session: Session, seq: int, runtime_id: RuntimeId) -> Reception:
        if session != self.session:
            return Reception.FOREIGN
        if seq <= self.seq or seq in self._ahead:
            if seq <= self.settled:
                self.repeated = seq
            return Reception.OLD
        if self._seqs.get(runtime_id, -1) > seq:
            self._advance(seq)
            return Reception.OLD
        self._seqs[runtime_id] = seq
        self.unreadable.discard(runtime_id)
        return Reception.APPLIED

    def _begin(self, snapshot: Snapshot) -> None:
        self._ledger.forget()
        self.session, self.seq, self.latest = snapshot.session, snapshot.seq, snapshot.seq
        self._live, self.unreadable = dict(snapshot.runtimes), set(snapshot.unreadable)
        self._seqs = dict.fromkeys(self._live, snapshot.seq)
        self._ahead.clear()
        self.settled, self.repeated = -1, None
        self._ledger.hold(self._live)
        self._ledger.owe(self._live)

    def _merge(self, snapshot: Snapshot) -> None:
        for runtime_id, state in snapshot.runtimes.items():
            if self._seqs.get(runtime_id, -1) <= snapshot.seq:
                self._seqs[runtime_id] = snapshot.seq
                if self._live.get(runtime_id) != state:
                    self._live[runtime_id] = state
                    self._ledger.owe([runtime_id])
        self.unreadable = {name for name in snapshot.unreadable if self._seqs.get(RuntimeId(name), -1) <= snapshot.seq}
        seen = snapshot.runtimes.keys() | snapshot.unreadable.keys()
        for runtime_id in [id_ for id_ in self._live if id_ not in seen and self._seqs[id_] <= snapshot.seq]:
            del self._live[runtime_id]
            self._ledger.ended(runtime_id)
        self._advance(snapshot.seq, whole=True)

    def _advance(self, seq: int, *, whole: bool = False) -> None:
        """Note a seq, or with `whole` all up to it; move `seq` on while no number is missing."""
        before = self.seq
        self.latest = max(self.latest, seq)
        if whole:
            self.seq = max(self.seq, seq)
            self._ahead = {known for known in self._ahead if known > self.seq}
        else:
            self._ahead.add(seq)
        while self.seq + 1 in self._ahead:
            self.seq += 1
            self._ahead.discard(self.seq)
        if len(self._ahead) > MAX_AHEAD:
            self._ahead.clear()
            self._bury(beyond=math.inf)
        elif whole or self.seq - before > 1:
            self._bury(beyond=self.seq)

    def _bury(self, *, beyond: float) -> None:
        """Drop tombstones up to seq `beyond`: events that old are rejected anyway."""
        self._seqs = {id_: seq for id_, seq in self._seqs.items() if id_ in self._live or seq > beyond}
