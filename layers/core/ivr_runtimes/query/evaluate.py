"""Tests of rows by an expression: compiled once per query, run over many rows at once.

Owns what each kind of expression means for a row. Never sees JSON. Called by the planner; `order` shares `reading`.
A test goes over all rows before the next one begins, and each field is read once for all tests: a call for each row and
test would cost more than the tests themselves.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import singledispatch
from itertools import compress
from operator import not_
from typing import TypeAlias

from ivr_runtimes.fields import Field, FieldKind
from ivr_runtimes.model import Row
from ivr_runtimes.operators import OPERATORS, RELATIONS
from ivr_runtimes.query import instants, like
from ivr_runtimes.query.expression import And, Compare, Constant, Expression, In, IsNull, Like, Not, Or

Values: TypeAlias = list[Constant | None]


class Batch:
    """Rows under test. A field's values are read when a test first asks for them."""

    __slots__ = ("_columns", "rows")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._columns: dict[str, Values] = {}

    def values(self, field: Field) -> Values:
        """Return the field's comparable value in every row; None where it is not set."""
        column = self._columns.get(field.name)
        if column is None:
            column = self._columns[field.name] = list(map(reading(field), self.rows))
        return column

    def only(self, chosen: Sequence[bool]) -> "Batch":
        """Return the chosen rows, with the values already read."""
        batch = Batch(list(compress(self.rows, chosen)))
        batch._columns = {name: list(compress(column, chosen)) for name, column in self._columns.items()}
        return batch


Test: TypeAlias = Callable[[Batch], list[bool]]
"""Tests rows: returns one result for each, in their order."""


def passing(test: Test, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that pass, in their order."""
    return list(compress(rows, test(Batch(rows))))


@singledispatch
def compiled(expression: Expression) -> Test:
    """Turn an expression into a test of runtimes."""
    raise TypeError(f"no expression: {expression!r}")


@compiled.register
def _(expression: And) -> Test:
    return _until(False, map(compiled, expression.parts))


@compiled.register
def _(expression: Or) -> Test:
    return _until(True, map(compiled, expression.parts))


def _until(decisive: bool, parts: Iterable[Test]) -> Test:
    """Join tests: a row's result is `decisive` as soon as one test says so, and no further test looks at that row."""
    tests = tuple(parts)

    def judge(batch: Batch) -> list[bool]:
        verdicts = [not decisive] * len(batch.rows)
        undecided: Sequence[int] = range(len(verdicts))
        for test in tests:
            found = test(batch)
            if decisive not in found:
                continue
            settled, open_ = (found, list(map(not_, found))) if decisive else (list(map(not_, found)), found)
            for index in compress(undecided, settled):
                verdicts[index] = decisive
            undecided, batch = list(compress(undecided, open_)), batch.only(open_)
            if not undecided:
                break
        return verdicts

    return judge


@compiled.register
def _(expression: Not) -> Test:
    if isinstance(expression.part, Not):
        return compiled(expression.part.part)
    test = compiled(expression.part)
    return lambda batch: list(map(not_, test(batch)))


@compiled.register
def _(expression: Compare) -> Test:
    holds, field, constant = RELATIONS[expression.operator].holds, expression.field, expression.constant
    unset = OPERATORS[expression.operator].unset
    return lambda batch: [unset if value is None else holds(value, constant) for value in batch.values(field)]


@compiled.register
def _(expression: In) -> Test:
    constants, field, unset = frozenset(expression.constants), expression.field, OPERATORS["in"].unset
    return lambda batch: [unset if value is None else value in constants for value in batch.values(field)]


@compiled.register
def _(expression: Like) -> Test:
    fits, field, unset = like.matcher(expression.pattern), expression.field, OPERATORS["like"].unset

    def judge(batch: Batch) -> list[bool]:
        values = batch.values(field)
        verdicts: dict[object, bool] = {v: fits(v) for v in set(values) if isinstance(v, str)}
        return [verdicts.get(value, unset) for value in values]  # many rows share a value

    return judge


@compiled.register
def _(expression: IsNull) -> Test:
    return lambda batch: [value is None for value in batch.values(expression.field)]


def reading(field: Field) -> Callable[[Row], Constant | None]:
    """Return a function that reads a field's comparable value from a row: a string, an instant, or None if not set."""
    value = field.value
    if field.kind is FieldKind.STRING:
        return value

    def instant(runtime: Row) -> Constant | None:
        text = value(runtime)
        return None if text is None else instants.read(text)

    return instant
