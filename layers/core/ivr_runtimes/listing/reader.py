"""The list: every active runtime of the caller's domain that the query asks for (docs/query.md).

Carries out what `planner` chose: reads, filters, drops what no living node vouches for, orders, cuts the window.
Whatever the plan, the answer is that of reading everything. Called by the list function.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter, eq
from typing import Final

from ivr_runtimes.errors import ListUnavailableError, ResultTooLargeError, StoreUnavailableError
from ivr_runtimes.listing.planner import Kind, Plan, plan
from ivr_runtimes.listing.roster import RollCall, Roster
from ivr_runtimes.model import Row, start_key
from ivr_runtimes.names import Domain, Site
from ivr_runtimes.ports import Cost, NodeDirectory, Page, RuntimeIndex
from ivr_runtimes.query import ListQuery
from ivr_runtimes.query.cursor import Cursor, behind
from ivr_runtimes.query.evaluate import passing

RETRY_AFTER_S: Final = 1
"""When to ask again after the table did not answer."""

SLACK_ROWS: Final = 10
"""How many rows a page reads beyond its window, so that a few dead ones cost no second call."""

GROWTH: Final = 4
"""How much more each further call for a page reads: three calls come to a whole page of the table."""

MAX_LIMIT: Final = 10_000
"""The largest `Limit` asked for, of more rows than a page of 1 MB holds: beyond, the table gives what it can."""

MAX_ROWS: Final = 400_000
"""How many rows one answer may be made of: some 400 MB of the function's memory."""

BUDGET_S: Final = 10.0
"""How long one answer may be read for: well within the function's timeout, so that it can still say so."""

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
    """The use case. `clock` is epoch seconds, against which leases are judged; `timer` is monotonic seconds."""

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
        self._roster = Roster(nodes=nodes, sites=sites, clock=clock)

    def select(self, query: ListQuery, domain: Domain, *, count: bool = False) -> Listing:
        """Answer a query for one domain, and `count` all that match.

        Raises `ListUnavailableError`, and `ResultTooLargeError` for more rows than can be read or held at once.
        """
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
        rows = list(_behind(matching, query.after)) if count else matching  # the plan left `after` to us
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
            call.hear([row for row in _passing(found, chosen) if row.domain == domain])
            return query.sort(call.active)
        until_s = self._timer() + BUDGET_S
        for page in self._pages(chosen, domain, cost):
            call.hear(_passing(page.rows, chosen))
            if chosen.kind is Kind.PAGE and _is_full(call.active, chosen):
                break
            if page.resume is not None and (len(call.active) > MAX_ROWS or self._timer() > until_s):
                raise _too_many(cost)
        in_order = chosen.kind is not Kind.SORT and _distinct(call.active)
        return call.active if in_order else query.sort(call.active)

    def _pages(self, chosen: Plan, domain: Domain, cost: Cost) -> Iterator[Page]:
        """Read page after page: of all the table gives, or as large as the window, then growing."""
        limit = chosen.enough + SLACK_ROWS if chosen.kind is Kind.PAGE else MAX_LIMIT
        resume: object = None
        while True:
            ask = limit if limit < MAX_LIMIT else None
            page = self._runtimes.page(domain, chosen.stretch, cost=cost, resume=resume, limit=ask)
            yield page
            if page.resume is None:
                return
            resume, limit = page.resume, limit * GROWTH


def _passing(rows: Sequence[Row], chosen: Plan) -> Sequence[Row]:
    return _behind(rows if chosen.test is None else passing(chosen.test, rows), chosen.after)


def _behind(rows: Sequence[Row], after: Cursor | None) -> Sequence[Row]:
    return rows if after is None else [row for row in rows if after.precedes(row)]


def _is_full(rows: Sequence[Row], chosen: Plan) -> bool:
    """Tell whether the window is filled and settled: a row of the last one's key, at another site, might belong in."""
    return len(rows) >= chosen.enough and start_key(rows[-1]) != start_key(rows[chosen.enough - 2])


def _distinct(rows: Sequence[Row]) -> bool:
    """Tell whether no row has its neighbour's id: the index keeps no order among rows of one key."""
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
