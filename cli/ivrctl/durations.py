"""Durations as people write and read them: `30s`, `10m`, `1h30m`, `2d`. In code they are seconds."""

import re
from typing import Final

FORM: Final = "a duration such as 30s, 10m, 1h30m or 2d"

_UNITS_S: Final = (86400, 3600, 60, 1)
_DURATION: Final = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,7})h)?(?:(\d{1,7})m)?(?:(\d{1,7}(?:\.\d{1,3})?)s)?", re.ASCII)


def seconds(text: str) -> float:
    """Read a duration; raises `ValueError`, whose text says what is accepted."""
    found = _DURATION.fullmatch(text)
    if not text or not found:
        raise ValueError(f"{text!r} is not {FORM}")
    return sum(float(count) * unit_s for count, unit_s in zip(found.groups(), _UNITS_S, strict=True) if count)


def brief(duration_s: float) -> str:
    """Return a duration for people: `800 ms`, `12.3 s`, `4m05s`."""
    if duration_s < 1:
        return f"{duration_s * 1000:.0f} ms"
    return f"{duration_s:.1f} s" if duration_s < 60 else f"{int(duration_s) // 60}m{int(duration_s) % 60:02}s"
