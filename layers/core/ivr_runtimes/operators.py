"""The operators of a filter: the one table that parser, evaluator, documentation and command line share.

Owns names, aliases, operands, meaning, and the result for a field that is not set. `query.filter` reads the operands;
`query.evaluate` applies the operators; `ivrctl` explains them.
"""

import operator as python
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ivr_runtimes.fields import FieldKind

BOTH: Final = (FieldKind.STRING, FieldKind.TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A comparison of two values of one type; `mirror` is the operator that says the same with the sides exchanged."""

    holds: Callable[[Any, Any], bool]
    mirror: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator: its spellings, form, number of operands, kinds of fields and meaning.

    `most` is None if there is no upper limit; `kinds` is empty if operands are expressions; `unset` is the result for a
    field without a value; `relation` is set for comparisons.
    """

    name: str
    aliases: tuple[str, ...] = ()
    form: str
    least: int
    most: int | None
    kinds: tuple[FieldKind, ...] = ()
    meaning: str
    unset: bool = False
    relation: Relation | None = None

    @property
    def arity(self) -> str:
        """How many operands it takes, in words."""
        if self.most is None:
            return f"{self.least} or more operands"
        return "1 operand" if self.most == 1 else f"{self.most} operands"


def _connective(name: str, alias: str, meaning: str) -> Operator:
    form = f'["{name}", expression, …]'
    return Operator(name=name, aliases=(alias,), form=form, least=1, most=None, meaning=meaning)


def _comparison(name: str, holds: Callable[[Any, Any], bool], *, mirror: str, meaning: str) -> Operator:
    return Operator(
        name=name,
        form=f'["{name}", property, constant]',
        least=2,
        most=2,
        kinds=BOTH,
        meaning=meaning,
        unset=name == "!=",
        relation=Relation(holds=holds, mirror=mirror),
    )


_ALL: Final = (
    _connective("and", "&&", "every expression holds"),
    _connective("or", "||", "at least one expression holds"),
    Operator(
        name="not",
        aliases=("!",),
        form='["not", expression]',
        least=1,
        most=1,
        meaning="the expression does not hold",
    ),
    _comparison("==", python.eq, mirror="==", meaning="equal"),
    _comparison("!=", python.ne, mirror="!=", meaning="not equal: the negation of `==`"),
    _comparison("<", python.lt, mirror=">", meaning="less, or earlier"),
    _comparison("<=", python.le, mirror=">=", meaning="less or equal, or not later"),
    _comparison(">", python.gt, mirror="<", meaning="greater, or later"),
    _comparison(">=", python.ge, mirror="<=", meaning="greater or equal, or not earlier"),
    Operator(
        name="in",
        form='["in", property, [constant, …]]',
        least=2,
        most=2,
        kinds=BOTH,
        meaning="equal to one of the constants",
    ),
    Operator(
        name="like",
        form='["like", property, pattern]',
        least=2,
        most=2,
        kinds=(FieldKind.STRING,),
        meaning="the whole value fits the pattern",
    ),
    Operator(
        name="isnull",
        form='["isnull", property]',
        least=1,
        most=1,
        kinds=BOTH,
        meaning="the field is not set",
        unset=True,
    ),
)

OPERATORS: Final[dict[str, Operator]] = {operator.name: operator for operator in _ALL}
"""By name, in the order of the documentation."""

SPELLINGS: Final[dict[str, Operator]] = {
    spelling: operator for operator in _ALL for spelling in (operator.name, *operator.aliases)
}
"""By name and alias."""

RELATIONS: Final[dict[str, Relation]] = {
    operator.name: operator.relation for operator in _ALL if operator.relation is not None
}
"""The comparisons."""
