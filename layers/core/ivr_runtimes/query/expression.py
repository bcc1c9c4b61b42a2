"""A filter as plain data: the tree that `filter` builds, `evaluate` compiles and the planner reads.

Owns the types, and which fields an expression names. The types are msgspec's: making such a class takes a fifth of a
dataclass's time, which counts at every cold start. Operators are named as in `operators`; a comparison has its field on
the left.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from ivr_runtimes.fields import Field
from ivr_runtimes.query.instants import Instant

Constant: TypeAlias = str | Instant
"""A string, or an instant where the field is a time."""

Expression: TypeAlias = "And | Or | Not | Compare | In | Like | IsNull"


class And(Struct, frozen=True):
    """All parts match; without parts every row matches."""

    parts: tuple[Expression, ...]


class Or(Struct, frozen=True):
    """Any part matches."""

    parts: tuple[Expression, ...]


class Not(Struct, frozen=True):
    """The part does not match."""

    part: Expression


class Compare(Struct, frozen=True):
    """The field's value stands in a relation to the constant; `operator` is one of `operators.RELATIONS`."""

    operator: str
    field: Field
    constant: Constant


class In(Struct, frozen=True):
    """The field's value is one of the constants."""

    field: Field
    constants: tuple[Constant, ...]


class Like(Struct, frozen=True):
    """The field's whole value fits the pattern (see `like`)."""

    field: Field
    pattern: str


class IsNull(Struct, frozen=True):
    """The field is not set."""

    field: Field


MATCH_ALL: Final = And(())
"""The filter of a list that asks for none."""


def named_in(expression: Expression) -> Iterator[Field]:
    """Yield the fields that an expression tests, each as often as it stands there."""
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from named_in(part)
        case Not(part):
            yield from named_in(part)
        case Compare() | In() | Like() | IsNull():
            yield expression.field
