"""What answers are made of: the few schemas that a generator makes classes of, each with a name for people."""

from delivery.openapi.examples import SAMPLE
from delivery.openapi.schema import Json, model, obj
from ivr_runtimes.fields import COMPOSITE, DOCUMENTED, FIELDS, Field, FieldKind
from ivr_runtimes.http.response import PROBLEM_URN

TEXT: Json = {"type": "string"}


def schemas(codes: list[str]) -> Json:
    """Return them by name; `codes` are those of the API's problems."""
    return {
        "Runtime": _runtime(),
        "RuntimeExt": _ext(),
        "Refusal": _refusal(),
        "Problem": _problem(codes),
        "ProblemPlace": _place(),
        "GatewayMessage": _message(),
    }


def _runtime() -> Json:
    flat = {field.name: _value(field) for field in FIELDS.values() if field.part}
    composite = {"$ref": model("RuntimeExt")["$ref"], "description": "Only if the mask names it or a part of it."}
    words = (
        "A running script: the documented fields, in this order, or those of the mask. With `flat=true` the parts of"
        f" `{COMPOSITE}` are members with a dot."
    )
    properties = {field.name: _value(field) for field in DOCUMENTED} | {COMPOSITE: composite} | flat
    return {"description": words, **obj(properties)}


def _ext() -> Json:
    words = "More of a runtime: the parts that the mask names, or all but those that are personal."
    return {"description": words, **obj({field.part: _value(field) for field in FIELDS.values() if field.part})}


def _value(field: Field) -> Json:
    kind: Json = {"type": ["string", "null"] if field.nullable else "string", "description": field.meaning}
    shown = {"examples": [SAMPLE[field.name]]} if field.name in SAMPLE else {}
    return kind | ({"format": "date-time"} if field.kind is FieldKind.TIME else {}) | shown


def _refusal() -> Json:
    words = "Why a request was refused: by the service (`application/problem+json`), or by API Gateway before it."
    return {"description": words, "anyOf": [model("Problem"), model("GatewayMessage")]}


def _problem(codes: list[str]) -> Json:
    """`code` is an open list: a client must bear codes that it does not know, so it is no `enum`."""
    properties = {
        "type": {**TEXT, "description": f"`{PROBLEM_URN}` and the code."},
        "title": {**TEXT, "description": "One title for each code."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {**TEXT, "description": "What is wrong with this request, for people."},
        "code": {**TEXT, "description": "What programs tell problems apart by.", "x-extensible-enum": codes},
        "errors": {"type": "array", "items": model("ProblemPlace"), "description": "Each wrong place."},
        "request_id": {**TEXT, "description": "Names this request in the logs."},
    }
    return {"description": "A problem (RFC 9457).", **obj(properties, required=list(properties))}


def _place() -> Json:
    properties = {
        "place": {
            **TEXT,
            "description": "The parameter, header or claim, and where in it.",
            "examples": ["filter[1][0]"],
        },
        "message": {**TEXT, "description": "What is wrong there."},
        "remedy": {**TEXT, "description": "How to correct it."},
    }
    return {"description": "One thing wrong with a request.", **obj(properties, required=list(properties))}


def _message() -> Json:
    return {"description": "API Gateway's own words.", **obj({"message": TEXT}, required=["message"])}
