"""What a filter means, as plain data: the tree that the parser builds, the evaluator compiles, a planner looks into.

Owns shapes only. Operators are named as in `operators`; a comparison always has its field on the left.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ivr_runtimes.fields import Field
from ivr_runtimes.query.instants import Instant

Constant: TypeAlias = str | Instant
"""A string, or an instant where the field is a time."""

Expression: TypeAlias = "And | Or | Not | Compare | In | Like | IsNull"


@dataclass(frozen=True, slots=True)
class And:
    """All parts match; true without parts."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any part matches."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Compare:
    """The field's value stands in a relation to the constant; `operator` is one of `operators.RELATIONS`."""

    operator: str
    field: Field
    constant: Constant


@dataclass(frozen=True, slots=True)
class In:
    """The field's value is one of the constants."""

    field: Field
    constants: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """The field's whole value fits the pattern (see `like`)."""

    field: Field
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field is not set."""

    field: Field


MATCH_ALL: Final = And(())
"""What a list without a filter asks for."""
