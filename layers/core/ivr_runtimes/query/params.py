"""The raw query string (API Gateway's `rawQueryString`), split into parameters.

Owns form encoding (application/x-www-form-urlencoded in UTF-8, `+` is a space) and what every parameter must be: known,
given once, not empty. Never looks into a value. Called by `request`.
"""

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from ivr_runtimes.echo import show
from ivr_runtimes.query.faults import invalid, unknown

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def group(raw: str) -> dict[str, list[str]]:
    """Collect the encoded values by name, in order of appearance.

    An empty part between two `&` is ignored, as in the URL Standard's form parser.
    """
    values: dict[str, list[str]] = {}
    for segment in raw.split("&"):
        if segment:
            values.setdefault(name_of(segment), []).append(segment.partition("=")[2])
    return values


def name_of(segment: str) -> str:
    """Return the decoded name in `name=value`; a name that cannot be decoded is unknown anyway, and stays as it is."""
    name = segment.partition("=")[0]
    try:
        return _bytes(name).decode()
    except UnicodeError:
        return name


def check_name(name: str, known: Collection[str]) -> None:
    """Refuse an unknown parameter; raises `InvalidRequestError`."""
    if name not in known:
        raise unknown(shown_name(name), "parameter", name=name, known=known)


def value(name: str, encoded: list[str]) -> str:
    """Return the one decoded value of a parameter; raises `InvalidRequestError` if there is none or several."""
    if len(encoded) > 1:
        raise invalid(name, f"given {len(encoded)} times", remedy=f"give {name} once")
    text = _decoded(encoded[0], name)
    if not text:
        raise invalid(name, "has no value", remedy=f"give {name} a value, or leave it out")
    return text


def shown_name(name: str) -> str:
    """Return a parameter's name as the place of a fault shows it."""
    return show(name)[1:-1] or '""'


def _decoded(encoded: str, place: str) -> str:
    bad = _BAD_ESCAPE.search(encoded)
    if bad:
        found = show(encoded[bad.start() : bad.start() + 3])
        raise invalid(place, f"{found} is not a percent escape", remedy="write % itself as %25")
    try:
        text = _bytes(encoded).decode()
    except UnicodeError:
        raise invalid(place, "is not UTF-8 text", remedy="percent-encode the bytes of its UTF-8 form") from None
    if "\0" in text:
        raise invalid(place, "contains the character NUL", remedy="leave %00 out")
    return text


def _bytes(encoded: str) -> bytes:
    return unquote_to_bytes(encoded.replace("+", " "))
