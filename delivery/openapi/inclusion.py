"""Whether every value that fits one JSON Schema fits another: what a change may not break, in one question.

A request breaks if something that fitted the released schema does not fit the present one; an answer breaks if it may
now hold what did not fit the released one. Knows the keywords that this API's document uses. A difference in any other
counts as a misfit, and so does one that cannot be judged: between two patterns, say. `oneOf` is taken as `anyOf`, since
alternatives of the document do not overlap. Called by `breaking`.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from delivery.openapi.schema import Json

ANNOTATIONS: Final = {"description", "title", "examples", "example", "deprecated", "default"}
"""Keywords that say nothing of values."""

NESTED: Final = ("properties", "items", "prefixItems", "contentSchema")
"""Keywords with schemas in them, which are compared one by one."""

_CHOICE: Final = re.compile(r"(?<!\\)\((?:\?:)?((?:\w|\\\.)+(?:\|(?:\w|\\\.)+)*)\)")
"""A choice of plain words within a pattern: `(id|ext\\.state)`."""


class Inclusion:
    """Compares schemas of two documents. With `answer`, readers pass over members that they do not know."""

    def __init__(self, *, narrow: Json, wide: Json, answer: bool) -> None:
        self._narrow, self._wide, self._answer = narrow, wide, answer
        self._under_way: list[str] = []

    def misfits(self, narrow: Any, wide: Any, place: str) -> list[str]:
        """Return why a value of `narrow` may not fit `wide`; nothing if each fits.

        Inside a schema that both know by one name, that name is the place.
        """
        if isinstance(narrow, dict) and "$ref" in narrow and narrow == wide:
            place = narrow["$ref"].rpartition("/")[2]
        pair = json.dumps([narrow, wide])
        if pair in self._under_way:  # a schema within itself: it fits if all else does
            return []
        self._under_way.append(pair)
        try:
            return list(self._by_alternatives(narrow, wide, place))
        finally:
            self._under_way.pop()

    def _by_alternatives(self, narrow: Any, wide: Any, place: str) -> Iterator[str]:
        wider = _alternatives(wide, self._wide)
        for one in _alternatives(narrow, self._narrow):
            if any(next(self._plain(one, other, place), None) is None for other in wider):
                continue
            alike = [other for other in wider if other.get("description") == one.get("description")]
            if len(alike) == 1:
                yield from self._plain(one, alike[0], place)
            else:
                yield f"{place}: {_shown(one)} has nothing that it fits"

    def _plain(self, narrow: Json, wide: Json, place: str) -> Iterator[str]:
        """Compare two schemas without references and alternatives."""
        for key in sorted((narrow.keys() | wide.keys()) - ANNOTATIONS):
            if not self._holds(key, narrow, wide):
                yield self._told(place, key, narrow.get(key), wide.get(key))
        if "contentSchema" in wide:
            yield from self.misfits(narrow.get("contentSchema", {}), wide["contentSchema"], f"{place} as JSON")
        yield from self._members(narrow, wide, place)
        yield from self._elements(narrow, wide, place)

    def _told(self, place: str, key: str, narrow: Any, wide: Any) -> str:
        released, present = (wide, narrow) if self._answer else (narrow, wide)
        return f"{place}: {key} was {_shown(released)}, is {_shown(present)}"

    def _holds(self, key: str, narrow: Json, wide: Json) -> bool:
        """Judge one keyword."""
        if key == "x-extensible-enum":
            return set(wide.get(key, ())) <= set(narrow.get(key, ()))
        if key in _JUDGES:
            return key not in wide or _JUDGES[key](key, narrow, wide)
        return key in NESTED or narrow.get(key) == wide.get(key)

    def _members(self, narrow: Json, wide: Json, place: str) -> Iterator[str]:
        ours, theirs = narrow.get("properties", {}), wide.get("properties", {})
        closed, closing = narrow.get("additionalProperties") is False, wide.get("additionalProperties") is False
        for name in ours:
            if name in theirs:
                yield from self.misfits(ours[name], theirs[name], f"{place}.{name}")
        if self._answer:
            yield from (f"{place}.{name}: is answered no more" for name in theirs if name not in ours)
            return
        if closing:
            yield from (f"{place}.{name}: is accepted no more" for name in ours if name not in theirs)
        if closing and not closed and "object" in _types(narrow):
            yield f"{place}: other members are accepted no more"
        if not closed:
            for name in theirs:
                if name not in ours:
                    yield from self.misfits({}, theirs[name], f"{place}.{name}")

    def _elements(self, narrow: Json, wide: Json, place: str) -> Iterator[str]:
        ours, theirs = narrow.get("prefixItems", []), wide.get("prefixItems", [])
        most = narrow.get("maxItems", max(len(ours), len(theirs)) + 1)
        for index in range(min(most, max(len(ours), len(theirs)) + 1)):
            one, other = (_element(schema, index) for schema in (narrow, wide))
            yield from self.misfits(one, other, f"{place}[{index}]")


def _listed(_key: str, narrow: Json, wide: Json) -> bool:
    values, allowed = _values(narrow), _values(wide) or []
    return values is not None and all(value in allowed for value in values)


def _typed(_key: str, narrow: Json, wide: Json) -> bool:
    return _types(narrow) <= _types(wide)


def _required(key: str, narrow: Json, wide: Json) -> bool:
    return set(wide[key]) <= set(narrow.get(key, ()))


def _least(key: str, narrow: Json, wide: Json) -> bool:
    least = narrow.get(key, None if key == "minimum" else 0)
    return least is not None and bool(least >= wide[key])


def _most(key: str, narrow: Json, wide: Json) -> bool:
    return key in narrow and bool(narrow[key] <= wide[key])


def _additional(key: str, narrow: Json, wide: Json) -> bool:
    return isinstance(wide[key], bool) or bool(narrow.get(key) == wide[key])


def _same(key: str, narrow: Json, wide: Json) -> bool:
    return bool(narrow.get(key) == wide[key])


def _pattern(key: str, narrow: Json, wide: Json) -> bool:
    return key in narrow and _fits_pattern(narrow[key], wide[key])


_JUDGES: Final[dict[str, Callable[[str, Json, Json], bool]]] = {
    "enum": _listed,
    "const": _listed,
    "type": _typed,
    "required": _required,
    "pattern": _pattern,
    "additionalProperties": _additional,
    **dict.fromkeys(("minimum", "minLength", "minItems"), _least),
    **dict.fromkeys(("maximum", "maxLength", "maxItems"), _most),
    **dict.fromkeys(("format", "contentMediaType"), _same),
}
"""Tells of a keyword that `wide` has whether all that fits `narrow` holds it."""


def _element(schema: Json, index: int) -> Any:
    first = schema.get("prefixItems", [])
    return first[index] if index < len(first) else schema.get("items", {})


def _alternatives(schema: Any, document: Json) -> list[Json]:
    """Return the schema as one or several without references and alternatives."""
    if isinstance(schema, bool):
        return [{} if schema else {"enum": []}]
    for key in ("$ref", "anyOf", "oneOf"):
        if key in schema:
            several = [_referred(schema[key], document)] if key == "$ref" else schema[key]
            beside = {name: value for name, value in schema.items() if name != key}
            return [_both(beside, one) for each in several for one in _alternatives(each, document)]
    return [schema]


def _both(beside: Json, one: Json) -> Json:
    if twice := (beside.keys() & one.keys()) - ANNOTATIONS:
        raise ValueError(f"{sorted(twice)} stand beside a choice or reference and in it: this check cannot judge that")
    return beside | one


def _referred(reference: str, document: Json) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _values(schema: Json) -> list[Any] | None:
    """Return the few values that fit, if they are listed."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


_TYPES: Final = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array", dict: "object",
}  # fmt: skip
_ANY: Final = {"string", "boolean", "integer", "number", "null", "array", "object"}


def _types(schema: Json) -> set[str]:
    """Return the types of values that may fit. A whole number is a number, too."""
    named = schema.get("type", _ANY)
    values = _values(schema)
    if values is not None and "type" not in schema:
        named = {_TYPES[type(value)] for value in values}
    types = {named} if isinstance(named, str) else set(named)
    return types | {"integer"} if "number" in types else types


def _fits_pattern(narrow: str, wide: str) -> bool:
    """Tell whether they are the same but for choices of words, of which `wide` has at least those of `narrow`."""
    if _CHOICE.sub("()", narrow) != _CHOICE.sub("()", wide):
        return False
    pairs = zip(_CHOICE.findall(narrow), _CHOICE.findall(wide), strict=True)
    return all(set(few.split("|")) <= set(many.split("|")) for few, many in pairs)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if value is not None else "absent"
    return text if len(text) <= 120 else text[:119] + "…"
