"""The parameters `mask` and `flat`: which fields of a runtime are shown, and in which shape.

Owns the shape of the list's objects: documented order whatever the mask's, unset parts as null. Called by `request`.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from ivr_runtimes.fields import COMPOSITE, DOCUMENTED, FIELDS, Field
from ivr_runtimes.model import Runtime
from ivr_runtimes.query.faults import invalid, unknown
from ivr_runtimes.query.named import PARTS

Rendering: TypeAlias = Callable[[Runtime], dict[str, object]]

_SHOWN: Final[dict[str, tuple[Field, ...]]] = {
    **{field.name: (field,) for field in DOCUMENTED},
    COMPOSITE: PARTS,
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


def rendering(fields: tuple[Field, ...], *, flat: bool) -> Rendering:
    """Return how to show a runtime: composite fields as dotted keys if `flat`, else as an object after the others."""
    parts = [(field.part, field.value) for field in fields if field.part is not None]
    if flat or not parts:
        return lambda runtime: {field.name: field.value(runtime) for field in fields}
    plain = [(field.name, field.value) for field in fields if field.part is None]

    def nested(runtime: Runtime) -> dict[str, object]:
        shown: dict[str, object] = {name: value(runtime) for name, value in plain}
        return shown | {COMPOSITE: {part: value(runtime) for part, value in parts}}

    return nested


def _check(name: str, place: str, named: set[str]) -> None:
    if not name:
        raise invalid(place, "names no field", remedy="put exactly one comma between two names, none at the ends")
    if name not in _SHOWN:
        raise unknown(place, "field", name=name, known=_SHOWN)
    if name in named:
        raise invalid(place, f"{name} is named twice", remedy="name each field once")
