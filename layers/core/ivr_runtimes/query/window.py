"""The parameters `offset` and `limit`: the window over the filtered, ordered list.

Owns their bounds. A number out of bounds is refused, never clamped. Called by `request`.
"""

import re
from typing import Final, TypeVar

from ivr_runtimes.echo import show
from ivr_runtimes.query.faults import invalid

MAX_WINDOW: Final = 1_000_000
"""The greatest offset and the greatest limit."""

_DIGITS: Final = re.compile(r"0*([0-9]{1,7})")
"""Up to seven digits after leading zeros. Longer texts are refused before they are converted."""

Row = TypeVar("Row")


def parse(name: str, text: str) -> int:
    """Read the parameter `name` as a number of rows; raises `InvalidRequestError`."""
    digits = _DIGITS.fullmatch(text)
    number = int(digits[1]) if digits else -1
    if not 0 <= number <= MAX_WINDOW:
        raise invalid(name, f"{show(text)} is not a number from 0 to {MAX_WINDOW}", remedy="write decimal digits only")
    return number


def cut(rows: list[Row], *, offset: int, limit: int | None) -> list[Row]:
    """Return the window of the list; without a limit, all rows from `offset` on."""
    return rows[offset:] if limit is None else rows[offset : offset + limit]
