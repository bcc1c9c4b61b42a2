"""Keeps the log short: a repeated line is written once, then ever more rarely, with a count.

Owns which lines are held back: an engine, a peer or a network that is broken for hours must not fill the disk or hide
other lines. Lines of the same action (and `about`) are one kind; a library's are those of one template. `log` puts it
between the loggers and the handler that writes.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

FIRST_S: Final = 10.0
"""How long a kind of line is held back after it was written; doubles each time the kind comes again."""

MOST_S: Final = 600.0
"""The longest such time. A kind not seen for as long afterwards is forgotten and starts afresh."""

MAX_KINDS: Final = 20
"""Kinds told apart per action; all others of the action share one more."""

MAX_KEY: Final = 500
"""Characters by which kinds are told apart."""


@dataclass(slots=True)
class _Kind:
    """A kind of line: until when (monotonic) it is held back, and what came meanwhile."""

    rest_s: float
    until_s: float
    latest: logging.LogRecord | None = None
    held: int = 0


class Repeats(logging.Handler):
    """Hands records to `target`, except those held back; `monotonic` is the clock in seconds.

    Never held back: a record with `each` set, or one below INFO, since who turns those on wants all of them.
    """

    def __init__(self, target: logging.Handler, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._target = target
        self._monotonic = monotonic
        self._actions: dict[str, dict[str, _Kind]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or hold it back for `remind`."""
        if record.levelno < logging.INFO or getattr(record, "each", False):
            self._target.handle(record)
            return
        now_s, kind = self._monotonic(), self._kind(record)
        kind.latest, kind.held = record, kind.held + 1
        if now_s >= kind.until_s:
            self._write(kind, now_s)

    def remind(self) -> None:
        """Write the latest held-back line of each kind that is due, and forget old kinds."""
        self.acquire()  # as `handle` does around `emit`: libraries log from threads of their own
        try:
            now_s = self._monotonic()
            for kind in self._all():
                if kind.latest is not None and now_s >= kind.until_s:
                    self._write(kind, now_s)
            for kinds in self._actions.values():
                for about in [about for about, kind in kinds.items() if now_s >= kind.until_s + MOST_S]:
                    del kinds[about]
        finally:
            self.release()

    def flush(self) -> None:
        """Write all held-back lines as the program ends (logging.shutdown)."""
        for kind in self._all():
            if kind.latest is not None:
                self._write(kind, self._monotonic())
        self._target.flush()

    def _kind(self, record: logging.LogRecord) -> _Kind:
        about = getattr(record, "about", None)
        action, about = (record.name, str(record.msg)) if about is None else (str(record.msg), about)
        kinds = self._actions.setdefault(action, {})
        key = about[:MAX_KEY] if about[:MAX_KEY] in kinds or len(kinds) < MAX_KINDS else "others"
        return kinds.setdefault(key, _Kind(rest_s=0.0, until_s=0.0))

    def _all(self) -> Iterator[_Kind]:
        return (kind for kinds in self._actions.values() for kind in kinds.values())

    def _write(self, kind: _Kind, now_s: float) -> None:
        record, held = kind.latest, kind.held - 1
        kind.latest, kind.held = None, 0
        kind.rest_s = min(MOST_S, kind.rest_s * 2 or FIRST_S)
        kind.until_s = now_s + kind.rest_s
        if record is not None:
            record.held_back = held
            self._target.handle(record)
