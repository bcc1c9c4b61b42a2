"""The header `Stop-Reason`: why somebody stops a script, in words for the logs.

Owns its form, its limit, and what of it may reach a log. It decides nothing: with any reason, or none, the same stop is
made. Called by `request`.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import unquote_to_bytes

from ivr_runtimes.command import REASON_LENGTH
from ivr_runtimes.errors import Fault, InvalidRequestError

STOP_REASON: Final = "Stop-Reason"
"""The header's name."""

_PLAIN: Final = re.compile(r"(?:[ -$&-~]|%[0-9A-Fa-f]{2})+")
"""Printable ASCII, in which `%` begins an escape."""


def reason_of(value: str | None) -> str:
    """Return the reason in a header's value, decoded; empty without the header. Raises `InvalidRequestError`.

    Control characters are refused. Others that do not print, such as those that reverse the order of a line, are
    replaced: spaces of all kinds by a space, the rest by U+FFFD.
    """
    if value is None:
        return ""
    text = _decoded(_once(value).strip(" \t"))
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise _invalid("has control characters")
    reason = "".join(map(_printed, text)).strip(" ")
    if not 1 <= len(reason) <= REASON_LENGTH:
        raise _invalid(f"has {len(reason)} characters" if reason else "is empty")
    return reason


def _once(value: str) -> str:
    """Return a value without its repetitions: HTTP APIs join a header that came twice by a comma."""
    parts = [part.strip(" \t") for part in value.split(",")]
    for size in range(1, len(parts) // 2 + 1):
        if len(parts) % size == 0 and parts == parts[:size] * (len(parts) // size):
            return ",".join(value.split(",")[:size])
    return value


def _decoded(value: str) -> str:
    if not value:
        raise _invalid("is empty")
    if not _PLAIN.fullmatch(value):
        raise _invalid("is not ASCII with percent escapes")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise _invalid("has escapes that are not UTF-8") from None


def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "\ufffd"


def _invalid(message: str) -> InvalidRequestError:
    remedy = (
        f"send 1 to {REASON_LENGTH} characters without line breaks, everything but printable ASCII percent-encoded as"
        " UTF-8 and % itself as %25; or leave the header out"
    )
    fault = Fault(place=STOP_REASON, message=message, remedy=remedy)
    return InvalidRequestError(f"The header {STOP_REASON} {message}.", faults=(fault,))
