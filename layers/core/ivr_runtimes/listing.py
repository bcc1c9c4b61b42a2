"""The list: every active runtime of the caller's domain that the query asks for (DESIGN section 5).

Carries out what `planner` chose: reads, filters, drops what no living node vouches for, orders, cuts the window.
Whatever the plan, the answer is that of reading everything. Called by the list function.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Final

from ivr_runtimes.errors import ListUnavailableError, StoreUnavailableError
from ivr_runtimes.model import Row, start_key
from ivr_runtimes.names import Domain, Site
from ivr_runtimes.planner import Kind, Plan, plan
from ivr_runtimes.ports import Cost, NodeDirectory, Page, RuntimeIndex
from ivr_runtimes.query import ListQuery
from ivr_runtimes.query.cursor import Cursor, behind
from ivr_runtimes.roster import RollCall, Roster

RETRY_AFTER_S: Final = 1
"""When to ask again after the table did not answer."""

SLACK_ROWS: Final = 10
"""How many rows a page reads beyond its window, so that a few dead ones cost no second call."""

GROWTH: Final = 4
"""How much more each further call for a page reads: three calls come to a whole page of the table."""

_ID: Final = attrgetter("id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The rows to show; the sites the answer covers (`SITE1=2/2, SITE2=0/2`: live/known nodes); what it took.

    `total` counts all rows that match, if that was asked for; `following` is the place behind the last row if others
    follow under a starttime order.
    """

    rows: list[Row]
    site_nodes: str
    total: int | None
    following: Cursor | None
    plan: str
    cost: Cost


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
        self._sites = sites
        self._roster = Roster(nodes=nodes, sites=sites, clock=clock)

    def select(self, query: ListQuery, domain: Domain, *, count: bool = False) -> Listing:
        """Answer a query for one domain, and `count` all that match; raises `ListUnavailableError`."""
        try:
            return self._select(query, domain, count=count)
        except StoreUnavailableError as error:
            detail = "The list cannot be read now. Nothing is wrong with the request: repeat it."
            raise ListUnavailableError(detail, retry_after_s=RETRY_AFTER_S) from error

    def _select(self, query: ListQuery, domain: Domain, *, count: bool) -> Listing:
        cost = Cost()
        chosen = plan(query, domain=domain, sites=self._sites, count=count)
        call = self._roster.call(cost)
        matching = self._in_order(query, chosen, domain, call, cost)
        rows = matching if query.after is None else [row for row in matching if query.after.lies_before(row)]
        shown = query.window(rows)
        return Listing(
            rows=shown,
            site_nodes=call.site_nodes(),
            total=len(matching) if count else None,
            following=_following(query, rows, shown),
            plan=chosen.name,
            cost=cost,
        )

    def _in_order(self, query: ListQuery, chosen: Plan, domain: Domain, call: RollCall, cost: Cost) -> list[Row]:
        """Return the active rows that match, in the query's order: all, or for a page enough of them."""
        if chosen.kind is Kind.NOTHING:
            return []
        if chosen.kind is Kind.KEYS:
            found = self._runtimes.of_ids(chosen.ids, chosen.sites, cost=cost) if chosen.ids and chosen.sites else ()
            return query.sort(call.active([row for row in _passing(found, chosen) if row.domain == domain]))
        rows: list[Row] = []
        for page in self._pages(chosen, domain, cost):
            rows += call.active(_passing(page.rows, chosen))
            if chosen.kind is Kind.PAGE and _is_full(rows, chosen):
                break
        return rows if chosen.kind is not Kind.SORT and _distinct(rows) else query.sort(rows)

    def _pages(self, chosen: Plan, domain: Domain, cost: Cost) -> Iterator[Page]:
        """Read page after page: of all the table gives, or as large as the window, then growing."""
        limit = chosen.enough + SLACK_ROWS if chosen.kind is Kind.PAGE else None
        page = self._runtimes.page(domain, chosen.stretch, cost=cost, limit=limit)
        yield page
        while page.resume is not None:
            limit = limit * GROWTH if limit is not None else None
            page = self._runtimes.page(domain, chosen.stretch, cost=cost, resume=page.resume, limit=limit)
            yield page


def _passing(rows: Sequence[Row], chosen: Plan) -> Sequence[Row]:
    return rows if chosen.test is None else list(compress(rows, map(chosen.test, rows)))


def _is_full(rows: Sequence[Row], chosen: Plan) -> bool:
    """Tell whether the window is filled and settled: a row of the last one's key, at another site, might belong in."""
    return len(rows) >= chosen.enough and start_key(rows[-1]) != start_key(rows[chosen.enough - 2])


def _distinct(rows: Sequence[Row]) -> bool:
    """Tell whether no id is claimed by two sites: the index keeps no order among those."""
    return len(set(map(_ID, rows))) == len(rows)


def _following(query: ListQuery, rows: Sequence[Row], shown: Sequence[Row]) -> Cursor | None:
    key = query.start_order
    if key is None or query.limit is None or not shown or len(rows) <= query.offset + query.limit:
        return None
    return behind(shown[-1], descending=key.descending)
