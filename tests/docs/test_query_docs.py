"""docs/query.md against the code: every name and limit stands there, every example does what the page says."""

import ast
import json
import re
import shlex
from pathlib import Path
from urllib.parse import quote

import pytest

from ivr_runtimes import query
from ivr_runtimes.echo import ECHO_LENGTH
from ivr_runtimes.errors import Fault, InvalidRequestError
from ivr_runtimes.fields import FIELDS, Field
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Runtime
from ivr_runtimes.operators import OPERATORS, Operator
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.query.evaluate import compiled, passing
from ivr_runtimes.query.filter import MAX_BYTES
from ivr_runtimes.query.request import PARAMETERS
from ivr_runtimes.query.strict_json import MAX_NESTING
from ivr_runtimes.query.window import MAX_WINDOW

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text(encoding="utf-8")
ROW = Runtime(
    id=RuntimeId("244f84aa-0624-e639-8061-a80000000006"),
    site=Site("SITE1"),
    node=NodeName("site1_h6@192.168.0.12"),
    domain=Domain("test.rootdomain.ru"),
    session=Session("s1"),
    type="ivr",
    code="player",
    name="TEST PLAY",
    starttime="2019-11-05T08:36:40Z",
    caller="+12025550143",
    lwt="2019-11-05T08:36:41Z",
)


def table(heading: str) -> list[str]:
    """Return the rows of the table with that first heading, as written."""
    lines = PAGE.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    end = next(index for index in range(start, len(lines)) if not lines[index].startswith("|"))
    return lines[start:end]


def cells(row: str) -> list[str]:
    return [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def blocks(language: str) -> list[str]:
    """Return the lines of all fenced blocks of that language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return [line for block in found for line in block.splitlines()]


def operator_row(operator: Operator) -> str:
    written = [
        f"`{operator.name}`",
        ", ".join(f"`{alias}`" for alias in operator.aliases),
        f"`{operator.form}`",
        ", ".join(operator.kinds),
        operator.meaning,
        str(operator.unset).lower() if operator.kinds else "",
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in written) + " |"


def field_row(field: Field) -> str:
    return f"| `{field.name}` | {field.kind}{', may be unset' if field.nullable else ''} | {field.meaning} |"


def refusal(raw: str) -> Fault:
    with pytest.raises(InvalidRequestError) as caught:
        parse_list_query(raw)
    (fault,) = caught.value.faults
    return fault


def kinds_of_error() -> dict[str, str]:
    """Return a pattern of every message that the query language can give, by where its source makes it."""
    kinds = {}
    for module in Path(query.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "invalid":
                kinds[f"{module.name}:{node.lineno}"] = template(node.args[1])
    return kinds


def template(message: ast.expr) -> str:
    match message:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(template(part) for part in parts)
    return ".*"


def test_the_operators_are_those_of_the_table_that_the_parser_uses() -> None:
    assert table("operator") == [operator_row(operator) for operator in OPERATORS.values()]


def test_the_fields_are_those_of_the_model() -> None:
    assert table("field") == [field_row(field) for field in FIELDS.values()]


def test_the_parameters_and_their_limits_are_the_real_ones() -> None:
    rows = {name: value for name, value, _ in map(cells, table("parameter"))}
    assert set(rows) == set(PARAMETERS)
    assert f"{MAX_BYTES:,} bytes and {MAX_NESTING} levels" in rows["filter"]
    assert all(f"0 to {MAX_WINDOW:,}" in rows[name] for name in ("offset", "limit"))
    assert f"at most {ECHO_LENGTH} characters" in PAGE


def test_the_defaults_are_the_real_ones() -> None:
    rows = {name: default.strip("`") for name, _, default in map(cells, table("parameter"))}
    assert parse_list_query(f"order={rows['order']}&offset={rows['offset']}&flat={rows['flat']}") == parse_list_query(
        ""
    )


@pytest.mark.parametrize("text", blocks("json"))
def test_every_filter_on_the_page_is_one(text: str) -> None:
    assert json.loads(text) is not None
    assert passing(compiled(parse_list_query("filter=" + quote(text)).filter), [ROW]) in ([], [ROW])


@pytest.mark.parametrize("text", blocks("order"))
def test_every_order_on_the_page_is_one(text: str) -> None:
    assert parse_list_query("order=" + quote(text)).sort([ROW]) == [ROW]


@pytest.mark.parametrize("row", table("query"))
def test_every_rendered_row_on_the_page_looks_so(row: str) -> None:
    raw, shown = cells(row)[:2]
    assert parse_list_query(raw).render([ROW]).decode() == json.dumps([json.loads(shown)], separators=(",", ":"))


@pytest.mark.parametrize("line", blocks("sh"))
def test_every_curl_command_on_the_page_asks_something_valid(line: str) -> None:
    words = shlex.split(line)
    query_part = [word.partition("?")[2] for word in words if "?" in word]
    encoded = [quote(words[at + 1], safe="=") for at, word in enumerate(words) if word == "--data-urlencode"]
    plain = [words[at + 1] for at, word in enumerate(words) if word == "-d"]
    parsed = parse_list_query("&".join(query_part + encoded + plain))
    assert parsed != parse_list_query("")


def test_the_first_two_commands_ask_the_same() -> None:
    by_hand, by_curl = blocks("sh")[:2]
    raw = shlex.split(by_hand)[-1].partition("?")[2]
    assert "filter=" in by_curl
    assert parse_list_query(raw) == parse_list_query('filter={"site":"SITE1","code":"player"}&limit=10')


def errors() -> list[list[str]]:
    start = PAGE.index("## What is refused")
    return [cells(line) for line in PAGE[start:].splitlines() if line.startswith("| `")]


@pytest.mark.parametrize(("raw", "place", "message"), errors())
def test_every_refused_query_on_the_page_is_refused_so(raw: str, place: str, message: str) -> None:
    fault = refusal(raw)
    assert (fault.place, fault.message) == (place, message)


def test_every_kind_of_error_stands_on_the_page() -> None:
    nested = "filter=" + "[" * (MAX_NESTING + 1)
    too_much = [refusal(raw).message for raw in (f"filter={'x' * (MAX_BYTES + 1)}", nested)]
    assert all(f"`{message}`" in PAGE.replace("\n", " ") for message in too_much)
    messages = [message for _, _, message in errors()] + too_much
    kinds = kinds_of_error()
    assert len(kinds) > 30
    assert [at for at, kind in kinds.items() if not any(re.fullmatch(kind, message) for message in messages)] == []
