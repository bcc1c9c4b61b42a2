"""The list: every active runtime of the caller's domain that the query asks for (docs/query.md).

Carries out the plan of `planner`: reads, filters, drops the rows of dead nodes, sorts, cuts the window. Every plan
gives the answer that reading all rows would give. Called by the list function.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter, eq
from typing import Final

from ivr_runtimes.errors import ListUnavailableError, ResultTooLargeError, StoreUnavailableError
from ivr_runtimes.identifiers import Domain, Site
from ivr_runtimes.listing.liveness import ActiveRows, NodeCache
from ivr_runtimes.listing.planner import AccessPath, Plan, plan
from ivr_runtimes.model import Row, start_key
from ivr_runtimes.ports import Cost, NodeDirectory, Page, RuntimeIndex
from ivr_runtimes.query import ListQuery
from ivr_runtimes.query.cursor import Cursor, behind
from ivr_runtimes.query.evaluate import passing

RETRY_AFTER_S: Final = 1
"""When to ask again after the table did not answer."""

SLACK_ROWS: Final = 10
"""How many rows a page reads beyond its window, so that a few dead rows cost no second call."""

GROWTH: Final = 4
"""Each further call for a page reads this many times as much; after three calls a whole page of the table."""

MAX_LIMIT: Final = 10_000
"""From here on no `Limit` is sent: a page of 1 MB holds fewer rows anyway."""

MAX_ROWS: Final = 400_000
"""The most rows that one answer is made of: some 400 MB of the function's memory."""

BUDGET_S: Final = 10.0
"""How long reading for one answer may take. Well within the function's timeout, so that it can still answer."""

_ID: Final = attrgetter("id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The rows to show, the live and known nodes of each site (`SITE1=2/2, SITE2=0/2`), the plan and its cost.

    `total` counts all rows that match, if that was asked for. `following` is the cursor of the next page, if
    there is one and the order is by starttime.
    """

    rows: list[Row]
    site_nodes: str
    total: int | None
    following: Cursor | None
    plan: str
    cost: Cost


class RuntimeList:
    """The use case. Leases are compared with `clock`, in epoch seconds; `timer` is in monotonic seconds."""

    def __init__(
        self,
        *,
        runtimes: RuntimeIndex,
        nodes: NodeDirectory,
        sites: Sequence[Site],
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtimes = runtimes
        self._sites = sites
        self._timer = timer
        self._node_cache = NodeCache(nodes=nodes, sites=sites, clock=clock)

    def select(self, query: ListQuery, domain: Domain, *, count: bool = False) -> Listing:
        """Answer a query for one domain; with `count`, also count all rows that match.

        Raises `ListUnavailableError`, and `ResultTooLargeError` for more rows than one answer can be made of.
        """
        try:
            return self._select(query, domain, count=count)
        except StoreUnavailableError as error:
            detail = "The list cannot be read now. Nothing is wrong with the request: repeat it."
            raise ListUnavailableError(detail, retry_after_s=RETRY_AFTER_S) from error

    def _select(self, query: ListQuery, domain: Domain, *, count: bool) -> Listing:
        cost = Cost()
        chosen = plan(query, domain=domain, sites=self._sites, count=count)
        active = self._node_cache.active_rows(cost)
        matching = self._in_order(query, chosen, domain, active, cost)
        rows = list(_behind(matching, query.after)) if count else matching  # a count reads all rows
        shown = query.window(rows)
        return Listing(
            rows=shown,
            site_nodes=active.site_nodes(),
            total=len(matching) if count else None,
            following=_following(query, rows, shown),
            plan=chosen.name,
            cost=cost,
        )

    def _in_order(self, query: ListQuery, chosen: Plan, domain: Domain, active: ActiveRows, cost: Cost) -> list[Row]:
        """Return the active rows that match, in the query's order; of a page, as many as it needs."""
        if chosen.path is AccessPath.NOTHING:
            return []
        if chosen.path is AccessPath.KEYS:
            found = self._of_ids(chosen, cost) if chosen.ids and chosen.sites else ()
            active.add([row for row in _passing(found, chosen) if row.domain == domain])
            return query.sort(active.rows)
        until_s = self._timer() + BUDGET_S
        for page in self._pages(chosen, domain, cost):
            active.add(_passing(page.rows, chosen))
            if chosen.path is AccessPath.PAGE and _is_full(active.rows, chosen):
                break
            if page.resume is not None and (len(active.rows) > MAX_ROWS or self._timer() > until_s):
                raise _too_many(cost)
        in_order = chosen.path is not AccessPath.SORT and _distinct(active.rows)
        return active.rows if in_order else query.sort(active.rows)

    def _of_ids(self, chosen: Plan, cost: Cost) -> Sequence[Row]:
        return self._runtimes.of_ids(chosen.ids, chosen.sites, cost=cost, numbers=chosen.numbers)

    def _pages(self, chosen: Plan, domain: Domain, cost: Cost) -> Iterator[Page]:
        """Read page after page: for a window a small one first, then larger ones; else as much as each call gives."""
        limit = chosen.enough + SLACK_ROWS if chosen.path is AccessPath.PAGE else MAX_LIMIT
        resume: object = None
        while True:
            ask = limit if limit < MAX_LIMIT else None
            page = self._runtimes.page(
                domain, chosen.stretch, cost=cost, resume=resume, limit=ask, numbers=chosen.numbers
            )
            yield page
            if page.resume is None:
                return
            resume, limit = page.resume, limit * GROWTH


def _passing(rows: Sequence[Row], chosen: Plan) -> Sequence[Row]:
    return _behind(rows if chosen.test is None else passing(chosen.test, rows), chosen.after)


def _behind(rows: Sequence[Row], after: Cursor | None) -> Sequence[Row]:
    return rows if after is None else [row for row in rows if after.precedes(row)]


def _is_full(rows: Sequence[Row], chosen: Plan) -> bool:
    """Tell whether the window is full and no further row belongs in it: one of the same key, at another site, might."""
    return len(rows) >= chosen.enough and start_key(rows[-1]) != start_key(rows[chosen.enough - 2])


def _distinct(rows: Sequence[Row]) -> bool:
    """Tell whether no two neighbours have one id: the index has no fixed order among rows of the same key."""
    ids = list(map(_ID, rows))
    return not any(map(eq, ids, islice(ids, 1, None)))


def _too_many(cost: Cost) -> ResultTooLargeError:
    return ResultTooLargeError(
        f"There is more to read than one answer can be made of: at most {MAX_ROWS} matching rows, read within"
        f" {BUDGET_S:g} s; {cost.rows_read} rows were read. Ask for pages under the order by starttime: limit=1000,"
        " then each Link header with rel=next. Or bound starttime in the filter, and leave count=exact out."
    )


def _following(query: ListQuery, rows: Sequence[Row], shown: Sequence[Row]) -> Cursor | None:
    key = query.start_order
    if key is None or query.limit is None or not shown or len(rows) <= query.offset + query.limit:
        return None
    return behind(shown[-1], descending=key.descending)
