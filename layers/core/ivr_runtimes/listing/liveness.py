"""Which rows a list may show: those whose node is alive, in the session that wrote them (docs/architecture.md).

Owns the cache of the table of nodes: how long it is used, and when it is read again. Never reads runtimes. Called by
`reader`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Final

from ivr_runtimes.columns import tuples_of
from ivr_runtimes.identifiers import Site
from ivr_runtimes.lease import is_alive, live_sessions
from ivr_runtimes.model import Node, Row
from ivr_runtimes.ports import Cost, NodeDirectory

NODES_MAX_AGE_S: Final = 1.0
"""How long the nodes that were read are used for further lists."""

_LIFE: Final = ("site", "node", "session")


class NodeCache:
    """The nodes of the configured sites, as last read. Leases are compared with `clock`, in epoch seconds."""

    def __init__(self, *, nodes: NodeDirectory, sites: Sequence[Site], clock: Callable[[], float] = time.time) -> None:
        self._nodes = nodes
        self._sites = sites
        self._clock = clock
        self._known: list[Node] = []
        self._read_at_s = float("-inf")

    def active_rows(self, cost: Cost) -> "ActiveRows":
        """Begin to collect the active rows of one request."""
        return ActiveRows(self, cost)

    def read(self, *, max_age_s: float, cost: Cost) -> bool:
        """Read the nodes if they were read longer than `max_age_s` ago; tell whether they were."""
        now_s = self._clock()
        if 0 <= now_s - self._read_at_s < max_age_s:
            return False
        known = self._nodes.all_nodes(cost=cost)
        self._known, self._read_at_s = [node for node in known if node.site in self._sites], now_s
        return True

    def live_sessions(self) -> frozenset[tuple[str, str, str]]:
        """Return (site, node, session) of each node whose lease holds now."""
        return live_sessions(self._known, now_s=self._clock())

    def summary(self) -> str:
        """Return how many nodes of each site are alive, of how many: `SITE1=2/2, SITE2=0/2`."""
        return ", ".join(self._counts())

    def _counts(self) -> Iterator[str]:
        now_s = self._clock()
        for site in self._sites:
            known = [node for node in self._known if node.site == site]
            yield f"{site}={sum(is_alive(node, now_s=now_s) for node in known)}/{len(known)}"


class ActiveRows:
    """The active rows of one request, collected page by page.

    `rows` holds those added so far whose node is alive and still in the session that wrote them. The nodes are read
    again before the first row is dropped, once per request, unless they were read for it already.
    """

    def __init__(self, nodes: NodeCache, cost: Cost) -> None:
        self._nodes = nodes
        self._cost = cost
        self._fresh = False
        self._live: frozenset[tuple[str, str, str]] | None = None
        self.rows: list[Row] = []

    def add(self, rows: Sequence[Row]) -> None:
        """Take in rows that were read just now; the dead ones are dropped."""
        if self._live is None:
            self._look(max_age_s=NODES_MAX_AGE_S)
        kept = self._kept(rows)
        if len(kept) < len(rows) and not self._fresh:
            # A row that fits no cached node may be the first of a new session. Then rows of the old session must not
            # be shown beside it, not even those of the pages before.
            self._look(max_age_s=0.0)
            self.rows, kept = self._kept(self.rows), self._kept(rows)
        self.rows += kept

    def site_nodes(self) -> str:
        """Return live and known nodes of every site, for the header `Site-Nodes`."""
        if self._live is None:
            self._look(max_age_s=NODES_MAX_AGE_S)
        return self._nodes.summary()

    def _look(self, *, max_age_s: float) -> None:
        self._fresh |= self._nodes.read(max_age_s=max_age_s, cost=self._cost)
        self._live = self._nodes.live_sessions()

    def _kept(self, rows: Sequence[Row]) -> list[Row]:
        live = self._live or frozenset()
        return list(compress(rows, map(live.__contains__, tuples_of(rows, _LIFE))))
