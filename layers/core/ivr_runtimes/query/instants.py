"""Times: RFC 3339 date-times in any form, compared exactly, as instants.

Owns the grammar of RFC 3339 section 5.6 and its calendar. Years are 0000 to 9999, and with an offset an instant may lie
outside of them, which `datetime` cannot hold. A second :60 is the next minute's :00, as in POSIX time.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple


class Instant(NamedTuple):
    """A point in time: whole seconds since 1970-01-01T00:00:00Z, and the digits of the fraction.

    `fraction` has no trailing zeros, so its text order is its numeric order and equal instants are equal values.
    """

    epoch_s: int
    fraction: str = ""


_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DAYS_BEFORE_MONTH: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
_DAYS_BEFORE_1970: Final = 719_162
"""Days from 0001-01-01 to 1970-01-01."""


def parse(text: str) -> Instant:
    """Read an RFC 3339 date-time; raises `ValueError`, whose text says what is wrong with it."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError("is not an RFC 3339 date-time")
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    days = _days(year, month, day)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"has a time of day that does not exist: {hour:02}:{minute:02}:{second:02}")
    offset_s = _offset_s(*found.group(8, 9, 10)) if found[8] else 0
    return Instant(((days * 24 + hour) * 60 + minute) * 60 + second - offset_s, (found[7] or "").rstrip("0"))


@lru_cache(maxsize=1024)  # a filter may test the same time of a row a hundred times
def read(text: str) -> Instant | None:
    """Read a row's time; None if it is no time, so that one bad row does not make the list fail."""
    try:
        return parse(text)
    except ValueError:
        return None


@lru_cache(maxsize=1024)  # the rows of a list have few dates
def _days(year: int, month: int, day: int) -> int:
    """Count the days from 1970-01-01 in the proleptic Gregorian calendar, whose year 0000 is a leap year."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _days_in(month, leap=leap):
        raise ValueError(f"has a date that does not exist: {year:04}-{month:02}-{day:02}")
    past = year - 1
    before_year = 365 * past + past // 4 - past // 100 + past // 400
    before_month = _DAYS_BEFORE_MONTH[month - 1] + (leap and month > 2)
    return before_year + before_month + day - 1 - _DAYS_BEFORE_1970


def _days_in(month: int, *, leap: bool) -> int:
    return _DAYS_BEFORE_MONTH[month] - _DAYS_BEFORE_MONTH[month - 1] + (leap and month == 2)


def _offset_s(sign: str, hours: str, minutes: str) -> int:
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"has an offset that does not exist: {sign}{hours}:{minutes}")
    offset_s = (int(hours) * 60 + int(minutes)) * 60
    return -offset_s if sign == "-" else offset_s
