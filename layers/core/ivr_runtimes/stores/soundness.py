"""Whether a row is sound: its id is a runtime's, its start is a time, and its index key fits both.

Owns what a row needs for the list, beyond having its attributes. A row with a wrong index key would be listed by one
plan and not by another; one with an invalid id, or not in lower case, could be neither stopped nor found by it.
Called by `parser`, for thousands of rows of every list: a page of sound rows is checked by columns, in C.
"""

import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ivr_runtimes.columns import column_of
from ivr_runtimes.identifiers import FOLDED_ID_PATTERN
from ivr_runtimes.model import start_key

_DIGITS: Final = bytes.maketrans(b"0123456789", b"0" * 10)
_HEX_DIGITS: Final = bytes.maketrans(b"0123456789abcdef", b"0" * 16)
_TIME_SHAPE: Final = b"0000-00-00T00:00:00Z"
_SOUND: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z#" + FOLDED_ID_PATTERN[1:-1]
).fullmatch
_KEY_SHAPE: Final = _TIME_SHAPE + b"#00000000-0000-0000-0000-000000000000"


def all_sound(rows: Sequence[Any]) -> bool:
    """Tell whether all rows are sound; False also if each must be checked by itself."""
    if not rows:
        return True
    starts, ids, keys = (column_of(rows, name) for name in ("starttime", "id", "start_key"))
    return (
        keys == [f"{start}#{id_}" for start, id_ in zip(starts, ids, strict=True)]
        and _shaped("\n".join(keys), _HEX_DIGITS, b"\n".join([_KEY_SHAPE] * len(rows)))
        and _dated(starts)  # refuses the letters a to f, which the shape allows as digits
    )


def fault_of(row: Any) -> str | None:
    """Say what is wrong with a row; None if it is sound."""
    if row.start_key == f"{row.starttime}#{row.id}" and _SOUND(row.start_key) and _dated([row.starttime]):
        return None
    if not re.fullmatch(FOLDED_ID_PATTERN, row.id):
        return "id: not a runtime's in lower case"
    if not _is_time(row.starttime):
        return "starttime: not a time"
    if row.start_key != start_key(row):
        return "start_key: not that of starttime and id"
    return None


def _shaped(text: str, alike: bytes, shape: bytes) -> bool:
    return text.encode(errors="replace").translate(alike) == shape


def _dated(starts: Sequence[str]) -> bool:
    try:
        deque(map(datetime.fromisoformat, starts), maxlen=0)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """Tell whether a text is a time in the rows' form. A leap second, `:60`, is one."""
    if not _shaped(text, _DIGITS, _TIME_SHAPE):
        return False
    return _dated([text[:17] + "59Z" if text[17:19] == "60" else text])
