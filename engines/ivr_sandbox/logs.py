"""Structured logs: one JSON object per line on stderr, with an `action` that programs may rely on.

Owns the shape of a line. Text for people is in `detail`; control characters leave here escaped. Of errors and of what
libraries say nothing is written that might quote a token.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from ivr_sandbox.telling import trace_of

OURS: Final = "ivr_sandbox"

STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; the rest came with `extra` and goes into the line."""


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "action": "log",
            "detail": _detail(record),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = trace_of(record.exc_info[1])
        return json.dumps(line, default=str)


def _detail(record: logging.LogRecord) -> str:
    """Return what a record says; of a library's record the template's first line, without what is filled in."""
    if record.name.partition(".")[0] in {OURS, "__main__"}:
        return record.getMessage()
    return str(record.msg).partition("\n")[0]


def log_to_stderr(level: str) -> None:
    """Send all logs of the process to stderr, from that level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
