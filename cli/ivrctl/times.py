"""Times as people write and read them.

Owns the forms `2026-11-23T00:00Z` and `2026-11-23`, and the texts of the columns AGE and STARTED. Times are aware
datetimes. The zone is "utc" or "local"; a text says which.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)

TIME_FORM: Final = "a time such as 2026-11-23T00:00Z, 2026-11-23T03:00:00+03:00 or 2026-11-23"


def instant(text: str, zone: str) -> str:
    """Read a time, in `zone` if it names none; return it as RFC 3339. Raises `ValueError`."""
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not {TIME_FORM}")
    day, clock, offset = found.groups()
    clock = (clock or "00:00") + (":00" if not clock or clock.count(":") == 1 else "")
    if offset:
        return f"{day}T{clock}{offset.upper()}"
    try:
        named = datetime.fromisoformat(f"{day}T{clock}")
        aware = named.replace(tzinfo=UTC) if zone == "utc" else named.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} does not exist; write {TIME_FORM}") from None
    return aware.isoformat().replace("+00:00", "Z")


def before(now: datetime, duration_s: float) -> str:
    """Return the time so long before now, as RFC 3339 in UTC; raises `ValueError` for one before the year 1."""
    try:
        return (now.astimezone(UTC) - timedelta(seconds=duration_s)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise ValueError("is longer than time itself; write a shorter duration") from None


def parsed(text: str) -> datetime | None:
    """Read a time of the API; None if it is none."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else None


def age(started: str, now: datetime) -> str:
    """Return how long ago a time of the API was: `48s`, `12m05s`, `3h20m`, `2d04h`; `?` for what is no time."""
    then = parsed(started)
    if then is None:
        return "?"
    total_s = max(0, int((now - then).total_seconds()))
    if total_s < 60:
        return f"{total_s}s"
    if total_s < 3600:
        return f"{total_s // 60}m{total_s % 60:02}s"
    if total_s < 86400:
        return f"{total_s // 3600}h{total_s // 60 % 60:02}m"
    return f"{total_s // 86400}d{total_s // 3600 % 24:02}h"


def shown(text: str, zone: str) -> str:
    """Return a time of the API for people, its zone with it: `2026-11-23 08:36:40Z`; as it is if it is no time."""
    then = parsed(text)
    if then is None:
        return text
    if zone == "utc":
        return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    here = f"{then.astimezone():%Y-%m-%d %H:%M:%S%z}"
    return f"{here[:-2]}:{here[-2:]}"
