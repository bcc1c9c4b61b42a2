"""A list request as a whole: the parsed query string, and the steps that answer it.

Owns which parameters there are and which go together. Collects the faults of all of them, so that a caller can correct
them in one go. Called by the list function and by `listing`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.fields import DOCUMENTED, Field
from ivr_runtimes.model import Row
from ivr_runtimes.query import cursor, filter, mask, order, params, window  # noqa: A004  # the parameter's name
from ivr_runtimes.query.cursor import Cursor
from ivr_runtimes.query.expression import MATCH_ALL, Expression, named_in
from ivr_runtimes.query.faults import invalid, merged
from ivr_runtimes.query.order import OrderKey

PARAMETERS: Final[dict[str, Callable[[str], Any]]] = {
    "filter": filter.parse,
    "mask": mask.parse,
    "offset": partial(window.parse, "offset"),
    "limit": partial(window.parse, "limit"),
    "order": order.parse,
    "flat": mask.parse_flat,
    "after": cursor.parse,
}
"""Every parameter and the parser of its decoded value: those of the public contract in its order, then ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A valid query. Without parameters: every runtime, by starttime and id, with the eight documented fields.

    `order` is complete, id included; `mask` is in the documented order; `limit` is None for all rows from `offset` on.
    To answer: keep what passes the `filter`, `sort` it, leave out what does not follow `after`, cut the `window`,
    `render` the rows.
    """

    filter: Expression = MATCH_ALL
    order: tuple[OrderKey, ...] = order.DEFAULT
    mask: tuple[Field, ...] = DOCUMENTED
    flat: bool = False
    offset: int = 0
    limit: int | None = None
    after: Cursor | None = None

    @property
    def start_order(self) -> OrderKey | None:
        """The key of starttime if the index has this order (start order or its reverse); else None."""
        return order.start_order(self.order)

    @property
    def personal(self) -> dict[str, list[str]]:
        """The names of the personal fields in each parameter that names one."""
        named = {"filter": named_in(self.filter), "mask": self.mask, "order": (key.field for key in self.order)}
        found = {place: dict.fromkeys(field.name for field in of if field.personal) for place, of in named.items()}
        return {place: list(names) for place, names in found.items() if names}

    def sort(self, runtimes: Iterable[Row]) -> list[Row]:
        """Return the runtimes in the query's order."""
        return order.ordered(runtimes, self.order)

    def window(self, runtimes: list[Row]) -> list[Row]:
        """Return the part of a sorted list that `offset` and `limit` select."""
        return window.cut(runtimes, offset=self.offset, limit=self.limit)

    def render(self, runtimes: Sequence[Row]) -> bytes:
        """Return the runtimes as a JSON array in UTF-8."""
        return msgspec.json.encode(mask.rendering(self.mask, flat=self.flat)(runtimes))


def parse_list_query(raw_query_string: str) -> ListQuery:
    """Parse a raw, still encoded query string; raises `InvalidRequestError` with one fault per wrong parameter."""
    parsed: dict[str, Any] = {}
    errors: dict[str, InvalidRequestError] = {}
    for name, encoded in params.group(raw_query_string).items():
        try:
            params.check_name(name, PARAMETERS)
            parsed[name] = PARAMETERS[name](params.value(name, encoded))
        except InvalidRequestError as error:
            errors[name] = error
    if errors:
        raise _refusal(errors)
    query = ListQuery(**parsed)
    if misplaced := list(_misplaced(query, parsed)):
        raise merged(misplaced)
    return query


def _misplaced(query: ListQuery, given: Iterable[str]) -> Iterable[InvalidRequestError]:
    """Yield what is wrong with `after` beside the other parameters."""
    if query.after is None:
        return
    if "offset" in given:
        yield invalid("after", "stands beside offset", remedy="leave offset out: after says where the page begins")
    key = query.start_order
    if key is None:
        yield invalid("after", "needs the order by starttime", remedy="leave order out, or page with offset")
    elif key.descending is not query.after.descending:
        yield invalid("after", "was made for the reverse order", remedy="keep the order that the page before it had")


def _refusal(errors: Mapping[str, InvalidRequestError]) -> InvalidRequestError:
    """Join the errors of several parameters. The log names the parameters alone: any of them may hold a number."""
    refusal = merged(list(errors.values()))
    known = [name for name in PARAMETERS if name in errors]
    named = known if len(known) == len(errors) else [*known, "an unknown one"]
    refusal.logged = f"wrong parameters: {', '.join(named)}"
    return refusal
