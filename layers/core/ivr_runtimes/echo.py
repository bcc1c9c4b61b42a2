"""A caller's own text, made safe to stand in an answer and in a log.

Owns how much of it is repeated and how. Called by whatever refuses a request: the query language, `event`, `caller`.
"""

from typing import Final

ECHO_LENGTH: Final = 40
"""How many characters of the caller's text a message repeats, at most."""


def show(text: str) -> str:
    """Quote the caller's text: cut after `ECHO_LENGTH` characters, whatever does not print as an escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:ECHO_LENGTH])
    return f'"{shown}…"' if len(text) > ECHO_LENGTH else f'"{shown}"'
