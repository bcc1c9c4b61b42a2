"""A brute-force reading of docs/query.md: an interpreter of its own, kept as plain as it gets, and queries to try.

Shares no code with the query language or the planner, so that the two can only agree by both being right.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cmp_to_key
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site, StopId
from ivr_runtimes.model import Runtime, State, StopType

EIGHT = ("id", "site", "node", "domain", "type", "code", "name", "starttime")
COMMON = ("ext.state", "ext.stoptype", "ext.stop_id", "ext.rootcode", "ext.rootname", "ext.session", "ext.lwt")
NUMBERS = ("ext.caller", "ext.called", "ext.call_id")
PARTS = (*COMMON, *NUMBERS)
TIMES = ("starttime", "ext.lwt")
STRINGS = tuple(name for name in (*EIGHT, *PARTS) if name not in TIMES)
SPELLED = {"and": ("and", "&&"), "or": ("or", "||"), "not": ("not", "!")}

# Few values, so that rows agree with each other and with constants; among them what sorts or encodes unusually.
WORDS = (
    "",
    "a",
    "B",
    "ab",
    "a%b",
    "a_b",
    "a\\b",
    "a\nb",
    "ä",
    "\uffff",
    "\U0001f600",
    "running",
    "stop",
    "const",
    "property",
)
SECONDS = (
    "2016-12-31T23:59:60Z",
    "2017-01-01T00:00:00Z",
    "2019-11-05T08:36:40Z",
    "2019-11-05T08:36:41Z",
    "2019-11-05T11:31:34Z",
    "2020-02-29T23:59:59Z",
)
MOMENTS = (
    *SECONDS,
    "2019-11-05T11:36:40+03:00",
    "2019-11-05 08:36:40.0z",
    "2019-11-05t08:36:40.000001Z",
    "2019-11-05T08:36:40.5-00:00",
    "2020-03-01T00:29:59+00:30",
    "2017-01-01T02:59:60.5+03:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:58.5Z",
)


def text_of(row: Runtime, name: str) -> str | None:
    value: str | None = getattr(row, name.removeprefix("ext."))
    return value


def comparable(name: str, text: str) -> str | datetime:
    if name == "id":
        return text.lower() if text.isascii() else text
    if name not in TIMES:
        return str(text)
    leap = text[17:19] == "60"
    return datetime.fromisoformat(text.upper().replace(":60", ":59") if leap else text.upper()) + timedelta(
        seconds=leap
    )


def fits(pattern: str, value: str) -> bool:
    if not pattern:
        return not value
    first, rest = pattern[0], pattern[1:]
    if first == "%":
        return any(fits(rest, value[skipped:]) for skipped in range(len(value) + 1))
    if first == "\\":
        return value[:1] == rest[0] and fits(rest[1:], value[1:])
    return bool(value) and first in ("_", value[0]) and fits(rest, value[1:])


def verdict(document: Any, row: Runtime) -> bool:
    if isinstance(document, dict):
        return all(among(value if isinstance(value, list) else [value], name, row) for name, value in document.items())
    operator, *operands = document
    if operator in ("and", "&&"):
        return False not in [verdict(operand, row) for operand in operands]
    if operator in ("or", "||"):
        return True in [verdict(operand, row) for operand in operands]
    if operator in ("not", "!"):
        return not verdict(operands[0], row)
    return judged(operator, operands, row)


def judged(operator: str, operands: list[Any], row: Runtime) -> bool:
    at = 0 if operands[0][:1] == ["property"] else 1
    name = operands[at][1]
    if operator == "isnull":
        return text_of(row, name) is None
    other = operands[1 - at]
    constant = other[1] if isinstance(other, list) and len(other) == 2 and other[0] == "const" else other
    if operator == "in":
        return among(constant, name, row)
    text = text_of(row, name)
    if text is None:
        return operator == "!="
    if operator == "like":
        return fits(str(comparable(name, constant)), text)
    return compared(operator, comparable(name, text), comparable(name, constant), flipped=at == 1)


def compared(operator: str, value: Any, constant: Any, *, flipped: bool) -> bool:
    left, right = (constant, value) if flipped else (value, constant)
    truth: dict[str, Callable[[], bool]] = {
        "==": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }
    return truth[operator]()


def among(constants: list[str], name: str, row: Runtime) -> bool:
    text = text_of(row, name)
    return text is not None and any(comparable(name, text) == comparable(name, constant) for constant in constants)


def in_order(keys: list[tuple[str, bool]], rows: list[Runtime]) -> list[Runtime]:
    if "id" not in [name for name, _ in keys]:
        keys = [*keys, ("id", keys[-1][1])]
    keys = [*keys, ("site", keys[-1][1])]

    def earlier(a: Runtime, b: Runtime) -> int:
        for name, descending in keys:
            left, right = text_of(a, name), text_of(b, name)
            sign = -1 if descending else 1
            if (left is None) != (right is None):
                return -sign if left is None else sign
            if left is not None and right is not None:
                one, two = comparable(name, left), comparable(name, right)
                if one != two:
                    return -sign if one < two else sign  # type: ignore[operator]  # both of one field, so of one type
        return 0

    return sorted(rows, key=cmp_to_key(earlier))


def matching(asked: dict[str, Any], rows: list[Runtime]) -> list[Runtime]:
    """All rows that a query's filter lets through, in its order."""
    kept = [row for row in rows if "filter" not in asked or verdict(asked["filter"], row)]
    return in_order(asked.get("order", [("starttime", False)]), kept)


