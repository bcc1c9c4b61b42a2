"""A caller's own text, made safe to be repeated in an answer or a log.

Owns how much of it is repeated, and how it is escaped. Called where requests are refused: the query language, `event`,
`caller`.
"""

from typing import Final

ECHO_LENGTH: Final = 40
"""The most characters of a caller's text that a message repeats."""


def show(text: str) -> str:
    """Quote the caller's text: cut after `ECHO_LENGTH` characters, with escapes for what is not printable."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:ECHO_LENGTH])
    return f'"{shown}…"' if len(text) > ECHO_LENGTH else f'"{shown}"'
