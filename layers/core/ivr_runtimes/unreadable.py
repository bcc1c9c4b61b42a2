"""Rows of the tables that cannot be read: never anyone's failure, but never unnoticed either.

Owns what is told of them: each row once in a process's life, by its key; every reading of one counted. What is done
with such a row is its reader's business. The stores find them; each program says where lines and counts go.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

MAX_TOLD: Final = 100
"""So many rows are told of in one process's life; beyond, they are counted only: a flood must not fill the log."""

MAX_KEY: Final = 100
"""Characters of a key that are told: enough for every id, and DynamoDB's keys may have a thousand."""

MISSING: Final = "missing, or not of its type"


class Unreadable(NamedTuple):
    """A row that cannot be read: its site, the other part of its key (a runtime's id, a node's name), what is wrong."""

    site: str
    key: str
    fault: str


Notice = Callable[[str, Sequence[Unreadable]], None]
"""Told by a store: the table's kind, `runtimes` or `nodes`, and the rows of one reading of it."""


def unheard(_table: str, _rows: Sequence[Unreadable]) -> None:
    """Take no notice."""


class Notices:
    """Implements `Notice`. `tell` writes one line, `count` adds so many rows of a table.

    `sites`, if given, are the only ones that matter: what a site that is not configured left behind harms nobody.
    """

    def __init__(
        self,
        *,
        tell: Callable[[str, Unreadable], None],
        count: Callable[[str, int], None],
        sites: Collection[str] | None = None,
    ) -> None:
        self._tell = tell
        self._count = count
        self._sites = sites
        self._told: set[tuple[str, str, str]] = set()

    def __call__(self, table: str, rows: Sequence[Unreadable]) -> None:
        """Count the rows, and tell of those that are new."""
        ours = [row for row in rows if self._sites is None or row.site in self._sites]
        if ours:
            self._count(table, len(ours))
        for row in ours:
            name = (table, row.site, row.key)
            if name not in self._told and len(self._told) < MAX_TOLD:
                self._told.add(name)
                self._tell(table, row)


def text_of(item: Any, name: str, kind: str = "S") -> str | None:
    """Return an attribute's value as an item writes it; None where there is none of that kind."""
    attribute = item.get(name) if isinstance(item, Mapping) else None
    value = attribute.get(kind) if isinstance(attribute, Mapping) else None
    return value if isinstance(value, str) else None


def unread(item: Any, key: str, fault: str) -> Unreadable:
    """Name a row that cannot be read by the sort key `key` of its table."""
    return Unreadable(text_of(item, "site") or "", (text_of(item, key) or "")[:MAX_KEY], fault)