def window(rows: list[Runtime], asked: dict[str, Any]) -> list[Runtime]:
    start = asked.get("offset", 0)
    return rows[start : start + asked.get("limit", len(rows))]


def shown(row: Runtime, asked: dict[str, Any]) -> dict[str, Any]:
    """A row as the query's answer shows it."""
    wanted = set(asked.get("mask", EIGHT))
    if "ext" in wanted:
        wanted |= set(COMMON)  # numbers are shown where they are named
    plain = {name: text_of(row, name) for name in EIGHT if name in wanted}
    parts = {name: text_of(row, name) for name in PARTS if name in wanted}
    if asked.get("flat") or not parts:
        return plain | parts
    return plain | {"ext": {name.removeprefix("ext."): value for name, value in parts.items()}}


words = st.sampled_from(WORDS[1:4]) | st.sampled_from(WORDS)
seconds = st.sampled_from(SECONDS)
maybe = st.none() | words
runtimes = st.builds(
    Runtime,
    id=st.text("abc01", min_size=1, max_size=3).map(RuntimeId),
    site=st.sampled_from(["SITE1", "a", "ab"]).map(Site),
    node=words.map(NodeName),
    domain=words.map(Domain),
    session=words.map(Session),
    type=words,
    code=words,
    name=words | st.text(max_size=4).filter(lambda text: text.isprintable()),
    starttime=seconds,
    state=st.sampled_from(State),
    stoptype=st.none() | st.sampled_from(StopType),
    stop_id=st.none() | words.map(StopId),
    rootcode=maybe,
    rootname=maybe,
    caller=maybe,
    called=maybe,
    call_id=maybe,
    lwt=seconds,
)
rowsets = st.lists(runtimes, max_size=8, unique_by=lambda row: row.id)
fleets = st.lists(runtimes, min_size=4, max_size=8, unique_by=lambda row: row.id)
names = st.sampled_from((*EIGHT, *PARTS))
patterns = st.lists(st.sampled_from(["%", "_", "a", "b", "ä", "\\%", "\\_", "\\\\", "\\a"]), max_size=5).map("".join)
dense = st.lists(st.sampled_from("%%_aab"), max_size=7).map("".join)


def constants(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(MOMENTS) if name in TIMES else words


def lists(name: str) -> st.SearchStrategy[Any]:
    bare = st.lists(constants(name), min_size=1, max_size=3).filter(lambda it: len(it) != 2 or it[0] != "const")
    return bare | st.lists(constants(name), min_size=1, max_size=3).map(lambda it: ["const", it])


@st.composite
def leaves(draw: st.DrawFn) -> list[Any]:
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "like", "isnull"]))
    name = draw(st.sampled_from(STRINGS) if operator == "like" else names)
    if operator == "isnull":
        return [operator, ["property", name]]
    if operator == "in":
        return [operator, ["property", name], draw(lists(name))]
    bare = patterns if operator == "like" else constants(name)
    sides = [["property", name], draw(bare | bare.map(lambda constant: ["const", constant]))]
    return [operator, *(reversed(sides) if operator != "like" and draw(st.booleans()) else sides)]


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many = st.lists(inner, min_size=1, max_size=3)
    joined = st.builds(lambda op, parts: [op, *parts], st.sampled_from([*SPELLED["and"], *SPELLED["or"]]), many)
    return joined | st.builds(lambda op, part: [op, part], st.sampled_from(SPELLED["not"]), inner)


@st.composite
def shorthands(draw: st.DrawFn) -> dict[str, Any]:
    keys = draw(st.lists(names, max_size=3, unique=True))
    return {key: draw(constants(key) | st.lists(constants(key), min_size=1, max_size=3)) for key in keys}


expressions = st.recursive(leaves(), branches, max_leaves=6)
filters = expressions | shorthands()
orders = st.lists(st.tuples(names, st.booleans()), min_size=1, max_size=3, unique_by=lambda key: key[0])


masks = st.lists(st.sampled_from([*EIGHT, "ext", *PARTS]), min_size=1, max_size=6, unique=True)
numbers = st.integers(0, 9)
requests = st.fixed_dictionaries(
    {},
    optional={
        "filter": filters,
        "order": orders,
        "mask": masks,
        "flat": st.booleans(),
        "offset": numbers,
        "limit": numbers,
    },
)


@st.composite
def spelled_orders(draw: st.DrawFn, keys: list[tuple[str, bool]]) -> str:
    dashed = [f"-{name}" if descending else name for name, descending in keys]
    items: list[Any] = [
        draw(st.sampled_from([dash, {name: "desc" if descending else "asc"}]))
        for dash, (name, descending) in zip(dashed, keys, strict=True)
    ]
    if draw(st.booleans()):
        return json.dumps(items)
    return ",".join(item if isinstance(item, str) and draw(st.booleans()) else json.dumps(item) for item in items)


@st.composite
def written(draw: st.DrawFn, asked: dict[str, Any]) -> str:
    """A query as a raw query string, its parameters in any order, its order in any spelling."""
    write: dict[str, Callable[[Any], str]] = {
        "filter": json.dumps,
        "order": lambda keys: draw(spelled_orders(keys)),
        "mask": ",".join,
        "flat": json.dumps,
        "offset": str,
        "limit": str,
    }
    return urlencode(draw(st.permutations([(name, write[name](value)) for name, value in asked.items()])))
