"""The log: JSON lines on stderr, each with an `action`.

Owns the line's shape. Never logs tokens, secrets or message bodies; values are fields, so nothing needs parsing.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

LOGGER: Final = logging.getLogger("ivr_agent")


def say(action: str, *, level: int = logging.INFO, trace: BaseException | None = None, **fields: Any) -> None:
    """Log one line. `fields` become the line's members; `trace` adds that error's traceback."""
    LOGGER.log(level, action, exc_info=trace, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """One JSON object per record: time (RFC 3339, UTC), level, action, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line; records of libraries get the action `library`."""
        ours = record.name == LOGGER.name
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "action": record.getMessage() if ours else "library",
        }
        line |= getattr(record, "fields", {}) if ours else {"logger": record.name, "detail": record.getMessage()}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start(level: str) -> None:
    """Send our records from `level` on, and libraries' warnings, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # its warnings may quote credentials; we tell what matters
    LOGGER.setLevel(level.upper())
