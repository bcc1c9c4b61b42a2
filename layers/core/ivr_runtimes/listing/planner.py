"""The choice of the cheapest read for a query (the table in docs/query.md says what each costs).

Owns which rows are read, in which order, and when there are enough. Never reads: `reader` carries the plan out, and
applies filter, liveness and window to all that was read. So a plan may cost too much, but it cannot be wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Final

from ivr_runtimes.identifiers import Domain, RuntimeId, Site
from ivr_runtimes.listing.narrow import Narrowed, narrow
from ivr_runtimes.ports import Stretch
from ivr_runtimes.query import ListQuery
from ivr_runtimes.query.cursor import Cursor
from ivr_runtimes.query.evaluate import Test, compiled
from ivr_runtimes.query.expression import And

MAX_KEY_READS: Final = 1000
"""The most keys (ids times sites) that are read one by one, in ten calls. Beyond, reading the domain costs no more."""

MAX_AMONG: Final = 100
"""DynamoDB's IN takes at most 100 operands (DynamoDB developer guide, "Condition and filter expressions")."""

MAX_KEY_BYTES: Final = 1024
"""The longest sort key that DynamoDB allows: no row has a longer id, and reading one would be an error."""


class AccessPath(StrEnum):
    """How the rows are read."""

    NOTHING = "nothing"
    """No row can match: none is read."""
    KEYS = "keys"
    """By id, at every site."""
    PAGE = "page"
    """Along the index, until the window is full."""
    WALK = "walk"
    """Along the index, to its end."""
    SORT = "sort"
    """All rows, which are then sorted in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to read.

    `enough` is how many rows fill the window of a `PAGE`, and one more, which tells whether others follow. Rows have
    numbers only if the query names one (`numbers`). They must still pass `test` (None: all pass) and follow the cursor
    `after`, if there is one.
    """

    path: AccessPath
    test: Test | None = None
    after: Cursor | None = None
    stretch: Stretch = field(default_factory=Stretch)
    ids: Sequence[RuntimeId] = ()
    sites: Sequence[Site] = ()
    enough: int = 0
    numbers: bool = False

    @property
    def name(self) -> str:
        """The plan in words, for logs: the access path, whether start times bound it, what the table filters by."""
        ranged = ["range"] if (self.stretch.low or self.stretch.high) else []
        return "+".join([self.path, *ranged, *sorted(self.stretch.among)])


def plan(query: ListQuery, *, domain: Domain, sites: Sequence[Site], count: bool) -> Plan:
    """Choose how to read. With `count` all rows that match are counted, whatever the window."""
    narrowed = narrow(query.filter, domain)
    after = None if count else query.after  # all rows that match are counted, also those before the cursor
    stretch = _stretch(query, narrowed, after)
    empty = stretch.low is not None and stretch.high is not None and stretch.low > stretch.high
    if narrowed.impossible or empty or (query.limit == 0 and not count):
        return Plan(path=AccessPath.NOTHING)
    test = compiled(And(tuple(narrowed.rest))) if narrowed.rest else None
    by = partial(Plan, test=test, after=after, numbers=bool(query.personal))
    keyed = _keys(narrowed, sites)
    if keyed is not None:
        return by(path=AccessPath.KEYS, ids=keyed[0], sites=keyed[1])
    if query.start_order is None:
        return by(path=AccessPath.SORT, stretch=stretch)
    if query.limit is None or count:
        return by(path=AccessPath.WALK, stretch=stretch)
    return by(path=AccessPath.PAGE, stretch=stretch, enough=query.offset + query.limit + 1)


def _keys(narrowed: Narrowed, sites: Sequence[Site]) -> tuple[list[RuntimeId], list[Site]] | None:
    """Return the ids, and the sites at which to look them up; None if the filter names no ids or too many."""
    if "id" not in narrowed.among:
        return None
    wanted = narrowed.among.get("site")
    at = [site for site in sites if wanted is None or site in wanted]
    ids = [RuntimeId(i) for i in sorted(narrowed.among["id"]) if 0 < len(i.encode()) <= MAX_KEY_BYTES]
    return (ids, at) if len(ids) * len(at) <= MAX_KEY_READS else None


def _stretch(query: ListQuery, narrowed: Narrowed, after: Cursor | None) -> Stretch:
    stretch = Stretch(
        low=narrowed.low,
        high=narrowed.high,
        descending=bool(query.start_order and query.start_order.descending),
        among={name: values for name, values in narrowed.among.items() if _can_be_told(name, values)},
    )
    return stretch if after is None else _from(stretch, after.start_key)


def _from(stretch: Stretch, key: str) -> Stretch:
    """Begin where the last page ended. Its last row is read again: another site may have a row of the same key."""
    if stretch.descending:
        return replace(stretch, high=key if stretch.high is None else min(stretch.high, key))
    return replace(stretch, low=key if stretch.low is None else max(stretch.low, key))


def _can_be_told(name: str, values: frozenset[str]) -> bool:
    """Tell whether the table may filter by these values. Stores differ in how they compare empty strings."""
    return name != "id" and len(values) <= MAX_AMONG and "" not in values
