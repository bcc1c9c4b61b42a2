"""Prints docs/openapi.json: the REST API for programs, out of the tables that the functions themselves read.

Owns the shape of the document and the words for what no table holds; never a field, an operator, a parameter, a code or
a scope. `make openapi` writes the file, a test tells when it is out of date. Never imported by a function.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from ivr_local import template
from ivr_runtimes import __version__, errors
from ivr_runtimes.errors import ApiError, OutcomeUnknownError
from ivr_runtimes.fields import COMPOSITE, DOCUMENTED, FIELDS, Field, FieldKind
from ivr_runtimes.http.response import JSON_TYPE, PROBLEM_TYPE, PROBLEM_URN
from ivr_runtimes.identifiers import KEY_PATTERN, RUNTIME_ID_PATTERN
from ivr_runtimes.listing.paging import EXACT_COUNT
from ivr_runtimes.query.filter import MAX_BYTES
from ivr_runtimes.query.operators import OPERATORS, Operator
from ivr_runtimes.query.request import PARAMETERS
from ivr_runtimes.query.strict_json import MAX_NESTING
from ivr_runtimes.query.window import MAX_WINDOW

Json = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = "#/components/schemas/"

ANYWHERE: Final = (errors.InvalidRequestError, errors.DomainClaimError, errors.InternalError)
RAISED: Final[dict[str, tuple[type[ApiError], ...]]] = {
    "GET": (*ANYWHERE, errors.InsufficientScopeError, errors.ResultTooLargeError, errors.ListUnavailableError),
    "DELETE": (*ANYWHERE, errors.RuntimeNotFoundError, errors.NodeUnreachableError, errors.OutcomeUnknownError),
}
"""What each function may refuse with."""

GATEWAY: Final = {
    400: "The request is not HTTP.",
    401: "There is no token, or it is not valid.",
    403: "The token lacks the route's scope.",
    404: "There is no such path or method.",
    413: "The body is over 10 MB.",
    429: "Too many requests.",
    431: "Request line and headers are over 10,240 bytes.",
    500: "The function failed.",
    503: "The function took too long.",
}
"""What API Gateway answers for itself."""


def document() -> Json:
    """Return the whole document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Management of IVR scripts execution",
            "version": __version__,
            "description": "Lists and stops running IVR scripts of the caller's domain at all sites. See docs/api.md.",
        },
        "paths": _paths(),
        "components": {
            "schemas": {
                "Runtime": _runtime(),
                "Filter": _filter(),
                "Expression": {"oneOf": [_expression(operator) for operator in OPERATORS.values()]},
                "Order": _order(),
                "Problem": _problem(),
                "Message": _object({"message": {"type": "string"}}, required=["message"]),
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _paths() -> Json:
    paths: Json = {}
    for route in _routes():
        paths.setdefault(route.path, {})[route.method.lower()] = _OPERATIONS[route.method](route)
    return paths


def _routes() -> tuple[template.Route, ...]:
    given = {"Sites": "SITE1", "JwtIssuer": "https://issuer.example", "JwtAudience": "ivr-runtimes"}
    stack = template.expand(
        ROOT / "template.yaml", parameters=given, stack_name="st", region="eu-central-1", account_id="000000000000"
    )
    return stack.routes


def _list(route: template.Route) -> Json:
    headers = {
        "Site-Nodes": _header("Live and known nodes of each site: SITE1=2/2, SITE2=0/2", required=True),
        "Link": _header(
            'With limit, in start order: the next page, <?...>; rel="next", resolved against the URL asked'
        ),
        "X-Total-Count": _header("How many there are without a window, if asked for", kind="integer"),
        "Preference-Applied": _header("The preference that was followed"),
    }
    rows = {"type": "array", "items": {"$ref": REFERENCE + "Runtime"}}
    answer = {"description": "The running scripts.", "headers": headers, "content": {JSON_TYPE: {"schema": rows}}}
    parameters: list[Json] = [{"name": name, "in": "query", **_PARAMETERS[name]} for name in PARAMETERS]
    words = f"{EXACT_COUNT} asks for X-Total-Count; other preferences are ignored (RFC 7240)."
    parameters.append({"name": "Prefer", "in": "header", "description": words, "schema": {"type": "string"}})
    return _operation(route, "listRuntimes", "List the running scripts", parameters, {"200": answer})


def _stop(route: template.Route) -> Json:
    parameters: list[Json] = [
        {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "A UUID in either case (RFC 9562); lists show it in lower case.",
            "schema": {"type": "string", "pattern": RUNTIME_ID_PATTERN},
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": (
                "Names this stop, so that a repeat of the request is recognised. Send one. With quotes or without it is"
                " one key, and so is the same key twice; different ones are refused."
            ),
            "schema": {"type": "string", "pattern": KEY_PATTERN},
        },
    ]
    headers = {"Stop-Request-Id": _header("The stop's id: the key, or one made for it", required=True)}
    answer = {"description": "The stop is on its way.", "headers": headers}
    return _operation(route, "stopRuntime", "Stop a running script", parameters, {"204": answer})


_OPERATIONS: Final = {"GET": _list, "DELETE": _stop}


def _operation(route: template.Route, name: str, summary: str, parameters: list[Json], answers: Json) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "description": f"Needs the scope {' '.join(route.scopes)}.",
        "security": [{"token": list(route.scopes)}],
        "parameters": parameters,
        "responses": answers | _refusals(RAISED[route.method]),
    }


