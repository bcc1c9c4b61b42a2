"""What runs, as far as is known, and what changed since the list before. No I/O, no clock.

Owns what counts as a start, a change and an end. A row that is gone has ended only if its site answered in full: else
nobody knows, and it stays on the board, marked so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ivrctl.api import Page

Row = Mapping[str, Any]

STARTED: Final = "started"
SCRIPT: Final = "script"
STATE: Final = "state"
ENDED: Final = "ended"
UNSEEN: Final = "unseen"


class Change(NamedTuple):
    """One thing that happened to a runtime: `what` is one of the constants above, `told` the new value."""

    what: str
    row: Row
    told: str = ""


class Board:
    """The runtimes by id, in the list's order; `unseen` are those whose site does not answer."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.unseen: set[str] = set()
        self._filled = False

    def take(self, page: Page) -> list[Change]:
        """Take a whole list; return what changed. The first one fills the board without changes."""
        listed: dict[str, Row] = {str(row.get("id")): row for row in page.rows}
        seen = set(listed)
        changes = [change for runtime_id, row in listed.items() for change in self._of(runtime_id, row)]
        for runtime_id, row in self.rows.items():
            if runtime_id in seen:
                continue
            if page.coverage.covers(str(row.get("site"))):
                changes.append(Change(ENDED, row))
            else:
                listed[runtime_id] = row
                changes += [Change(UNSEEN, row)] if runtime_id not in self.unseen else []
        self.unseen = listed.keys() - seen
        self.rows = listed
        first, self._filled = not self._filled, True
        return [] if first else changes

    def counts(self, field: str) -> list[tuple[str, int]]:
        """Count the runtimes by a field's value, the most frequent first."""
        return Counter(str(row.get(field)) for row in self.rows.values()).most_common()

    def _of(self, runtime_id: str, row: Row) -> Iterable[Change]:
        before = self.rows.get(runtime_id)
        if before is None:
            yield Change(STARTED, row)
            return
        if before.get("code") != row.get("code"):
            yield Change(SCRIPT, row, f"{before.get('code')} → {row.get('code')}")
        if before.get("ext.state") != row.get("ext.state"):
            yield Change(STATE, row, str(row.get("ext.state")))
