"""Paging in HTTP headers: the `Link` to the next page (RFC 8288), and `Prefer: count=exact` (RFC 7240).

Owns header syntax only; `reader` decides which page follows. Called by the list function.
"""

from typing import Final
from urllib.parse import quote

from ivr_runtimes.http import preferred
from ivr_runtimes.query import cursor, params
from ivr_runtimes.query.cursor import Cursor

EXACT_COUNT: Final = "count=exact"
"""The only preference that a list follows, as `Preference-Applied` repeats it."""

_URL_SAFE: Final = "!$&'()*+,-./:;=?@_~%[]"
"""Characters that stay as the caller wrote them. Others, such as `>` or a space, are escaped to fit a header."""


def wants_count(prefer: str | None) -> bool:
    """Tell whether a `Prefer` header asks for an exact count. Other preferences are ignored (RFC 7240 section 2)."""
    name, _, value = EXACT_COUNT.partition("=")
    return (preferred(prefer, name) or "").lower() == value


def next_link(raw_query_string: str, following: Cursor) -> str:
    """Return the `Link` header's value: the same request with `after` instead of `offset`.

    The reference is a query alone, so it keeps the path that the caller used (RFC 3986 section 5.2.2). Behind a custom
    domain's base path, a stage or a proxy, that path differs from the one we see.
    """
    kept = [part for part in raw_query_string.split("&") if part and params.name_of(part) not in ("after", "offset")]
    query = "&".join([*kept, "after=" + cursor.encode(following)])
    return f'<?{quote(query, safe=_URL_SAFE)}>; rel="next"'
