"""What a caller asks of the list, as a whole: the raw query string parsed, and the four steps that answer it.

Owns which parameters there are. Collects what is wrong with each, so that a caller can put everything right at once.
Called by the list's use case.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.fields import DOCUMENTED, Field
from ivr_runtimes.model import Runtime
from ivr_runtimes.query import evaluate, filter, mask, order, params, window  # noqa: A004  # the parameter's name
from ivr_runtimes.query.evaluate import Test
from ivr_runtimes.query.expression import MATCH_ALL, Expression
from ivr_runtimes.query.faults import merged
from ivr_runtimes.query.mask import Rendering
from ivr_runtimes.query.order import OrderKey

PARAMETERS: Final[dict[str, Callable[[str], Any]]] = {
    "filter": filter.parse,
    "mask": mask.parse,
    "offset": partial(window.parse, "offset"),
    "limit": partial(window.parse, "limit"),
    "order": order.parse,
    "flat": mask.parse_flat,
}
"""Every parameter and how its decoded value is read, in the contract's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A valid query. Without parameters: every runtime, by starttime and id, with the eight documented fields.

    `order` is complete, id included; `mask` is in the documented order; `limit` is None for all rows from `offset` on.
    To answer: keep what `matches`, `sort` it, cut the `window`, `render` each row.
    """

    filter: Expression = MATCH_ALL
    order: tuple[OrderKey, ...] = order.DEFAULT
    mask: tuple[Field, ...] = DOCUMENTED
    flat: bool = False
    offset: int = 0
    limit: int | None = None
    _test: Test = field(init=False, repr=False, compare=False)
    _show: Rendering = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile what runs once per row."""
        object.__setattr__(self, "_test", evaluate.compiled(self.filter))
        object.__setattr__(self, "_show", mask.rendering(self.mask, flat=self.flat))

    def matches(self, runtime: Runtime) -> bool:
        """Tell whether the filter lets a runtime through."""
        return self._test(runtime)

    def sort(self, runtimes: Iterable[Runtime]) -> list[Runtime]:
        """Return the runtimes in the order asked for."""
        return order.ordered(runtimes, self.order)

    def window(self, runtimes: list[Runtime]) -> list[Runtime]:
        """Return the part of a sorted list asked for."""
        return window.cut(runtimes, offset=self.offset, limit=self.limit)

    def render(self, runtime: Runtime) -> dict[str, object]:
        """Return a runtime as the JSON object to show."""
        return self._show(runtime)


def parse_list_query(raw_query_string: str) -> ListQuery:
    """Parse a raw, still encoded query string; raises `InvalidRequestError` with one fault per wrong parameter."""
    parsed: dict[str, Any] = {}
    errors: list[InvalidRequestError] = []
    for name, encoded in params.group(raw_query_string).items():
        try:
            params.check_name(name, PARAMETERS)
            parsed[name] = PARAMETERS[name](params.value(name, encoded))
        except InvalidRequestError as error:
            errors.append(error)
    if errors:
        raise merged(errors)
    return ListQuery(**parsed)
