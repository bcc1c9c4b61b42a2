"""The formats for programs: JSON with coverage, JSON lines, ids, CSV.

Owns which fields each format asks the API for. JSON says what the API said, with escapes for what a terminal would
obey; the other formats show such characters as `\\x1b`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ivrctl.api import Coverage, Page, least
from ivrctl.neutral import neutral, neutral_json
from ivrctl.terminal import Terminal

DOCUMENTED: Final = ("id", "site", "node", "domain", "type", "code", "name", "starttime")
"""The eight fields of the public contract. Written out, since the core's table takes too long to import for a list."""

TABLE_MASK: Final = "id,site,node,code,name,starttime,ext.state"
WIDE_MASK: Final = "id,site,node,type,code,name,starttime,ext.state,ext.stoptype,ext.rootcode"

FORMATS: Final = {
    "table": "for people: a line for each, with age and state",
    "wide": "the table with start time, type, stop type and source script",
    "json": "one object: `runtimes` as the API gives them, and `coverage`",
    "jsonl": "the API's object of each runtime on a line of its own",
    "ids": "the ids alone",
    "csv": "comma-separated, with a line of headings",
}

JSON_INDENT: Final = 2


def mask_for(output: str, mask: str | None) -> tuple[str | None, bool]:
    """Return the API's parameters `mask` and `flat` for a format and the mask that the user asks for."""
    if output == "ids":
        return "id", False
    if output in ("table", "wide"):
        return mask or (TABLE_MASK if output == "table" else WIDE_MASK), True
    return mask, output == "csv"


def as_json(value: object, *, indent: int | None = None) -> str:
    """Return a value's JSON, safe on a terminal."""
    return neutral_json(json.dumps(value, ensure_ascii=False, indent=indent))


def write(pages: Iterable[Page], output: str, terminal: Terminal) -> list[Coverage]:
    """Print pages as they come, in a format for programs; return what they cover."""
    if output == "json":
        return _object(list(pages), terminal)
    covered: list[Coverage] = []
    lines = _csv if output == "csv" else _ids if output == "ids" else _lines
    for line in lines(_rows(pages, covered)):
        terminal.print(line)
    return covered


def csv_line(cells: Iterable[object]) -> str:
    """Return a line of CSV (RFC 4180), without its end."""
    texts = ["" if cell is None else neutral(str(cell)) for cell in cells]
    return ",".join('"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text for text in texts)


def _rows(pages: Iterable[Page], covered: list[Coverage]) -> Iterator[Mapping[str, Any]]:
    for page in pages:
        covered.append(page.coverage)
        yield from page.rows


def _object(pages: list[Page], terminal: Terminal) -> list[Coverage]:
    covered = [page.coverage for page in pages]
    rows = [row for page in pages for row in page.rows]
    terminal.print(as_json({"runtimes": rows, "coverage": least(covered).as_json()}, indent=JSON_INDENT))
    return covered


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (as_json(row) for row in rows)


def _ids(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (neutral(str(row.get("id"))) for row in rows)


def _csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    fields: list[str] = []
    for row in rows:
        if not fields:
            fields = list(row)
            yield csv_line(fields)
        yield csv_line(row.get(name) for name in fields)
