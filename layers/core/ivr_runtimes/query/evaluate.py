"""Judging runtimes by an expression: compiled once per query, run once per row.

Owns what each shape of expression means for a row. Never sees JSON. Called by `request`; `order` shares `reading`.
"""

from collections.abc import Callable
from functools import cache, singledispatch
from typing import TypeAlias

from ivr_runtimes.fields import Field, Kind
from ivr_runtimes.model import Row
from ivr_runtimes.query import instants, like
from ivr_runtimes.query.expression import And, Compare, Constant, Expression, In, IsNull, Like, Not, Or
from ivr_runtimes.query.operators import OPERATORS, RELATIONS

Test: TypeAlias = Callable[[Row], bool]


@singledispatch
def compiled(expression: Expression) -> Test:
    """Turn an expression into a test of runtimes."""
    raise TypeError(f"no expression: {expression!r}")


@compiled.register
def _(expression: And) -> Test:
    tests = [compiled(part) for part in expression.parts]

    def judge(runtime: Row) -> bool:  # a loop, not `all`: a generator for every row costs as much as some tests
        for test in tests:  # noqa: SIM110  # the same
            if not test(runtime):
                return False
        return True

    return judge


@compiled.register
def _(expression: Or) -> Test:
    tests = [compiled(part) for part in expression.parts]

    def judge(runtime: Row) -> bool:
        for test in tests:  # noqa: SIM110  # as above
            if test(runtime):
                return True
        return False

    return judge


@compiled.register
def _(expression: Not) -> Test:
    test = compiled(expression.part)
    return lambda runtime: not test(runtime)


@compiled.register
def _(expression: Compare) -> Test:
    holds, constant = RELATIONS[expression.operator].holds, expression.constant
    return _of_value(expression.operator, expression.field, lambda value: holds(value, constant))


@compiled.register
def _(expression: In) -> Test:
    constants = frozenset(expression.constants)
    return _of_value("in", expression.field, constants.__contains__)


@compiled.register
def _(expression: Like) -> Test:
    read, fits = expression.field.value, like.matcher(expression.pattern)
    if expression.field.name != "id":  # all others repeat from row to row
        fits = cache(fits)
    unset = OPERATORS["like"].unset

    def judge(runtime: Row) -> bool:
        value = read(runtime)
        return unset if value is None else fits(value) is not None

    return judge


@compiled.register
def _(expression: IsNull) -> Test:
    return _of_value("isnull", expression.field, lambda _: False)


def reading(field: Field) -> Callable[[Row], Constant | None]:
    """Return how to get a field's comparable value from a row: a string, an instant, or None if it is not set."""
    value = field.value
    if field.kind is Kind.STRING:
        return value

    def instant(runtime: Row) -> Constant | None:
        text = value(runtime)
        return None if text is None else instants.read(text)

    return instant


def _of_value(operator: str, field: Field, test: Callable[[Constant], bool]) -> Test:
    """Apply a test to a field's value; the table of operators says what holds where there is none."""
    read, unset = reading(field), OPERATORS[operator].unset

    def judge(runtime: Row) -> bool:
        value = read(runtime)
        return unset if value is None else test(value)

    return judge
