"""Which rows of the board are shown, in which order, and as which texts.

Owns the columns, the sort orders and the text filter of the live view. No I/O.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from ivrctl import times
from ivrctl.neutral import neutral

Row = Mapping[str, Any]

COLUMNS: Final = ("id", "site", "node", "code", "state", "age", "name")
"""The name comes last: it may be long, and a narrow screen cuts it first."""

SORTS: Final[dict[str, Callable[[Row], Any]]] = {
    "oldest": lambda row: (str(row.get("starttime")), str(row.get("id"))),
    "site": lambda row: (str(row.get("site")), str(row.get("node")), str(row.get("starttime"))),
    "code": lambda row: (str(row.get("code")), str(row.get("starttime"))),
    "state": lambda row: (str(row.get("ext.state")), str(row.get("starttime"))),
}
"""The orders, by the name that the screen shows; the key `s` goes through them."""


def texts(row: Row, now: datetime, *, unseen: bool) -> dict[str, str]:
    """Return a row's texts by column."""
    of_row = {
        **{name: str(row.get(name)) for name in COLUMNS},
        "state": "not seen" if unseen else str(row.get("ext.state")),
        "age": times.age(str(row.get("starttime")), now),
    }
    return {name: neutral(of_row[name]) for name in COLUMNS}


def chosen(rows: Iterable[Row], *, typed: str, sort: str) -> list[Row]:
    """Return the rows in which each typed word stands, in an order."""
    words = typed.lower().split()
    kept = [row for row in rows if all(word in _searched(row) for word in words)]
    return sorted(kept, key=SORTS[sort])


def _searched(row: Row) -> str:
    return " ".join(str(row.get(name)) for name in ("id", "site", "node", "code", "name", "ext.state")).lower()
