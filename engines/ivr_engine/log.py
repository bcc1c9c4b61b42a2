"""Structured logs: one JSON object per line on stderr, with an `action` that programs may rely on.

Owns the shape of an engine's line, and what the agent's lines share: how they begin, and what is logged of libraries.
Escapes control characters. Never writes error text that might quote a token.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from ivr_engine.telling import trace_of

OURS: Final = frozenset({"ivr_engine", "__main__"})
"""Loggers of the kit whose records are written in full; the engine adds its own."""

STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""The attributes of every record; all others came with `extra` and go into the line."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON. `ours` are the packages whose records quote nothing."""

    def __init__(self, *ours: str) -> None:
        super().__init__()
        self._ours = OURS.union(ours)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        ours = record.name.partition(".")[0] in self._ours
        line = {**head_of(record), "action": "log", "detail": record.getMessage() if ours else template_of(record)}
        line |= {key: value for key, value in record.__dict__.items() if key not in STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = trace_of(record.exc_info[1])
        return json.dumps(line, default=str)


def head_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return how every line begins: the time (RFC 3339, UTC) and the level."""
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {"time": time, "level": record.levelname.lower()}


def template_of(record: logging.LogRecord) -> str:
    """Return a library's message without its values: a URL, a header, an error's text."""
    return str(record.msg).partition("\n")[0]  # asyncio fills in values itself, from the second line on


def log_to_stderr(level: str, *ours: str) -> None:
    """Send the process's logs of at least that level to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(*ours))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
