"""The list: every active runtime of the caller's domain that the query asks for (DESIGN section 5).

Reads the domain's rows, drops those whose node does not vouch for them, filters, orders and cuts the window.
Correct before clever: it reads all rows of the domain for every query.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.errors import ListUnavailableError, StoreUnavailableError
from ivr_runtimes.lease import NodeKey, by_key, is_active, is_alive
from ivr_runtimes.model import Node, Runtime
from ivr_runtimes.names import Domain, Site
from ivr_runtimes.ports import NodeDirectory, RuntimeIndex
from ivr_runtimes.query import ListQuery

NODES_MAX_AGE_S: Final = 1.0
"""How long one reading of the nodes serves further lists."""

RETRY_AFTER_S: Final = 1
"""When to ask again after the table did not answer."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows to show as JSON objects, and the sites the answer covers (`SITE1=2/2, SITE2=0/2`: live/known nodes)."""

    rows: list[dict[str, object]]
    site_nodes: str


class RuntimeList:
    """The use case. `clock` is epoch seconds, against which leases are judged."""

    def __init__(
        self,
        *,
        runtimes: RuntimeIndex,
        nodes: NodeDirectory,
        sites: Sequence[Site],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._runtimes = runtimes
        self._nodes = nodes
        self._sites = sites
        self._clock = clock
        self._known: dict[NodeKey, Node] = {}
        self._known_at_s = float("-inf")

    def select(self, query: ListQuery, domain: Domain) -> Listing:
        """Answer a query for one domain; raises `ListUnavailableError` when a table does not answer."""
        try:
            return self._select(query, domain)
        except StoreUnavailableError as error:
            detail = "The list cannot be read now. Nothing is wrong with the request: repeat it."
            raise ListUnavailableError(detail, retry_after_s=RETRY_AFTER_S) from error

    def _select(self, query: ListQuery, domain: Domain) -> Listing:
        wanted = [row for row in self._runtimes.of_domain(domain) if query.matches(row)]
        fresh = self._refresh_nodes(max_age_s=NODES_MAX_AGE_S)
        active = self._active(wanted)
        if len(active) < len(wanted) and not fresh:
            # A row the cached nodes do not vouch for may be the first of a new session: look again, once.
            self._refresh_nodes(max_age_s=0.0)
            active = self._active(wanted)
        rows = query.window(query.sort(active))
        return Listing([query.render(row) for row in rows], self._site_nodes(self._known))

    def _refresh_nodes(self, *, max_age_s: float) -> bool:
        """Read the nodes unless they are known well enough; tell whether they were read."""
        now_s = self._clock()
        if 0 <= now_s - self._known_at_s < max_age_s:
            return False
        self._known, self._known_at_s = by_key(self._nodes.all_nodes()), now_s
        return True

    def _active(self, rows: Sequence[Runtime]) -> list[Runtime]:
        now_s = self._clock()
        return [row for row in rows if is_active(row, self._known, now_s=now_s)]

    def _site_nodes(self, nodes: Mapping[NodeKey, Node]) -> str:
        now_s = self._clock()
        counts = []
        for site in self._sites:
            known = [node for node in nodes.values() if node.site == site]
            counts.append(f"{site}={sum(is_alive(node, now_s=now_s) for node in known)}/{len(known)}")
        return ", ".join(counts)
