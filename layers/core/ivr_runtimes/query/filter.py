"""The parameter `filter`: JSON in the platform's Polish notation, or a shorthand object, parsed into an expression.

Owns the grammar of both forms and the errors in them. Never looks at a row. Called by `request`.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeGuard

from ivr_runtimes.echo import show
from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.fields import Field, FieldKind
from ivr_runtimes.operators import OPERATORS, RELATIONS, SPELLINGS, Operator
from ivr_runtimes.query import instants, like, named
from ivr_runtimes.query.expression import And, Compare, Constant, Expression, In, IsNull, Like, Not, Or
from ivr_runtimes.query.faults import invalid, member, unknown
from ivr_runtimes.query.strict_json import Json, describe, read

MAX_BYTES: Final = 4096
"""The longest filter, in bytes of UTF-8 after percent-decoding."""

Operands: TypeAlias = list[Json]

_SAMPLES: Final = {FieldKind.STRING: '"SITE1"', FieldKind.TIME: '"2019-11-05T08:36:40Z"'}

_USE_ISNULL: Final = 'for a field that is not set write ["isnull", ["property", "ext.stoptype"]]'


def parse(text: str) -> Expression:
    """Read a decoded filter; raises `InvalidRequestError` naming the place of the first thing wrong."""
    size = len(text.encode())
    if size > MAX_BYTES:
        raise invalid("filter", f"has {size} bytes, more than {MAX_BYTES}", remedy="shorten it: decoded UTF-8 counts")
    document = read(text, "filter")
    return _shorthand(document) if isinstance(document, dict) else _expression(document, "filter")


def _shorthand(members: dict[str, Json]) -> And:
    return And(tuple(_shorthand_test(key, value) for key, value in members.items()))


def _shorthand_test(key: str, value: Json) -> Expression:
    place = member("filter", key)
    field = named.field(key, place)
    if isinstance(value, list):
        return In(field, _constants(value, field, place))
    if isinstance(value, dict):
        raise invalid(place, "an object is no value", remedy='write a part of a composite with a dot: "ext.state"')
    return Compare("==", field, _constant(value, field, place))


def _expression(node: Json, place: str) -> Expression:
    if not isinstance(node, list):
        raise _no_expression(node, place)
    if not node:
        raise invalid(place, "the list is empty", remedy="write an operator and its operands; {} matches everything")
    operator = _operator(node[0], f"{place}[0]")
    operands = node[1:]
    if len(operands) < operator.least or (operator.most is not None and len(operands) > operator.most):
        given = len(operands)
        raise invalid(place, f'"{operator.name}" takes {operator.arity}, not {given}', remedy=f"write {operator.form}")
    return _READERS.get(operator.name, _comparison)(operator, operands, place)


def _no_expression(node: Json, place: str) -> InvalidRequestError:
    if node is None:
        return invalid(place, "null is no expression", remedy=_USE_ISNULL)
    if isinstance(node, dict):
        remedy = 'write ["==", ["property", "site"], "SITE1"]; an object may only be the whole filter'
        return invalid(place, "an object cannot be part of an expression", remedy=remedy)
    remedy = 'write a list, ["==", ["property", "site"], "SITE1"], or an object, {"site": "SITE1"}'
    return invalid(place, f"{describe(node)} is no expression", remedy=remedy)


def _operator(node: Json, place: str) -> Operator:
    if not isinstance(node, str):
        remedy = f"begin the list with one of: {', '.join(SPELLINGS)}"
        raise invalid(place, f"{describe(node)} is no operator", remedy=remedy)
    if node in ("property", "const"):
        raise invalid(place, f'"{node}" makes an operand, no expression', remedy=f"write {OPERATORS['=='].form}")
    if node not in SPELLINGS:
        raise unknown(place, "operator", name=node, known=SPELLINGS)
    return SPELLINGS[node]


def _and(_: Operator, operands: Operands, place: str) -> Expression:
    return And(_parts(operands, place))


def _or(_: Operator, operands: Operands, place: str) -> Expression:
    return Or(_parts(operands, place))


def _parts(operands: Operands, place: str) -> tuple[Expression, ...]:
    return tuple(_expression(operand, f"{place}[{index}]") for index, operand in enumerate(operands, 1))


def _not(_: Operator, operands: Operands, place: str) -> Expression:
    return Not(_expression(operands[0], f"{place}[1]"))


def _comparison(operator: Operator, operands: Operands, place: str) -> Expression:
    """Read a comparison. If its field is on the right, turn it around."""
    left, right = operands
    if _is_form(left, "property") == _is_form(right, "property"):
        count = "both sides are fields" if _is_form(left, "property") else "neither side is a field"
        raise invalid(place, f'in "{operator.name}" {count}', remedy=f"write {operator.form}, on either side")
    if _is_form(right, "property"):
        field = _property(right, operator, f"{place}[2]")
        return Compare(RELATIONS[operator.name].mirror, field, _operand(left, field, f"{place}[1]"))
    field = _property(left, operator, f"{place}[1]")
    return Compare(operator.name, field, _operand(right, field, f"{place}[2]"))


def _in(operator: Operator, operands: Operands, place: str) -> Expression:
    """Read a membership test. A list of two that begins with "const" is the const form, never two constants."""
    field = _property(operands[0], operator, f"{place}[1]")
    constants, place = operands[1], f"{place}[2]"
    if _is_form(constants, "const") and len(constants) == 2:
        constants, place = constants[1], f"{place}[1]"
    if not isinstance(constants, list):
        remedy = 'write ["a", "b"] or ["const", ["a", "b"]]; for "const" itself, ["const", ["const", "b"]]'
        raise invalid(place, f"{describe(constants)} is no list of constants", remedy=remedy)
    return In(field, _constants(constants, field, place))


def _like(operator: Operator, operands: Operands, place: str) -> Expression:
    field = _property(operands[0], operator, f"{place}[1]")
    pattern = str(_operand(operands[1], field, f"{place}[2]"))
    try:
        like.parse(pattern)
    except ValueError as error:
        raise invalid(
            f"{place}[2]", f"the pattern {error}", remedy=r"write \\ for a backslash (in JSON, \\\\)"
        ) from None
    return Like(field, pattern)


def _isnull(operator: Operator, operands: Operands, place: str) -> Expression:
    return IsNull(_property(operands[0], operator, f"{place}[1]"))


_READERS: Final[dict[str, Callable[[Operator, Operands, str], Expression]]] = {
    "and": _and,
    "or": _or,
    "not": _not,
    "in": _in,
    "like": _like,
    "isnull": _isnull,
}


def _is_form(node: Json, head: str) -> TypeGuard[list[Json]]:
    return isinstance(node, list) and node[:1] == [head]


def _property(node: Json, operator: Operator, place: str) -> Field:
    if not _is_form(node, "property") or len(node) != 2 or not isinstance(node[1], str):
        raise invalid(place, f"{describe(node)} does not name a field", remedy='write ["property", "site"]')
    field = named.field(node[1], f"{place}[1]")
    if field.kind not in operator.kinds:
        remedy = "compare times with ==, <, <=, >, >= or in"
        raise invalid(place, f'"{operator.name}" compares text, and {field.name} is a {field.kind}', remedy=remedy)
    return field


def _operand(node: Json, field: Field, place: str) -> Constant:
    """Read a constant, bare or as ["const", x]."""
    if _is_form(node, "const"):
        if len(node) != 2:
            raise invalid(place, f'"const" takes 1 constant, not {len(node) - 1}', remedy='write ["const", "SITE1"]')
        return _constant(node[1], field, f"{place}[1]")
    return _constant(node, field, place)


def _constants(nodes: list[Json], field: Field, place: str) -> tuple[Constant, ...]:
    if not nodes:
        raise invalid(place, "the list is empty", remedy="write at least one constant, or leave the test out")
    return tuple(_constant(node, field, f"{place}[{index}]") for index, node in enumerate(nodes))


def _constant(node: Json, field: Field, place: str) -> Constant:
    if node is None:
        raise invalid(place, "null is no constant", remedy=_USE_ISNULL)
    if not isinstance(node, str):
        raise invalid(
            place, f"{field.name} cannot be {describe(node)}", remedy=f"write a string: {_SAMPLES[field.kind]}"
        )
    if field.kind is FieldKind.TIME:
        return _instant(node, place)
    return node.lower() if field.name == "id" and node.isascii() else node  # both cases are one id


def _instant(text: str, place: str) -> instants.Instant:
    try:
        return instants.parse(text)
    except ValueError as error:
        remedy = "write 2019-11-05T08:36:40Z, or with an offset +03:00, whose + is %2B in a URL"
        raise invalid(place, f"{show(text)} {error}", remedy=remedy) from None
