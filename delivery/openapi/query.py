"""What the parameters `filter` and `order` hold as JSON: schemas made from the tables of fields and operators.

They stand in `components.x-query`, not among the models: a generated client sends these parameters as text, and a class
for each form of each operator would help nobody. `contentSchema` of the parameters points here.
"""

from delivery.openapi.schema import QUERY, Json, obj, row
from ivr_runtimes.fields import FIELDS
from ivr_runtimes.operators import OPERATORS, Operator
from ivr_runtimes.query.filter import MAX_BYTES
from ivr_runtimes.query.strict_json import MAX_NESTING


def schemas() -> Json:
    """Return them by name: Filter, Expression, Order."""
    return {
        "Filter": _filter(),
        "Expression": {"oneOf": [_expression(operator) for operator in OPERATORS.values()]},
        "Order": _order(),
    }


def held(name: str) -> Json:
    """Return the schema of a text that holds JSON of that name."""
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": {"$ref": QUERY + name}}


def _filter() -> Json:
    constant: Json = {"type": "string"}
    value = {"anyOf": [constant, {"type": "array", "items": constant, "minItems": 1}]}
    shorthand = {
        "description": "All fields must match; a list means any of; {} matches everything.",
        **obj(dict.fromkeys(FIELDS, value)),
    }
    words = f"At most {MAX_BYTES} bytes and {MAX_NESTING} levels deep. See docs/query.md."
    return {"description": words, "oneOf": [shorthand, {"$ref": QUERY + "Expression"}]}


def _expression(operator: Operator) -> Json:
    names = [field.name for field in FIELDS.values() if field.kind in operator.kinds]
    property_ = row({"const": "property"}, {"enum": names})
    constant: Json = {"anyOf": [{"type": "string"}, row({"const": "const"}, {"type": "string"})]}
    head = {"enum": [operator.name, *operator.aliases]}
    said = {"description": f"{operator.form}: {operator.meaning}"}
    if not operator.kinds:
        expression = {"$ref": QUERY + "Expression"}
        shape: Json = {"type": "array", "prefixItems": [head], "items": expression, "minItems": operator.least + 1}
        return said | shape | ({} if operator.most is None else {"maxItems": operator.most + 1})
    if operator.most == 1:
        return said | row(head, property_)
    if operator.name == "in":
        constants = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        return said | row(head, property_, {"anyOf": [constants, row({"const": "const"}, constants)]})
    if operator.relation is None:
        return said | row(head, property_, constant)
    return said | {"anyOf": [row(head, property_, constant), row(head, constant, property_)]}


def _order() -> Json:
    ways = [way for name in FIELDS for way in (name, "-" + name)]
    named = [obj({name: {"enum": ["asc", "desc"]}}, required=[name]) for name in FIELDS]
    return {"type": "array", "minItems": 1, "items": {"anyOf": [{"enum": ways}, *named]}}
