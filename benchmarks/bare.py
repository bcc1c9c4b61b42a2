"""A filter's predicate as somebody would write it by hand for this one filter: the baseline of `bench-filter`.

Owns the translation of a filter's JSON into the source of one Python function over a row's attributes, and knows only
the forms that `filtering` searches through. Shares nothing with the product: written from docs/query.md alone.
"""

import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Row = SimpleNamespace
Predicate = Callable[[Row], bool]

ATTRIBUTES = (
    "id",
    "site",
    "node",
    "domain",
    "type",
    "code",
    "name",
    "starttime",
    "state",
    "session",
    "lwt",
    "rootname",
)


def row(item: dict[str, dict[str, str]]) -> Row:
    """Return a row of plain attributes; None where the item has none."""
    return Row(**{name: item.get(name, {}).get("S") for name in ATTRIBUTES})


def predicate(document: Any) -> Callable[[], Predicate]:
    """Return a function that makes the predicate: what must be done for each request is done in it."""
    patterns: list[str] = []
    source = f"lambda row: {_written(document, patterns)}"
    code = compile(source, "<by hand>", "eval")

    def make() -> Predicate:
        fits = [re.compile(pattern, re.DOTALL).fullmatch for pattern in patterns]
        made: Predicate = eval(code, {"fits": fits})  # noqa: S307  # made by ourselves
        return made

    return make


def _written(document: Any, patterns: list[str]) -> str:  # noqa: PLR0911  # one for each form of the language
    if isinstance(document, dict):
        ((field, values),) = document.items()
        return _among(field, values)
    operator, *operands = document
    if operator in {"and", "or"}:
        return "(" + f" {operator} ".join(_written(part, patterns) for part in operands) + ")"
    if operator in {"not", "!"}:
        return f"(not {_written(operands[0], patterns)})"
    field = operands[0][1]
    name = _name(field)
    if operator == "isnull":
        return f"({name} is None)"
    if operator == "in":
        return _among(field, operands[1])
    if operator == "like":
        patterns.append(_expression(operands[1]))
        return f"({name} is not None and fits[{len(patterns) - 1}]({name}) is not None)"
    if operator in {"==", "!="}:
        return f"({name} {operator} {json.dumps(operands[1])})"
    return f"({name} is not None and {name} {operator} {json.dumps(operands[1])})"


def _among(field: str, values: list[str]) -> str:
    return f"({_name(field)} in {{{', '.join(map(json.dumps, values))}}})"


def _name(field: str) -> str:
    return "row." + field.rpartition(".")[2]


def _expression(pattern: str) -> str:
    """Return a `like` pattern as a regular expression, the way one writes it at first."""
    pieces = re.findall(r"\\\\.|.", pattern, re.DOTALL)
    runs = {"%": ".*", "_": "."}
    return "".join(runs.get(piece) or re.escape(piece[-1]) for piece in pieces)
