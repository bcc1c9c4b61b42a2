"""The nodes as the list knows them: who is alive, and so which rows are the truth (docs/architecture.md).

Owns how long a reading of the nodes serves, and when to look again. Never reads runtimes. Called by `listing`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Final

from ivr_runtimes.columns import tuples_of
from ivr_runtimes.lease import is_alive, vouched
from ivr_runtimes.model import Node, Row
from ivr_runtimes.names import Site
from ivr_runtimes.ports import Cost, NodeDirectory

NODES_MAX_AGE_S: Final = 1.0
"""How long one reading of the nodes serves further lists."""

_VOUCHER: Final = ("site", "node", "session")


class Roster:
    """The nodes of the configured sites, as last read. `clock` is epoch seconds, against which leases are judged."""

    def __init__(self, *, nodes: NodeDirectory, sites: Sequence[Site], clock: Callable[[], float] = time.time) -> None:
        self._nodes = nodes
        self._sites = sites
        self._clock = clock
        self._known: list[Node] = []
        self._read_at_s = float("-inf")

    def call(self, cost: Cost) -> "RollCall":
        """Begin the judging of one request's rows."""
        return RollCall(self, cost)

    def read(self, *, max_age_s: float, cost: Cost) -> bool:
        """Read the nodes unless they are known well enough; tell whether they were read."""
        now_s = self._clock()
        if 0 <= now_s - self._read_at_s < max_age_s:
            return False
        known = self._nodes.all_nodes(cost=cost)
        self._known, self._read_at_s = [node for node in known if node.site in self._sites], now_s
        return True

    def vouched(self) -> frozenset[tuple[str, str, str]]:
        """Return the (site, node, session) that are alive now."""
        return vouched(self._known, now_s=self._clock())

    def summary(self) -> str:
        """Return live and known nodes of every site: `SITE1=2/2, SITE2=0/2`."""
        return ", ".join(self._counts())

    def _counts(self) -> Iterator[str]:
        now_s = self._clock()
        for site in self._sites:
            known = [node for node in self._known if node.site == site]
            yield f"{site}={sum(is_alive(node, now_s=now_s) for node in known)}/{len(known)}"


class RollCall:
    """One request's judging: the nodes are read at most once more for it, before its first row is dropped.

    `active` holds the rows heard so far whose node lives and still is in the session that wrote them.
    """

    def __init__(self, roster: Roster, cost: Cost) -> None:
        self._roster = roster
        self._cost = cost
        self._fresh = False
        self._vouched: frozenset[tuple[str, str, str]] | None = None
        self.active: list[Row] = []

    def hear(self, rows: Sequence[Row]) -> None:
        """Judge rows read just now."""
        if self._vouched is None:
            self._look(max_age_s=NODES_MAX_AGE_S)
        kept = self._kept(rows)
        if len(kept) < len(rows) and not self._fresh:
            # A row that the cached nodes do not vouch for may be the first of a new session; then those of the old one
            # must not stand beside it, not even from the pages before.
            self._look(max_age_s=0.0)
            self.active, kept = self._kept(self.active), self._kept(rows)
        self.active += kept

    def site_nodes(self) -> str:
        """Return the sites that the answer covers."""
        if self._vouched is None:
            self._look(max_age_s=NODES_MAX_AGE_S)
        return self._roster.summary()

    def _look(self, *, max_age_s: float) -> None:
        self._fresh |= self._roster.read(max_age_s=max_age_s, cost=self._cost)
        self._vouched = self._roster.vouched()

    def _kept(self, rows: Sequence[Row]) -> list[Row]:
        vouched = self._vouched or frozenset()
        return list(compress(rows, map(vouched.__contains__, tuples_of(rows, _VOUCHER))))