def _refusals(raised: tuple[type[ApiError], ...]) -> Json:
    refusals: Json = {}
    for status in sorted({*GATEWAY, *(error.status for error in raised)}):
        ours = [error for error in raised if error.status == status]
        words = [f"{error.code}: {error.title()}." for error in ours]
        content: Json = {}
        if ours:
            codes = {"properties": {"code": {"enum": [error.code for error in ours]}, "status": {"const": status}}}
            content[PROBLEM_TYPE] = {"schema": {"allOf": [{"$ref": REFERENCE + "Problem"}, codes]}}
        if status in GATEWAY:
            words.append(f"By API Gateway: {GATEWAY[status]}")
            content["application/json"] = {"schema": {"$ref": REFERENCE + "Message"}}
        refusals[str(status)] = {"description": " ".join(words), "content": content}
        if status == 503:
            refusals["503"]["headers"] = {"Retry-After": _header("When to repeat, in seconds", kind="integer")}
            if OutcomeUnknownError in ours:
                refusals["503"]["headers"]["Stop-Request-Id"] = _header("The stop's id, to repeat it with as the key")
    return refusals


def _runtime() -> Json:
    parts = {field.part: _value(field) for field in FIELDS.values() if field.part}
    flat = {field.name: _value(field) for field in FIELDS.values() if field.part}
    properties = {field.name: _value(field) for field in DOCUMENTED} | {COMPOSITE: _object(parts)} | flat
    words = (
        f"The documented fields, in this order, or those of the mask. {COMPOSITE}: only if the mask names it or a part."
    )
    return {"description": words, **_object(properties)}


def _value(field: Field) -> Json:
    kind: Json = {"type": ["string", "null"] if field.nullable else "string", "description": field.meaning}
    return kind | ({"format": "date-time"} if field.kind is FieldKind.TIME else {})


def _filter() -> Json:
    constant: Json = {"type": "string"}
    value = {"anyOf": [constant, {"type": "array", "items": constant, "minItems": 1}]}
    shorthand = {
        "description": "All fields must match; a list means any of; {} matches everything.",
        **_object(dict.fromkeys(FIELDS, value)),
    }
    words = f"At most {MAX_BYTES} bytes and {MAX_NESTING} levels deep. See docs/query.md."
    return {"description": words, "oneOf": [shorthand, {"$ref": REFERENCE + "Expression"}]}


def _expression(operator: Operator) -> Json:
    names = [field.name for field in FIELDS.values() if field.kind in operator.kinds]
    property_ = _tuple({"const": "property"}, {"enum": names})
    constant: Json = {"anyOf": [{"type": "string"}, _tuple({"const": "const"}, {"type": "string"})]}
    head = {"enum": [operator.name, *operator.aliases]}
    said = {"description": f"{operator.form}: {operator.meaning}"}
    if not operator.kinds:
        expression = {"$ref": REFERENCE + "Expression"}
        shape: Json = {"type": "array", "prefixItems": [head], "items": expression, "minItems": operator.least + 1}
        return said | shape | ({} if operator.most is None else {"maxItems": operator.most + 1})
    if operator.most == 1:
        return said | _tuple(head, property_)
    if operator.name == "in":
        constants = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return said | _tuple(head, property_, {"anyOf": [constants, _tuple({"const": "const"}, constants)]})
    if operator.relation is None:
        return said | _tuple(head, property_, constant)
    return said | {"anyOf": [_tuple(head, property_, constant), _tuple(head, constant, property_)]}


def _order() -> Json:
    ways = [way for name in FIELDS for way in (name, "-" + name)]
    named = [_object({name: {"enum": ["asc", "desc"]}}, required=[name]) for name in FIELDS]
    return {"type": "array", "minItems": 1, "items": {"anyOf": [{"enum": ways}, *named]}}


def _problem() -> Json:
    text = {"type": "string"}
    fault = _object({"place": text, "message": text, "remedy": text}, required=["place", "message", "remedy"])
    codes = sorted({error.code for raised in RAISED.values() for error in raised})
    properties = {
        "type": {"enum": [PROBLEM_URN + code for code in codes]},
        "title": text,
        "status": {"type": "integer"},
        "detail": text,
        "code": {"enum": codes},
        "errors": {"type": "array", "items": fault},
        "request_id": text,
    }
    return {"description": "RFC 9457", **_object(properties, required=list(properties))}


def _fields_list() -> str:
    names = "|".join(name.replace(".", r"\.") for name in [*FIELDS, COMPOSITE])
    return rf"^({names})(,({names}))*$"


_WINDOW: Final = {"schema": {"type": "integer", "minimum": 0, "maximum": MAX_WINDOW}}
_PARAMETERS: Final[dict[str, Json]] = {
    "filter": {
        "description": "Which scripts to list.",
        "content": {"application/json": {"schema": {"$ref": REFERENCE + "Filter"}}},
    },
    "mask": {
        "description": "Which fields to show, comma-separated.",
        "schema": {"type": "string", "pattern": _fields_list()},
    },
    "offset": {"description": "How many to skip.", **_WINDOW},
    "limit": {"description": "How many to show at most. Without it, all.", **_WINDOW},
    "order": {
        "description": 'By which fields to sort: a JSON array, or comma-separated as "-starttime,id".',
        "content": {"application/json": {"schema": {"$ref": REFERENCE + "Order"}}},
    },
    "flat": {"description": "Show composite fields as dotted keys.", "schema": {"type": "boolean"}},
    "after": {
        "description": "The place to go on from, as in the Link header of the page before.",
        "schema": {"type": "string", "minLength": 1},
    },
}


def _header(words: str, *, kind: str = "string", required: bool = False) -> Json:
    return {"description": words, "required": required, "schema": {"type": kind}}


def _object(properties: Json, *, required: list[str] | None = None) -> Json:
    shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return shape | ({"required": required} if required else {})


def _tuple(*items: Json) -> Json:
    return {"type": "array", "prefixItems": list(items), "items": False, "minItems": len(items)}


def written() -> str:
    """Return the file's content."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written())
