r"""Patterns of `like`: `%` any run of characters, also none; `_` exactly one; `\` takes the next one as it is.

Owns their grammar and their matching, which never backtracks: the time is linear in the value, whatever the pattern.
Called by `filter`, to check a pattern, and by `evaluate`, to match.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

Segment: TypeAlias = tuple[str | None, ...]
"""What stands between two `%`: characters, with None for `_`."""

Search: TypeAlias = Callable[[str, int], int]
"""Find a segment in a value from an index on: the index where its first occurrence ends, or -1."""


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

    The first and the last segment are tied to the ends of the value; each of the others may take the first place that
    fits, because `%` makes up for any gap: an earlier end never leaves less room for the rest.
    """
    head, *rest = parse(pattern)
    if not rest:
        return lambda value: len(value) == len(head) and _fits(head, value, 0)
    *middle, tail = rest
    searches = [_search(segment) for segment in middle if segment]

    def matches(value: str) -> bool:
        last = len(value) - len(tail)
        if last < len(head) or not _fits(head, value, 0) or not _fits(tail, value, last):
            return False
        position = len(head)
        for search in searches:
            position = search(value, position)
            if position < 0:
                return False
        return position <= last

    return matches


def _escaped(characters: Iterator[str]) -> str:
    escaped = next(characters, None)
    if escaped is None:
        raise ValueError("ends in a \\ that escapes nothing")
    return escaped


def _fits(segment: Segment, value: str, start: int) -> bool:
    return all(wanted is None or wanted == value[start + index] for index, wanted in enumerate(segment))


def _search(segment: Segment) -> Search:
    literal = "".join(character for character in segment if character is not None)
    return _literal_search(literal) if len(literal) == len(segment) else _masked_search(segment)


def _literal_search(literal: str) -> Search:
    def search(value: str, start: int) -> int:
        found = value.find(literal, start)
        return found + len(literal) if found >= 0 else -1

    return search


def _masked_search(segment: Segment) -> Search:
    """Search with `_` in it by the Shift-And algorithm (Baeza-Yates and Gonnet, 1992).

    Bit i of `state` says that the segment's first i + 1 characters end at the current one, so each character of the
    value costs one step, however often the segment nearly fits.
    """
    anywhere = sum(1 << index for index, wanted in enumerate(segment) if wanted is None)
    fits = {wanted: anywhere for wanted in segment if wanted is not None}
    for index, wanted in enumerate(segment):
        if wanted is not None:
            fits[wanted] |= 1 << index
    complete = 1 << (len(segment) - 1)

    def search(value: str, start: int) -> int:
        state = 0
        for index in range(start, len(value)):
            state = ((state << 1) | 1) & fits.get(value[index], anywhere)
            if state & complete:
                return index + 1
        return -1

    return search
