"""The filter's shorthand: `site=SITE1 code=player,welcome 'starttime<2026-11-23T00:00Z' 'age>10m' 'name~Main%'`.

Owns its grammar and its errors; turns terms into the API's filter, which the API checks. All terms must hold. Field
names and operators are the core's.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from ivr_runtimes.fields import COMPOSITE, FIELDS, FieldKind
from ivrctl import durations, times
from ivrctl.errors import UsageError

AGE: Final = "age"
"""Stands for the time since `starttime`: `age>10m` is a runtime that started over ten minutes ago."""

COMPARISONS: Final = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "~": "like", "!~": "like"}
"""The operator of the API for each sign."""

OF_AGE: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The comparison of `starttime` that says the same of the age."""

_TERM: Final = re.compile(r"([A-Za-z._]+)\s*(!=|<=|>=|!~|=|<|>|~)\s*(.*)", re.DOTALL)
_FORM: Final = "write FIELD=VALUE, with = != < <= > >= ~ (like) or !~ between them; `ivrctl list --help` has examples"
_COMMA: Final = re.compile(r"(?<!\\),")

Expression = list[Any]


def names() -> list[str]:
    """Return the names that a term may begin with: the fields, those of `ext` also without it, and `age`."""
    return [AGE, *FIELDS, *(field.part for field in FIELDS.values() if field.part is not None)]


def language() -> str:
    """Return the fields and the operators of `--filter`, for help."""
    from ivr_runtimes.operators import OPERATORS  # noqa: PLC0415  # for help alone

    forms = max(len(each.form) for each in OPERATORS.values())
    told = [f"  {each.form:<{forms}}  {each.meaning}" for each in OPERATORS.values()]
    return "\n".join(["fields: " + ", ".join(FIELDS), "", "operators of --filter (docs/query.md):", *told, ""])


def expression(terms: list[str], full: str | None, *, zone: str, now: datetime | None = None) -> str | None:
    """Return the API's filter for the terms and the `--filter` together; None if there is neither."""
    parts = [_full(full)] if full is not None else []
    parts += [_term(term, zone, now or datetime.now(UTC)) for term in terms]
    if not parts:
        return None
    if len(parts) == 1 and not isinstance(parts[0], list):
        return json.dumps(parts[0], ensure_ascii=False)
    listed = [each for part in parts for each in (_spelt_out(part) if isinstance(part, dict) else [part])]
    if not listed:
        return None
    return json.dumps(["and", *listed] if len(listed) > 1 else listed[0], ensure_ascii=False, separators=(",", ":"))


def of_ids(ids: list[str]) -> str:
    """Return the filter that asks for these ids."""
    return json.dumps({"id": ids}, separators=(",", ":"))


def _full(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--filter: is not JSON: {error}", remedy="docs/query.md describes the language") from None


def _spelt_out(shorthand: dict[str, Any]) -> list[Expression]:
    """Return the API's object form as expressions, since an object cannot stand within `and`."""
    return [["in" if isinstance(value, list) else "==", ["property", name], value] for name, value in shorthand.items()]


def _term(term: str, zone: str, now: datetime) -> Expression:
    found = _TERM.fullmatch(term)
    if not found:
        raise UsageError(f"{term!r} is no condition", remedy=_FORM)
    name, sign, value = found.groups()
    if not value:
        raise UsageError(
            f"{term!r}: there is no value after {sign}", remedy='to ask for an empty one: --filter \'{"name": ""}\''
        )
    if name == AGE:
        return _of_age(term, sign, value, now)
    field = FIELDS.get(name) or FIELDS.get(f"{COMPOSITE}.{name}")
    if field is None:
        raise UsageError(
            f"{term!r}: there is no field {name!r}", remedy="name one of " + ", ".join(sorted(set(names())))
        )
    values = [_value(each, field.kind, term, zone) for each in _listed(value, sign)]
    return _compared(field.name, sign, values)


def _listed(value: str, sign: str) -> list[str]:
    """Return the alternatives of `=` and `!=`, separated by commas; a backslash before a comma keeps it."""
    if sign not in ("=", "!="):
        return [value]
    return [each.replace("\\,", ",") for each in _COMMA.split(value)]


def _value(text: str, kind: FieldKind, term: str, zone: str) -> str:
    if not text:
        raise UsageError(f"{term!r}: a value is missing beside a comma", remedy="write \\, for a comma in a value")
    if kind is not FieldKind.TIME:
        return text
    try:
        return times.instant(text, zone)
    except ValueError as error:
        raise UsageError(f"{term!r}: {error}") from None


def _compared(name: str, sign: str, values: list[str]) -> Expression:
    place = ["property", name]
    if len(values) > 1:
        among = ["in", place, values if values[0] != "const" or len(values) != 2 else ["const", values]]
        return among if sign == "=" else ["not", among]
    compared = [COMPARISONS[sign], place, values[0]]
    return ["not", compared] if sign == "!~" else compared


def _of_age(term: str, sign: str, value: str, now: datetime) -> Expression:
    if sign not in OF_AGE:
        raise UsageError(f"{term!r}: an age is compared with < <= > or >=", remedy="write age>10m or age<=1h30m")
    try:
        return [OF_AGE[sign], ["property", "starttime"], times.before(now, durations.seconds(value))]
    except ValueError as error:
        raise UsageError(f"{term!r}: {error}") from None
