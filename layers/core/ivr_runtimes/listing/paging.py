"""What HTTP says about pages: the `Link` to the next one (RFC 8288), and the wish to have all counted (RFC 7240).

Owns header syntax only; which page follows is `listing`'s business. Called by the list function.
"""

import re
from typing import Final
from urllib.parse import quote

from ivr_runtimes.query import cursor, params
from ivr_runtimes.query.cursor import Cursor

EXACT_COUNT: Final = "count=exact"
"""The one preference there is, as `Preference-Applied` repeats it."""

_URL_SAFE: Final = "!$&'()*+,-./:;=?@_~%[]"
"""What stays as the caller wrote it; anything else, such as a bare `>` or a space, is escaped to fit a header."""

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_COUNT: Final = re.compile(r'[\s]*count[\s]*=[\s]*(?:exact|"exact")[\s]*', re.IGNORECASE | re.ASCII)


def wants_count(prefer: str | None) -> bool:
    """Tell whether a `Prefer` header asks for an exact count. What else it prefers is ignored, as the RFC wants."""
    unquoted = _QUOTED.sub(lambda found: found[0] if found[0] == '"exact"' else '""', prefer or "")
    preferences = [preference.partition(";")[0] for preference in unquoted.split(",")]
    named = [each for each in preferences if each.partition("=")[0].strip().lower() == "count"]
    return bool(named) and _COUNT.fullmatch(named[0]) is not None


def next_link(raw_query_string: str, following: Cursor) -> str:
    """Return the `Link` header's value: the same request with `after`, and without the offset it has used up.

    A reference of a query alone, which keeps the path that the caller asked (RFC 3986 section 5.2.2): behind a custom
    domain's base path, a stage or a proxy that path is not the one we see.
    """
    kept = [part for part in raw_query_string.split("&") if part and params.name_of(part) not in ("after", "offset")]
    query = "&".join([*kept, "after=" + cursor.encode(following)])
    return f'<?{quote(query, safe=_URL_SAFE)}>; rel="next"'
