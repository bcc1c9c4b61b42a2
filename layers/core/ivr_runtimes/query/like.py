r"""Patterns of `like`: `%` any run of characters, also none; `_` exactly one; `\` takes the next one as it is.

Owns their grammar and their matching, by a regular expression without backtracking: a pattern costs at most its length
times the value's. Called by `filter`, to check a pattern, and by `evaluate`, to match.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

Segment: TypeAlias = tuple[str | None, ...]
"""What stands between two `%`: characters, with None for `_`."""


def parse(pattern: str) -> tuple[Segment, ...]:
    """Split a pattern at every `%`; raises `ValueError` when a `\\` at the end escapes nothing."""
    segments: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        match character:
            case "%":
                segments.append([])
            case "_":
                segments[-1].append(None)
            case "\\":
                segments[-1].append(_escaped(characters))
            case _:
                segments[-1].append(character)
    return tuple(map(tuple, segments))


def matcher(pattern: str) -> Callable[[str], bool]:
    """Compile a valid pattern into a test of whole values.

    A value without the pattern's longest run of plain characters is rejected by a substring search, which is several
    times faster than the expression.

    The first and the last segment must stand at the ends of the value. Each other segment takes the first match: a
    later one would leave less room for the rest, and `%` fills any gap. So no choice is ever revised, which atomic
    groups and possessive repeats express (Python's `re`, since 3.11).
    """
    segments = parse(pattern)
    fullmatch = re.compile(_whole(*segments), re.DOTALL).fullmatch
    needle = max((run for segment in segments for run in _runs(segment)), key=len)
    return lambda value: needle in value and fullmatch(value) is not None


def _whole(head: Segment, *rest: Segment) -> str:
    if not rest:
        return _expression(head)
    *middle, tail = rest
    searches = "".join(f"(?>.*?{_expression(segment)})" for segment in middle if segment)
    end = f".{{{len(tail)},}}+(?<={_expression(tail)})"
    return _expression(head) + searches + end


def _runs(segment: Segment) -> list[str]:
    """Return the runs of plain characters between the `_` of a segment."""
    return "".join("\0" if character is None else character for character in segment).split("\0")


def _escaped(characters: Iterator[str]) -> str:
    escaped = next(characters, None)
    if escaped is None:
        raise ValueError("ends in a \\ that escapes nothing")
    return escaped


def _expression(segment: Segment) -> str:
    return "".join("." if character is None else re.escape(character) for character in segment)
