"""Text from elsewhere, made safe for a terminal, and how wide it is there.

Owns which characters a terminal would obey instead of show: controls (escape sequences begin with one), the marks that
turn the direction of text around, and invisible ones that make two names look alike. Whatever came from the API passes
through `neutral` before it is printed for people.
"""

import re
from typing import Final
from unicodedata import combining, east_asian_width

_BEYOND_C0: Final = (
    "\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
"""DEL and C1 controls, soft hyphen, all that steers direction, invisible characters, tags, lone surrogates."""

_OBEYED: Final = re.compile(f"[\x00-\x1f{_BEYOND_C0}]")
_OBEYED_IN_JSON: Final = re.compile(f"[{_BEYOND_C0}]")
"""JSON escapes C0 controls itself; between its values they are its line ends."""


def neutral(text: str) -> str:
    r"""Return the text with an escape such as `\x1b` or `\u202e` for each character that a terminal obeys."""
    return text if text.isascii() and text.isprintable() else _OBEYED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("ascii", "backslashreplace").decode() if ord(found[0]) > 0x7F else f"\\x{ord(found[0]):02x}"


def width(text: str) -> int:
    """Count the columns that a neutral text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def cut(text: str, columns: int) -> str:
    """Return the text in at most so many columns; an ellipsis stands for what was cut."""
    if width(text) <= columns:
        return text
    kept, taken = [], 1
    for each in text:
        taken += width(each)
        if taken > columns:
            break
        kept.append(each)
    return "".join(kept) + "…"


def padded(text: str, columns: int) -> str:
    """Return the text with spaces behind it up to so many columns."""
    return text + " " * (columns - width(text))


def neutral_json(text: str) -> str:
    r"""Return JSON that says the same, with `\u` escapes for the characters that a terminal obeys."""
    return _OBEYED_IN_JSON.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
