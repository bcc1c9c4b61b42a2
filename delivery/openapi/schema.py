"""The few forms of JSON Schema that the document is made of."""

from typing import Any, Final

Json = dict[str, Any]

MODELS: Final = "#/components/schemas/"
QUERY: Final = "#/components/x-query/"


def obj(properties: Json, *, required: list[str] | None = None) -> Json:
    """An object with these members and no others."""
    shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return shape | ({"required": required} if required else {})


def row(*items: Json) -> Json:
    """An array of exactly these items.

    `maxItems` closes it, not `items: false`: generators read every schema as an object.
    """
    return {"type": "array", "prefixItems": list(items), "minItems": len(items), "maxItems": len(items)}


def model(name: str) -> Json:
    """A reference to a model of `components.schemas`."""
    return {"$ref": MODELS + name}
