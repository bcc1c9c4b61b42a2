"""The parameters in path and query."""

from typing import Final

from delivery.openapi.examples import SAMPLE
from delivery.openapi.query import held
from delivery.openapi.schema import Json
from ivr_runtimes.fields import COMPOSITE, FIELDS
from ivr_runtimes.identifiers import RUNTIME_ID_PATTERN
from ivr_runtimes.query.window import MAX_WINDOW

RUNTIME_ID: Final[Json] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A UUID in either case (RFC 9562); lists show it in lower case.",
    "schema": {"type": "string", "pattern": RUNTIME_ID_PATTERN},
    "example": SAMPLE["id"],
}


def _fields_list() -> str:
    names = "|".join(name.replace(".", r"\.") for name in [*FIELDS, COMPOSITE])
    return rf"^({names})(,({names}))*$"


_WINDOW: Final = {"type": "integer", "minimum": 0, "maximum": MAX_WINDOW}

OF_A_LIST: Final[dict[str, Json]] = {
    "filter": {
        "description": "Which scripts to list: JSON, an object of fields or an expression in Polish notation.",
        "schema": held("Filter"),
        "examples": {
            "fields": {"value": '{"site": "SITE1", "code": ["player", "welcome"]}'},
            "expression": {"value": '["like", ["property", "name"], "TEST%"]'},
        },
    },
    "mask": {
        "description": "Which fields to show, comma-separated.",
        "schema": {"type": "string", "pattern": _fields_list()},
        "example": "id,name,ext.state",
    },
    "offset": {"description": "How many to skip.", "schema": _WINDOW, "example": 100},
    "limit": {"description": "How many to show at most. Without it, all.", "schema": _WINDOW, "example": 100},
    "order": {
        "description": "By which fields to sort: a JSON array of fields, or in short `-starttime,id`.",
        "schema": held("Order"),
        "examples": {
            "array": {"value": '["site", {"starttime": "desc"}]'},
            "short": {"value": "site,-starttime"},
        },
    },
    "flat": {"description": "Show composite fields as dotted keys.", "schema": {"type": "boolean"}, "example": True},
    "after": {
        "description": "Where the page begins: from the `Link` header of the page before.",
        "schema": {"type": "string", "minLength": 1},
        "example": "5OeOwTErMjAxOS0xMS0wNVQwODozNjo0MFojMjQ0Zjg0YWEtMDYyNC1lNjM5LTgwNjEtYTgwMDAwMDAwMDA2QFNJVEUx",
    },
}
"""What a list takes, by the names that the query language has."""
