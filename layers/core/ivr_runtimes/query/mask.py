"""The parameters `mask` and `flat`: which fields of a runtime are shown, and in which form.

Owns the form of the list's objects: fields in the documented order, unset parts as null. Called by `request`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from ivr_runtimes.columns import made_of, tuples_of
from ivr_runtimes.fields import COMPOSITE, DOCUMENTED, FIELDS, Field
from ivr_runtimes.model import Row
from ivr_runtimes.query.faults import invalid, unknown
from ivr_runtimes.query.named import PARTS

Rendering: TypeAlias = Callable[[Sequence[Row]], list[msgspec.Struct]]
"""Turns rows into structs, whose JSON is the list's objects."""

_SHOWN: Final[dict[str, tuple[Field, ...]]] = {
    **{field.name: (field,) for field in DOCUMENTED},
    COMPOSITE: tuple(part for part in PARTS if not part.personal),  # a mask names each number itself
    **{part.name: (part,) for part in PARTS},
}


def parse(text: str) -> tuple[Field, ...]:
    """Read a decoded mask into the fields to show, in the documented order; raises `InvalidRequestError`."""
    named: set[str] = set()
    for index, name in enumerate(text.split(",")):
        _check(name, f"mask[{index}]", named)
        named.add(name)
    shown = {field.name for name in named for field in _SHOWN[name]}
    return tuple(field for field in FIELDS.values() if field.name in shown)


def parse_flat(text: str) -> bool:
    """Read the parameter `flat`; raises `InvalidRequestError`."""
    if text not in ("true", "false"):
        raise invalid("flat", "is neither true nor false", remedy="write flat=true or flat=false, in small letters")
    return text == "true"


@lru_cache(maxsize=64)
def rendering(fields: tuple[Field, ...], *, flat: bool) -> Rendering:
    """Return a function that renders rows: parts as dotted keys if `flat`, else as an object after the other fields.

    It makes a struct of each row, without Python code per field: ten thousand rows are common.
    """
    plain = fields if flat else tuple(field for field in fields if field.part is None)
    parts = tuple(field for field in fields if field not in plain)
    shape, names = _shape([field.name for field in plain]), _attributes(plain)
    if not parts:
        return lambda rows: made_of(rows, names, shape)
    inner, inner_names = _shape([field.attribute for field in parts]), _attributes(parts)
    shape = _shape([*(field.name for field in plain), COMPOSITE])
    return lambda rows: [
        shape(*values, part)
        for values, part in zip(tuples_of(rows, names), made_of(rows, inner_names, inner), strict=True)
    ]


def _shape(names: Sequence[str]) -> type[msgspec.Struct]:
    """Make a struct class whose JSON has these keys, in this order."""
    keys = {f"field{number}": name for number, name in enumerate(names)}
    return msgspec.defstruct("Shown", [(field, str | None) for field in keys], rename=keys, gc=False)


def _attributes(fields: tuple[Field, ...]) -> tuple[str, ...]:
    return tuple(field.attribute for field in fields)


def _check(name: str, place: str, named: set[str]) -> None:
    if not name:
        raise invalid(place, "names no field", remedy="put exactly one comma between two names, none at the ends")
    if name not in _SHOWN:
        raise unknown(place, "field", name=name, known=_SHOWN)
    if name in named:
        raise invalid(place, f"{name} is named twice", remedy="name each field once")
