"""The log: JSON lines on stderr, each with an `action`.

Owns the line's shape and its length. Never logs tokens, secrets or message bodies, nor the texts of libraries, which
may quote them. Values are fields, so nothing needs parsing. `repeats` holds repeated lines back.
"""

import json
import logging
import sys
from typing import Any, Final

from ivr_agent.process.repeats import Repeats
from ivr_engine.log import head_of, template_of
from ivr_runtimes.telling import trace_of

LOGGER: Final = logging.getLogger("ivr_agent")

MAX_TEXT: Final = 500
"""Characters of one value: an error's text or an engine's id may be of any length."""

MAX_ITEMS: Final = 20
"""Items of a list that are shown."""

MAX_TRACE: Final = 8_000
"""Characters of a traceback; its end tells most."""

REMIND_INTERVAL_S: Final = 5.0
"""How often held-back lines that are due are written."""


def say(
    action: str,
    *,
    level: int = logging.INFO,
    trace: BaseException | None = None,
    about: object = "",
    each: bool = False,
    **fields: Any,
) -> None:
    """Log one line. `fields` become the line's members; `trace` adds where that error came from.

    A line is held back if one of the same action and `about` was written lately, unless `each` is set.
    """
    LOGGER.log(level, action, exc_info=trace, extra={"fields": fields, "about": str(about), "each": each})


async def remind() -> None:
    """Write the held-back lines that are due. Called by a loop."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Repeats):
            handler.remind()


class JsonLines(logging.Formatter):
    """One JSON object per record: time (RFC 3339, UTC), level, action, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line; records of libraries get the action `library`."""
        ours = record.name == LOGGER.name
        line: dict[str, Any] = {
            **head_of(record),
            "action": record.getMessage() if ours else "library",
        }
        fields = getattr(record, "fields", {}) if ours else {"logger": record.name, "detail": template_of(record)}
        line |= {name: _short(value) for name, value in fields.items()}
        if held_back := getattr(record, "held_back", 0):
            line["held_back"] = held_back
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = trace_of(record.exc_info[1])[-MAX_TRACE:]
        return json.dumps(line)


def _short(value: Any) -> Any:
    """Return a value as a line shows it, cut to the limits."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _short(one) for name, one in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value[:MAX_ITEMS]]
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def start_log(level: str) -> None:
    """Send our records from `level` on, and libraries' warnings, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[Repeats(handler)], force=True)
    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # its warnings may quote credentials; we log the rest
    LOGGER.setLevel(level.upper())
