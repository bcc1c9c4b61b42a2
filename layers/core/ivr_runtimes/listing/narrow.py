"""What a filter says of every row that it lets through: the values some attributes must have, and when it started.

Owns the reading of a filter's top level, its `and`ed parts. Only ever says too little, never too much: whoever reads
less on its word applies the whole filter to what was read. Called by `planner`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Final, cast

from ivr_runtimes.fields import FieldKind
from ivr_runtimes.identifiers import Domain
from ivr_runtimes.model import Row
from ivr_runtimes.query.evaluate import compiled, passing
from ivr_runtimes.query.expression import And, Compare, Expression, In, Not, Or
from ivr_runtimes.query.instants import Instant

SOUGHT: Final = frozenset({"id", "site", "node", "code", "type"})
"""The fields whose values a reader can be told."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_KEY: Final = "$"
"""Follows `#`: greater than every start key of the second before it."""


@dataclass(slots=True)
class Narrowed:
    """What holds for every row that passes.

    Its attributes are `among` those values; it started within `first_s` to `last_s` (epoch seconds, both included;
    None: open). `impossible`: no row passes. `rest`: the parts that are still to be tested, row by row.
    """

    among: dict[str, frozenset[str]] = field(default_factory=dict)
    first_s: int | None = None
    last_s: int | None = None
    impossible: bool = False
    rest: list[Expression] = field(default_factory=list)

    @property
    def low(self) -> str | None:
        """The least start key there may be; None: any."""
        return None if self.first_s is None else _second(self.first_s)

    @property
    def high(self) -> str | None:
        """A bound above every start key there may be; None: any."""
        second = None if self.last_s is None else _second(self.last_s)
        return None if second is None else second + _AFTER_KEY


def narrow(expression: Expression, domain: Domain) -> Narrowed:
    """Read a filter for the rows of one domain."""
    narrowed = Narrowed()
    for part in _conjuncts(expression):
        if fields_of(part) == {"domain"}:
            # All rows there are have this very domain, so the answer is known before any is read.
            narrowed.impossible |= not passing(compiled(part), [cast("Row", SimpleNamespace(domain=domain))])
            continue
        narrowed.rest.append(part)
        _take_values(narrowed, part)
        _take_times(narrowed, part)
    if narrowed.first_s is not None and narrowed.last_s is not None and narrowed.first_s > narrowed.last_s:
        narrowed.impossible = True
    return narrowed


def fields_of(expression: Expression) -> set[str]:
    """Return the attributes that an expression looks at."""
    match expression:
        case And(parts) | Or(parts):
            return set[str]().union(*map(fields_of, parts))
        case Not(part):
            return fields_of(part)
    return {expression.field.attribute}


def _conjuncts(expression: Expression) -> Iterator[Expression]:
    """Yield what must hold all at once, however deep the `and`s lie in each other."""
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
        known = narrowed.among.get(sought.name)
        both = cast("frozenset[str]", values if known is None else values & known)
        narrowed.among[sought.name] = both
        narrowed.impossible |= not both


def _take_times(narrowed: Narrowed, part: Expression) -> None:
    """Narrow the starts. Rows start on whole seconds, constants may lie between two."""
    match part:
        case Compare(operator, sought, Instant() as instant) if sought.name == "starttime":
            _keep_within(narrowed, *_seconds(operator, instant))
        case In(sought, constants) if sought.kind is FieldKind.TIME and sought.name == "starttime":
            instants = cast("tuple[Instant, ...]", constants)
            _keep_within(narrowed, _seconds(">=", min(instants))[0], _seconds("<=", max(instants))[1])


def _seconds(operator: str, instant: Instant) -> tuple[int | None, int | None]:
    """Return the first and the last whole second in that relation to an instant."""
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
    """Write a second as rows do; None for one outside of what a `datetime` holds, whose bound is then left open."""
    try:
        return (_EPOCH + timedelta(seconds=epoch_s)).isoformat()[:19] + "Z"
    except OverflowError:
        return None
