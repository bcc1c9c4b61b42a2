"""The `Date` of an HTTP answer.

Owns which texts count as a date. A clock is set by them, so a doubtful text is no date. Never raises.
"""

import re
from calendar import timegm
from datetime import datetime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIXDATE: Final = re.compile(
    rf"(?P<text>({'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT)(?:,[ \t]*(?P=text))*"
)


def epoch_s(date: object) -> float | None:
    """Return the epoch seconds of an IMF-fixdate, `Tue, 05 Nov 2019 08:36:40 GMT`; None for anything else.

    Only this form may be sent (RFC 9110 section 5.6.7); the obsolete ones lack a century or a zone. Repeated headers
    are joined by a comma (section 5.3): the same date twice is that date, two different dates are none.
    """
    match = _FIXDATE.fullmatch(date) if isinstance(date, str) else None
    if match is None:
        return None
    _, day_name, day, month, year, *time = match.groups()
    hour, minute, second = map(int, time)
    try:
        at = datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, min(second, 59))  # noqa: DTZ001  # GMT
    except ValueError:
        return None
    if second > 60 or _DAYS[at.weekday()] != day_name:  # 60 is a leap second
        return None
    return float(timegm(at.timetuple()))
