"""What a filter requires of every row that passes: the values of some attributes, and the range of start times.

Reads only the top level of a filter, the parts joined by `and`. It may miss a requirement, but never states a false
one; rows read by it still have to pass `rest`. Called by `planner`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Final, cast

from ivr_runtimes.fields import PERSONAL, FieldKind
from ivr_runtimes.identifiers import Domain
from ivr_runtimes.model import Row
from ivr_runtimes.query.evaluate import compiled, passing
from ivr_runtimes.query.expression import And, Compare, Expression, In, named_in
from ivr_runtimes.query.instants import Instant

SOUGHT: Final = frozenset({"id", "site", "node", "code", "type", *(field.name for field in PERSONAL)})
"""The fields by whose values a store can select rows."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_KEY: Final = "$"
"""The character after `#`: a bound that ends in it lies above all start keys of its second."""


@dataclass(slots=True)
class Narrowed:
    """What holds for every row that passes.

    Its attributes have the values in `among`. It started from `first_s` to `last_s` (epoch seconds, both included;
    None: no bound). `impossible`: no row passes. `rest`: the parts still to be tested, row by row.
    """

    among: dict[str, frozenset[str]] = field(default_factory=dict)
    first_s: int | None = None
    last_s: int | None = None
    impossible: bool = False
    rest: list[Expression] = field(default_factory=list)

    @property
    def low(self) -> str | None:
        """The lowest start key that may pass; None: no bound."""
        return None if self.first_s is None else _second(self.first_s)

    @property
    def high(self) -> str | None:
        """A bound above every start key that may pass; None: no bound."""
        second = None if self.last_s is None else _second(self.last_s)
        return None if second is None else second + _AFTER_KEY


def narrow(expression: Expression, domain: Domain) -> Narrowed:
    """Read a filter for the rows of one domain."""
    narrowed = Narrowed()
    for part in _conjuncts(expression):
        if {named.name for named in named_in(part)} == {"domain"}:
            # All rows that are read have this domain, so the result is known beforehand.
            narrowed.impossible |= not passing(compiled(part), [cast("Row", SimpleNamespace(domain=domain))])
            continue
        narrowed.rest.append(part)
        _take_values(narrowed, part)
        _take_times(narrowed, part)
    if narrowed.first_s is not None and narrowed.last_s is not None and narrowed.first_s > narrowed.last_s:
        narrowed.impossible = True
    return narrowed


def _conjuncts(expression: Expression) -> Iterator[Expression]:
    """Yield the parts that must all hold, from nested `and`s, too."""
    if isinstance(expression, And):
        for part in expression.parts:
            yield from _conjuncts(part)
    else:
        yield expression


def _take_values(narrowed: Narrowed, part: Expression) -> None:
    match part:
        case Compare("==", sought, constant):
            values = frozenset({constant})
        case In(sought, constants):
            values = frozenset(constants)
        case _:
            return
    if sought.name in SOUGHT:
        known = narrowed.among.get(sought.attribute)
        both = cast("frozenset[str]", values if known is None else values & known)
        narrowed.among[sought.attribute] = both
        narrowed.impossible |= not both


def _take_times(narrowed: Narrowed, part: Expression) -> None:
    """Narrow the range of start times. Rows start on whole seconds; constants may lie between two."""
    match part:
        case Compare(operator, sought, Instant() as instant) if sought.name == "starttime":
            _keep_within(narrowed, *_seconds(operator, instant))
        case In(sought, constants) if sought.kind is FieldKind.TIME and sought.name == "starttime":
            instants = cast("tuple[Instant, ...]", constants)
            _keep_within(narrowed, _seconds(">=", min(instants))[0], _seconds("<=", max(instants))[1])


def _seconds(operator: str, instant: Instant) -> tuple[int | None, int | None]:
    """Return the first and the last whole second that stand in this relation to an instant."""
    floor, ceiling = instant.epoch_s, instant.epoch_s + bool(instant.fraction)
    return cast(
        "Mapping[str, tuple[int | None, int | None]]",
        {
            "==": (ceiling, floor),
            ">=": (ceiling, None),
            ">": (floor + 1, None),
            "<=": (None, floor),
            "<": (None, ceiling - 1),
        },
    ).get(operator, (None, None))


def _keep_within(narrowed: Narrowed, first_s: int | None, last_s: int | None) -> None:
    narrowed.first_s = max((s for s in (narrowed.first_s, first_s) if s is not None), default=None)
    narrowed.last_s = min((s for s in (narrowed.last_s, last_s) if s is not None), default=None)


def _second(epoch_s: int) -> str | None:
    """Write a second as rows do; None (no bound) if it lies outside of what a `datetime` holds."""
    try:
        return (_EPOCH + timedelta(seconds=epoch_s)).isoformat()[:19] + "Z"
    except OverflowError:
        return None
