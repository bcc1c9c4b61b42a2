"""What logs may say of an error: its type and cause, never a library's text, which may quote a token.

Owns that rule. Called by `log` and by whoever logs an error. The core has its own such module, which knows AWS: kit
and core do not import each other.
"""

import os
import ssl
import traceback
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

HEAD: Final = "Traceback (most recent call last):\n"

MAX_FAULTS: Final = 5
"""Wrong fields that are named per body: a batch may have thousands."""


def told(error: BaseException) -> str:
    """Return one line about an error: its type and, if there is one, the system's or TLS's reason."""
    kind, cause = type(error).__name__, getattr(error, "os_error", error)  # aiohttp keeps the system's error there
    if isinstance(cause, ssl.SSLError):  # its number is TLS's own, not the system's
        reason = getattr(cause, "reason", None)
        return f"{kind}: {reason}" if reason else kind
    number = cause.errno if isinstance(cause, OSError) else None
    return f"{kind}: {os.strerror(number)}" if isinstance(number, int) and number > 0 else kind


def trace_of(error: BaseException) -> str:
    """Return the frames of an error and of its causes, with `told` of each."""
    parts = ["".join([HEAD, *traceback.format_tb(error.__traceback__), told(error)])]
    if isinstance(error, BaseExceptionGroup):
        parts += [trace_of(one) for one in error.exceptions]
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nafter:\n".join(parts + ([trace_of(before)] if before is not None else []))


def wrong_fields(error: ValidationError) -> str:
    """Name the first few wrong fields of a body and what is wrong with each, never its value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    named = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:MAX_FAULTS]]
    rest = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
    return "; ".join(named + rest)


def place(loc: Iterable[str | int]) -> str:
    """Write a place in a document for people: `main[2].play.duration_s`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
