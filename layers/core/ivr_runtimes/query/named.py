"""Looks up the field that a caller names in a filter or an order.

Owns the lookup and its errors, and the parts of `ext`. Called by `filter` and `order`; `mask` uses the parts.
"""

from typing import Final

from ivr_runtimes.fields import COMPOSITE, FIELDS, Field
from ivr_runtimes.query.faults import invalid, unknown

PARTS: Final = tuple(field for field in FIELDS.values() if field.part is not None)
"""The parts of the composite, in the documented order."""


def field(name: str, place: str) -> Field:
    """Return the field of that exact name; raises `InvalidRequestError`, also for `ext`, which has no value itself."""
    found = FIELDS.get(name)
    if found is not None:
        return found
    if name == COMPOSITE:
        parts = ", ".join(part.name for part in PARTS)
        raise invalid(place, f'"{COMPOSITE}" is composite: it has no value of its own', remedy=f"name a part: {parts}")
    raise unknown(place, "field", name=name, known=FIELDS)
