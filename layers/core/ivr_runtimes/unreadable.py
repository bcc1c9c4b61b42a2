"""Reports of table rows that cannot be read: they make no request fail, and they do not go unnoticed.

Owns how often they are reported: one log line per row and process, by its key, and a count of every reading. Whoever
reads decides what to do with such a row. The stores find them; each program says where lines and counts go.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

MAX_TOLD: Final = 100
"""How many rows one process logs. Further ones are only counted, so that they cannot fill the log."""

MAX_KEY: Final = 100
"""How many characters of a key are logged: enough for every id (a DynamoDB key may have a thousand)."""

MISSING: Final = "missing, or not of its type"


class Unreadable(NamedTuple):
    """A row that cannot be read: its site, the rest of its key (a runtime's id or a node's name), what is wrong."""

    site: str
    key: str
    fault: str


Notice = Callable[[str, Sequence[Unreadable]], None]
"""What a store calls with a table, `runtimes` or `nodes`, and the unreadable rows of one reading."""


def unheard(_table: str, _rows: Sequence[Unreadable]) -> None:
    """Ignore unreadable rows."""


class Notices:
    """Implements `Notice`. `tell` writes a log line, `count` adds a number of rows to a table's count.

    With `sites`, rows of other sites are ignored: a site that is not configured any more may have left them.
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
        """Count the rows, and log those that were not logged before."""
        ours = [row for row in rows if self._sites is None or row.site in self._sites]
        if ours:
            self._count(table, len(ours))
        for row in ours:
            name = (table, row.site, row.key)
            if name not in self._told and len(self._told) < MAX_TOLD:
                self._told.add(name)
                self._tell(table, row)


def text_of(item: Any, name: str, kind: str = "S") -> str | None:
    """Return an attribute's value from a DynamoDB item; None if it is missing or of another type than `kind`."""
    attribute = item.get(name) if isinstance(item, Mapping) else None
    value = attribute.get(kind) if isinstance(attribute, Mapping) else None
    return value if isinstance(value, str) else None


def unread(item: Any, key: str, fault: str) -> Unreadable:
    """Describe an unreadable row; `key` is the name of its table's sort key."""
    return Unreadable(text_of(item, "site") or "", (text_of(item, key) or "")[:MAX_KEY], fault)
