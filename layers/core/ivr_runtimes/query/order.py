"""The parameter `order`: the fields that sort the list, and the sorting.

Owns its grammar and what comes first. Unset values come first ascending and last descending. Ties are broken by id, in
the direction of the last key, and then by site, so that pages fit together. Called by `request`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.echo import show
from ivr_runtimes.fields import FIELDS, Field
from ivr_runtimes.model import Row
from ivr_runtimes.query import named
from ivr_runtimes.query.evaluate import reading
from ivr_runtimes.query.expression import Constant
from ivr_runtimes.query.faults import invalid
from ivr_runtimes.query.strict_json import Json, describe, read, read_item

_ITEM: Final = 'write "name", "-name" or {"name": "desc"}'


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A field to sort by, and which way."""

    field: Field
    descending: bool = False


DEFAULT: Final = (OrderKey(FIELDS["starttime"]), OrderKey(FIELDS["id"]))
"""The order of a list that asks for none."""


def parse(text: str) -> tuple[OrderKey, ...]:
    """Read a decoded order, with id as its last key; raises `InvalidRequestError`."""
    keys: dict[str, OrderKey] = {}
    for place, item in _listed(text) if text.startswith("[") else _separated(text):
        key = _key(item, place)
        if key.field.name in keys:
            raise invalid(place, f"{key.field.name} is named twice", remedy="name each field once")
        keys[key.field.name] = key
    if "id" not in keys:
        keys["id"] = OrderKey(FIELDS["id"], next(reversed(keys.values())).descending)
    return tuple(keys.values())


def start_order(keys: tuple[OrderKey, ...]) -> OrderKey | None:
    """Return the first key if the index has this order (by starttime and id, or its reverse); else None."""
    first, *others = keys
    plain = first.field.name == "starttime" and others == [OrderKey(FIELDS["id"], first.descending)]
    return first if plain else None


def ordered(runtimes: Iterable[Row], keys: tuple[OrderKey, ...]) -> list[Row]:
    """Sort runtimes, by the last key first: Python's sort is stable."""
    rows = list(runtimes)
    for key in (OrderKey(FIELDS["site"], keys[-1].descending), *reversed(keys)):
        rows.sort(key=_sorting(key.field), reverse=key.descending)
    return rows


def _sorting(field: Field) -> Callable[[Row], tuple[bool, Constant]]:
    read = reading(field)

    def rank(runtime: Row) -> tuple[bool, Constant]:
        value = read(runtime)
        return (False, "") if value is None else (True, value)

    return rank


def _listed(text: str) -> Iterator[tuple[str, Json]]:
    """Yield the items of a JSON array with their places."""
    document = read(text, "order")
    items = document if isinstance(document, list) else []
    if not items:
        raise invalid("order", "the list is empty", remedy="name at least one field, or leave order out")
    for index, item in enumerate(items):
        yield f"order[{index}]", item


def _separated(text: str) -> Iterator[tuple[str, Json]]:
    """Yield the items of a comma-separated list with their places: JSON where one begins with { or a quote."""
    start = index = 0
    while start <= len(text):
        place, end = f"order[{index}]", text.find(",", start)
        item: Json = text[start:] if end < 0 else text[start:end]
        if text.startswith(("{", '"'), start):
            item, end = read_item(text, start, parameter="order", place=place)
            if text[end : end + 1] not in ("", ","):
                raise invalid(
                    place, f"{show(text[end:])} follows the item", remedy="put a comma between items, no space"
                )
        yield place, item
        start, index = (len(text) if end < 0 else end) + 1, index + 1


def _key(item: Json, place: str) -> OrderKey:
    match item:
        case str():
            return OrderKey(_field(item.removeprefix("-"), place), item.startswith("-"))
        case dict() if len(item) == 1:
            [(name, direction)] = item.items()
            if direction not in ("asc", "desc"):
                raise invalid(place, f"{describe(direction)} is no direction", remedy='write "asc" or "desc"')
            return OrderKey(_field(name, place), direction == "desc")
        case dict():
            raise invalid(place, f"the object has {len(item)} keys", remedy="write one object for each field")
    raise invalid(place, f"{describe(item)} is no sort key", remedy=_ITEM)


def _field(name: str, place: str) -> Field:
    if not name:
        raise invalid(place, "names no field", remedy=_ITEM)
    return named.field(name, place)
