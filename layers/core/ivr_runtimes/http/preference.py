"""Preferences of a caller: the request header `Prefer` (RFC 7240).

Owns its syntax. Which preferences are followed, and what their values mean, is the use cases' own: `listing.paging`,
`stopping.wait`. A preference never fails a request: what is unknown or cannot be read is ignored.
"""

import re
from typing import Final

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PREFERENCES: Final = re.compile(rf'(?:{_QUOTED}|[^",])+')
_WITHOUT_PARAMETERS: Final = re.compile(rf'(?:{_QUOTED}|[^";])*')


def preferred(prefer: str | None, name: str) -> str | None:
    """Return the value of the preference of that name (in small letters); None if it is not asked for.

    A value may be a token or a quoted string; without one it is empty. Of a preference that is repeated the first
    counts. HTTP APIs join repeated headers by commas, which makes one list of them.
    """
    for preference in _PREFERENCES.findall(prefer or ""):
        found = _WITHOUT_PARAMETERS.match(preference)
        named, _, value = (found[0] if found else "").partition("=")
        if named.strip().lower() == name:
            return _unquoted(value.strip())
    return None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if re.fullmatch(_QUOTED, value) else value
