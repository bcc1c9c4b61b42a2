"""Which rows of the board are shown, in which order, and as which texts.

Owns the columns, the sort orders and the text filter of the live view. No I/O.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from ivrctl import times
from ivrctl.neutral import neutral

Row = Mapping[str, Any]

COLUMNS: Final = ("id", "site", "node", "code", "name", "state", "age")

SORTS: Final[dict[str, Callable[[Row], Any]]] = {
    "oldest": lambda row: (str(row.get("starttime")), str(row.get("id"))),
    "site": lambda row: (str(row.get("site")), str(row.get("node")), str(row.get("starttime"))),
    "code": lambda row: (str(row.get("code")), str(row.get("starttime"))),
    "state": lambda row: (str(row.get("ext.state")), str(row.get("starttime"))),
}
"""The orders, by the name that the screen shows; the key `s` goes through them."""


def texts(row: Row, now: datetime, *, unseen: bool) -> dict[str, str]:
    """Return a row's texts by column."""
    state = "not seen" if unseen else str(row.get("ext.state"))
    shown = {name: neutral(str(row.get(name))) for name in COLUMNS[:5]}
    return {**shown, "state": neutral(state), "age": times.age(str(row.get("starttime")), now)}


def chosen(rows: Iterable[Row], *, typed: str, sort: str) -> list[Row]:
    """Return the rows in which each typed word stands, in an order."""
    words = typed.lower().split()
    kept = [row for row in rows if all(word in _searched(row) for word in words)]
    return sorted(kept, key=SORTS[sort])


def _searched(row: Row) -> str:
    return " ".join(str(row.get(name)) for name in ("id", "site", "node", "code", "name", "ext.state")).lower()
