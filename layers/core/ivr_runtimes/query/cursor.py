"""The parameter `after`: the cursor at which the next page begins, as the `Link` header gives it.

Owns its text: version, direction, the last row's key and site, and a checksum. Thus a cursor that was altered, cut or
made by another version is refused instead of misread. It holds no secret and no domain, only a position in the
*caller's* list. Called by `request` and, to make one, by `listing`.
"""

import base64
import re
import zlib
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.echo import show
from ivr_runtimes.identifiers import RUNTIME_ID_PATTERN, SITE_PATTERN
from ivr_runtimes.model import Row, start_key
from ivr_runtimes.query.faults import invalid

VERSION: Final = "1"
"""Increased whenever the meaning of the text changes."""

MAX_LENGTH: Final = 256
"""No cursor of ours is longer."""

CHECKSUM_BYTES: Final = 4

_REMEDY: Final = "take it from the Link header as it stands, or begin again without it"
_TEXT: Final = re.compile(
    r"(?P<version>[0-9]{1,4})(?P<direction>[+-])"
    r"(?P<key>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z#(?P<id>[^@]+))@(?P<site>[^@]+)"
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in start order, or in its reverse: just after the row of this start key at this site."""

    start_key: str
    site: str
    descending: bool = False

    def precedes(self, row: Row) -> bool:
        """Tell whether a row follows this position, in the cursor's direction."""
        position, of_row = (self.start_key, self.site), (start_key(row), row.site)
        return of_row < position if self.descending else of_row > position


def behind(row: Row, *, descending: bool) -> Cursor:
    """Return the position just after a row."""
    return Cursor(start_key(row), row.site, descending)


def encode(cursor: Cursor) -> str:
    """Write a cursor as URL-safe text."""
    return _text(f"{VERSION}{'-' if cursor.descending else '+'}{cursor.start_key}@{cursor.site}")


def parse(text: str) -> Cursor:
    """Read the parameter `after`; raises `InvalidRequestError`."""
    found = _TEXT.fullmatch(_written(text))
    if not found or not _names_a_row(found):
        raise invalid("after", f"{show(text)} is no cursor of ours", remedy=_REMEDY)
    if found["version"] != VERSION:
        raise invalid("after", "was made by another version of this service", remedy=_REMEDY)
    return Cursor(found["key"], found["site"], found["direction"] == "-")


def _names_a_row(found: re.Match[str]) -> bool:
    return bool(re.fullmatch(RUNTIME_ID_PATTERN, found["id"]) and re.fullmatch(SITE_PATTERN, found["site"]))


def _written(text: str) -> str:
    """Return the text inside a cursor; empty if `encode` would write that cursor in any other way."""
    if len(text) > MAX_LENGTH:
        return ""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        written = content[CHECKSUM_BYTES:].decode("ascii")
    except ValueError:
        return ""
    return written if _text(written) == text else ""


def _text(written: str) -> str:
    content = written.encode()
    checksum = zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "big")
    return base64.urlsafe_b64encode(checksum + content).decode().rstrip("=")
