"""JSON inside a parameter: read strictly; errors name the place.

Owns the limit on nesting, and the refusal of duplicate keys, NaN and lone surrogates, which Python's parser accepts.
Numbers come out as floats, since none is ever used. Never knows what a value means. Called by `filter` and `order`.
"""

import json
import re
from typing import Final, TypeAlias

from ivr_runtimes.echo import show
from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.query.faults import invalid, member

MAX_NESTING: Final = 16
"""How deep lists and objects may be nested."""

Json: TypeAlias = "bool | float | str | list[Json] | dict[str, Json] | None"


class _Pairs(list[tuple[str, object]]):
    """An object as it was written, with duplicate keys."""


class _NotANumber(str):
    """NaN, Infinity or -Infinity, which JSON does not have."""

    __slots__ = ()


# parse_int: many digits must not make a huge integer, nor hit Python's limit on the digits of one.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=float, parse_constant=_NotANumber)

_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)

_SYNTAX: Final = {
    "Expecting value": ("a value is missing or is not JSON", "write a string in double quotes, a list or an object"),
    "Expecting ','": ("a comma or a closing bracket is missing", "put a comma between elements, close every bracket"),
    "Expecting ':'": ("a colon is missing after a key", 'write "key": value'),
    "Expecting property name": ("a key in double quotes is missing", 'write "key": value, no comma after the last one'),
    "Illegal trailing comma": ("a comma stands before the closing bracket", "leave out the last comma"),
    "Unterminated string": ("a string is never closed", 'close it with "; within it, write & as %26 in a URL'),
    "Invalid control character": ("a bare control character stands in a string", r"write it as an escape, e.g. \n"),
    "Invalid \\": (
        "an unknown escape stands in a string",
        r"write \\ for a backslash, \" for a quote, \u and 4 digits",
    ),
    "Extra data": ("text follows the end of the JSON value", "end the value there"),
}


def read(text: str, place: str) -> Json:
    """Read a text that is one JSON value; `place` is the parameter's name. Raises `InvalidRequestError`."""
    _check_nesting(text, place)
    try:
        written = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(error, place) from None
    return _checked(written, place)


def read_item(text: str, start: int, *, parameter: str, place: str) -> tuple[Json, int]:
    """Read the JSON value that begins at `start`; return it and where it ends. Raises `InvalidRequestError`."""
    _check_nesting(text, parameter, start=start)
    try:
        written, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _syntax_error(error, parameter) from None
    return _checked(written, place), end


def describe(value: Json) -> str:
    """Name the type of a value, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case float():
            return "a number"
        case str():
            return f"the string {show(value)}"
    return "a list" if isinstance(value, list) else "an object"


def _check_nesting(text: str, parameter: str, *, start: int = 0) -> None:
    """Refuse deep nesting before the parser recurses into it. Looks at the first value only."""
    depth = 0
    for token in _TOKENS.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_NESTING:
            raise invalid(
                f"{parameter}, character {token.start() + 1}",
                f"lists and objects lie more than {MAX_NESTING} deep",
                remedy='write it flatter; in a filter, "and" and "or" take any number of operands',
            )
        if depth <= 0:
            return


def _syntax_error(error: json.JSONDecodeError, parameter: str) -> InvalidRequestError:
    known = (words for start, words in _SYNTAX.items() if error.msg.startswith(start))
    message, remedy = next(known, ("is not JSON", "check it with a JSON formatter"))
    if error.pos >= len(error.doc):
        message = f"the JSON ends too early: {message}"
    return invalid(f"{parameter}, character {error.pos + 1}", message, remedy=remedy)


def _checked(written: object, place: str) -> Json:
    """Turn the parser's output into plain values; refuse what the parser accepts and JSON does not."""
    match written:
        case _NotANumber():
            raise invalid(place, f"{written} is not JSON", remedy="write a string in double quotes")
        case str():
            return _checked_text(written, place)
        case _Pairs():
            return _checked_object(written, place)
        case list():
            return [_checked(element, f"{place}[{index}]") for index, element in enumerate(written)]
        case None | bool() | float():
            return written
    raise TypeError(f"the JSON parser made a {type(written).__name__}")


def _checked_object(pairs: _Pairs, place: str) -> Json:
    checked: dict[str, Json] = {}
    for key, value in pairs:
        inner = member(place, key)
        if _checked_text(key, inner) in checked:
            raise invalid(
                inner, f"the key {show(key)} is given twice", remedy="give each key once, with a list of values"
            )
        checked[key] = _checked(value, inner)
    return checked


def _checked_text(text: str, place: str) -> str:
    """Refuse half a UTF-16 pair (`"\\ud83d"` alone): it is no character, and UTF-8 cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(
            place,
            f"{show(text)} contains half a surrogate pair",
            remedy="write the character itself, or both of its \\u escapes",
        ) from None
    return text
