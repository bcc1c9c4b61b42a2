"""Structured logs: one JSON object per line on stderr, with an `action` that programs may rely on.

Owns the shape of an engine's line, and what is the same in the agent's: how it begins, and how little a library may
say. Control characters leave here escaped. Of errors nothing is written that might quote a token.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from ivr_engine.telling import trace_of

OURS: Final = frozenset({"ivr_engine", "__main__"})
"""Loggers whose records are written in full: the kit's, beside those of the engine itself."""

STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; the rest came with `extra` and goes into the line."""


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
    """Return what a library says, without what it says it of: a URL, a header, another error's text."""
    return str(record.msg).partition("\n")[0]  # asyncio fills its templates in by itself, from the second line on


def log_to_stderr(level: str, *ours: str) -> None:
    """Send all logs of the process to stderr, from that level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(*ours))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
