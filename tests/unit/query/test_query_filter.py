import json
from collections.abc import Callable
from typing import Any

import pytest

from ivr_runtimes.errors import Fault
from ivr_runtimes.fields import FIELDS
from ivr_runtimes.model import Runtime, State, StopType
from ivr_runtimes.operators import OPERATORS, RELATIONS, SPELLINGS
from ivr_runtimes.query import ListQuery
from ivr_runtimes.query.evaluate import compiled, passing
from ivr_runtimes.query.expression import MATCH_ALL, And, Compare, In, IsNull, Like, Not, Or
from ivr_runtimes.query.filter import MAX_BYTES
from ivr_runtimes.query.instants import parse as instant

Make = Callable[..., Runtime]
Filtering = Callable[[Any], ListQuery]
FilterFault = Callable[[Any], Fault]

SITE, CODE, NAME, START = ["property", "site"], ["property", "code"], ["property", "name"], ["property", "starttime"]
STOPTYPE = ["property", "ext.stoptype"]


@pytest.mark.parametrize(
    ("document", "expression"),
    [
        ({}, MATCH_ALL),
        ({"site": "SITE1"}, And((Compare("==", FIELDS["site"], "SITE1"),))),
        ({"code": ["a", "b"]}, And((In(FIELDS["code"], ("a", "b")),))),
        (
            {"ext.rootcode": "", "code": [""]},
            And((Compare("==", FIELDS["ext.rootcode"], ""), In(FIELDS["code"], ("",)))),
        ),
        (["==", SITE, "SITE1"], Compare("==", FIELDS["site"], "SITE1")),
        (["==", SITE, ["const", "SITE1"]], Compare("==", FIELDS["site"], "SITE1")),
        (["<", ["const", "a"], CODE], Compare(">", FIELDS["code"], "a")),
        (["<=", "a", CODE], Compare(">=", FIELDS["code"], "a")),
        ([">", "a", CODE], Compare("<", FIELDS["code"], "a")),
        ([">=", "a", CODE], Compare("<=", FIELDS["code"], "a")),
        (["==", "a", CODE], Compare("==", FIELDS["code"], "a")),
        (["!=", "a", CODE], Compare("!=", FIELDS["code"], "a")),
        (["!=", CODE, "const"], Compare("!=", FIELDS["code"], "const")),
        (["and", ["isnull", STOPTYPE]], And((IsNull(FIELDS["ext.stoptype"]),))),
        (
            ["!", ["||", ["like", NAME, "a%"], ["&&", ["isnull", SITE]]]],
            Not(Or((Like(FIELDS["name"], "a%"), And((IsNull(FIELDS["site"]),))))),
        ),
        (["in", SITE, ["SITE1", "SITE2"]], In(FIELDS["site"], ("SITE1", "SITE2"))),
        (["in", SITE, ["const", ["SITE1"]]], In(FIELDS["site"], ("SITE1",))),
        (["in", SITE, ["const", ["const", "x"]]], In(FIELDS["site"], ("const", "x"))),
        (["in", SITE, ["const"]], In(FIELDS["site"], ("const",))),
        (["in", SITE, ["const", "a", "b"]], In(FIELDS["site"], ("const", "a", "b"))),
        (["like", NAME, ["const", "%"]], Like(FIELDS["name"], "%")),
        ([">", START, "2019-11-05T08:36:40Z"], Compare(">", FIELDS["starttime"], instant("2019-11-05T08:36:40Z"))),
        (["in", START, ["2019-11-05T08:36:40.0Z"]], In(FIELDS["starttime"], (instant("2019-11-05T08:36:40Z"),))),
    ],
)
def test_a_filter_is_read_into_plain_data(filtering: Filtering, document: Any, expression: Any) -> None:
    assert filtering(document).filter == expression


@pytest.mark.parametrize(
    ("document", "place", "word"),
    [
        ("null", "filter", "null"),
        ("true", "filter", "truth value"),
        ("1", "filter", "a number"),
        ('"site"', "filter", "the string"),
        ([], "filter", "empty"),
        ([[]], "filter[0]", "no operator"),
        ([None], "filter[0]", "no operator"),
        (["and"], "filter", "1 or more operands, not 0"),
        (["not"], "filter", "1 operand, not 0"),
        (["!", {}, {}], "filter", "1 operand, not 2"),
        (["==", SITE], "filter", "2 operands, not 1"),
        (["==", SITE, "a", "b"], "filter", "2 operands, not 3"),
        (["isnull"], "filter", "1 operand"),
        (["and", []], "filter[1]", "empty"),
        (["or", ["isnull", STOPTYPE], None], "filter[2]", "null"),
        (["or", ["isnull", STOPTYPE], {"site": "a"}], "filter[2]", "object"),
        (["not", True], "filter[1]", "truth value"),
        (["AND", []], "filter[0]", "unknown operator"),
        (["=", SITE, "a"], "filter[0]", "unknown operator"),
        (["property", "site"], "filter[0]", "operand"),
        (["const", "site"], "filter[0]", "operand"),
        (["and", ["==", ["property", "Site"], "a"]], "filter[1][1][1]", "unknown field"),
        (["==", ["property", "ext"], "a"], "filter[1][1]", "composite"),
        (["==", ["property"], "a"], "filter[1]", "does not name a field"),
        (["==", ["property", "site", "code"], "a"], "filter[1]", "does not name a field"),
        (["==", ["property", 1], "a"], "filter[1]", "does not name a field"),
        (["==", SITE, CODE], "filter", "both sides"),
        (["==", "a", "b"], "filter", "neither side"),
        (["==", ["propery", "site"], "b"], "filter", "neither side"),
        (["==", SITE, 1], "filter[2]", "a number"),
        (["==", 1, SITE], "filter[1]", "a number"),
        (["==", SITE, True], "filter[2]", "truth value"),
        (["==", SITE, ["a"]], "filter[2]", "a list"),
        (["==", SITE, {}], "filter[2]", "an object"),
        (["==", SITE, None], "filter[2]", "null"),
        (["==", SITE, ["const", None]], "filter[2][1]", "null"),
        (["==", ["const", 1], SITE], "filter[1][1]", "a number"),
        (["==", SITE, ["const"]], "filter[2]", '"const" takes 1'),
        (["==", SITE, ["const", "a", "b"]], "filter[2]", '"const" takes 1'),
        (["in", SITE, "a"], "filter[2]", "no list"),
        (["in", SITE, None], "filter[2]", "no list"),
        (["in", SITE, ["const", "a"]], "filter[2][1]", "no list"),
        (["in", SITE, []], "filter[2]", "empty"),
        (["in", SITE, ["const", []]], "filter[2][1]", "empty"),
        (["in", SITE, ["a", 1]], "filter[2][1]", "a number"),
        (["in", SITE, ["const", ["a", None]]], "filter[2][1][1]", "null"),
        (["in", ["a"], SITE], "filter[1]", "does not name a field"),
        (["in", START, ["2019-11-05T08:36:40Z", "x"]], "filter[2][1]", "RFC 3339"),
        (["like", "a%", NAME], "filter[1]", "does not name a field"),
        (["like", START, "2019%"], "filter[1]", "is a time"),
        (["like", ["property", "ext.lwt"], "2019%"], "filter[1]", "is a time"),
        (["like", NAME, "a\\"], "filter[2]", "escapes nothing"),
        (["like", NAME, 1], "filter[2]", "a number"),
        (["isnull", "site"], "filter[1]", "does not name a field"),
        ([">", START, "2019-11-05"], "filter[2]", "RFC 3339"),
        ([">", START, ""], "filter[2]", "RFC 3339"),
        ([">", START, "2019-02-30T00:00:00Z"], "filter[2]", "does not exist"),
        ([">", START, 1572943000], "filter[2]", "a number"),
        ({"sites": "a"}, "filter.sites", "unknown field"),
        ({"odd key": "a"}, 'filter["odd key"]', "unknown field"),
        ({"ext": {"state": "running"}}, "filter.ext", "composite"),
        ({"site": {"code": "a"}}, "filter.site", "object"),
        ({"site": None}, "filter.site", "null"),
        ({"site": []}, "filter.site", "empty"),
        ({"site": ["a", None]}, "filter.site[1]", "null"),
        ({"site": ["a", ["b"]]}, "filter.site[1]", "a list"),
        ({"ext.state": 1}, 'filter["ext.state"]', "a number"),
        ({"starttime": "now"}, "filter.starttime", "RFC 3339"),
    ],
)
def test_a_wrong_filter_is_refused_at_its_place(
    filter_fault: FilterFault, document: Any, place: str, word: str
) -> None:
    fault = filter_fault(document)
    assert fault.place == place
    assert word in fault.message


@pytest.mark.parametrize(
    ("document", "remedy"),
    [
        (["==", SITE, None], "isnull"),
        ({"ext": {"state": "running"}}, "ext.state"),
        ({"site": {"code": "a"}}, "ext.state"),
        (["=", SITE, "a"], "Did you mean"),
        (["AND", {}], "Did you mean and?"),
        (["xor", {}], "and, &&, or, ||, not, !, ==, !=, <, <=, >, >=, in, like, isnull"),
        (["==", ["property", "nam"], "a"], "Did you mean name?"),
        ([">", START, "2019-11-05T08:36:40 03:00"], "%2B"),
    ],
)
def test_the_remedy_says_what_to_write_instead(filter_fault: FilterFault, document: Any, remedy: str) -> None:
    assert remedy in filter_fault(document).remedy


@pytest.mark.parametrize("letter", ["x", "ж", "\U0001f600"])
def test_a_filter_has_at_most_4096_bytes_of_utf_8(filtering: Filtering, filter_fault: FilterFault, letter: str) -> None:
    room = MAX_BYTES - len('{"name":""}')
    width = len(letter.encode())
    value = letter * (room // width) + "x" * (room % width)
    text = json.dumps({"name": value}, ensure_ascii=False, separators=(",", ":"))
    assert len(text.encode()) == MAX_BYTES
    assert filtering(text).filter == And((Compare("==", FIELDS["name"], value),))
    fault = filter_fault(text + " ")
    assert (fault.place, fault.message) == ("filter", "has 4097 bytes, more than 4096")


def test_a_filter_lies_at_most_sixteen_deep(
    filtering: Filtering, filter_fault: FilterFault, make_runtime: Make
) -> None:
    document: Any = ["isnull", STOPTYPE]
    for _ in range(14):
        document = ["not", document]
    assert matches(filtering(document), make_runtime())
    assert filter_fault(["not", document]).place.startswith("filter, character ")


@pytest.mark.parametrize("text", ["[" * 4096, '["not",' * 500, '{"a":' * 800, '["and",' * 500 + "]" * 500])
def test_hostile_nesting_is_refused_like_any_other(filter_fault: FilterFault, text: str) -> None:
    assert "deep" in filter_fault(text).message


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        (["==", STOPTYPE, "stop"], False),
        (["!=", STOPTYPE, "stop"], True),
        (["<", STOPTYPE, "stop"], False),
        (["<=", STOPTYPE, "stop"], False),
        ([">", STOPTYPE, ""], False),
        ([">=", STOPTYPE, ""], False),
        (["in", STOPTYPE, ["stop", ""]], False),
        (["like", STOPTYPE, "%"], False),
        (["isnull", STOPTYPE], True),
        (["not", ["==", STOPTYPE, "stop"]], True),
        (["not", ["!=", STOPTYPE, "stop"]], False),
        (["not", ["<", STOPTYPE, "stop"]], True),
        ({"ext.stoptype": "stop"}, False),
    ],
)
def test_an_unset_field_is_unlike_everything(
    filtering: Filtering, make_runtime: Make, document: Any, verdict: bool
) -> None:
    assert matches(filtering(document), make_runtime(stoptype=None)) is verdict


@pytest.mark.parametrize(
    ("document", "verdict"),
    [
        ({"site": "SITE1", "code": ["player", "welcome"]}, True),
        ({"site": "SITE1", "code": ["welcome"]}, False),
        ({"site": "site1"}, False),
        ({"ext.state": "post_processing", "ext.stoptype": "stop"}, True),
        (["in", ["property", "ext.state"], ["running", "post_processing"]], True),
        (["<", ["property", "ext.state"], "running"], True),
        (["isnull", SITE], False),
        (["==", START, "2019-11-05T11:36:40.000+03:00"], True),
        (["!=", START, "2019-11-05T11:36:40.000+03:00"], False),
        ([">", START, "2019-11-05T08:36:39.999Z"], True),
        ([">", "2019-11-05T08:36:40.001Z", START], True),
        (["in", START, ["2019-11-05 08:36:40z"]], True),
        ({"starttime": "2019-11-05T08:36:39.999Z"}, False),
        (["<=", "TEST", NAME], True),
        (["<", NAME, "TEST"], False),
        (["like", NAME, "TEST\n%"], True),
        (["like", NAME, "TEST"], False),
        (["&&", ["!=", CODE, "welcome"], ["||", ["==", CODE, "x"], ["==", CODE, "player"]]], True),
        (["and", ["==", CODE, "player"], ["==", SITE, "SITE2"]], False),
    ],
)
def test_a_filter_judges_rows(filtering: Filtering, make_runtime: Make, document: Any, verdict: bool) -> None:
    row = make_runtime(name="TEST\nPLAY", state=State.POST_PROCESSING, stoptype=StopType.STOP)
    assert matches(filtering(document), row) is verdict


def test_a_row_with_an_unreadable_time_counts_as_having_none(filtering: Filtering, make_runtime: Make) -> None:
    row = make_runtime(starttime="soon")
    assert not matches(filtering([">", START, "0000-01-01T00:00:00Z"]), row)
    assert matches(filtering(["isnull", START]), row)


def test_the_table_of_operators_is_whole() -> None:
    assert set(SPELLINGS.values()) == set(OPERATORS.values())
    assert len(SPELLINGS) == sum(1 + len(operator.aliases) for operator in OPERATORS.values())
    for name, relation in RELATIONS.items():
        assert RELATIONS[relation.mirror].mirror == name
        assert all(relation.holds(a, b) == RELATIONS[relation.mirror].holds(b, a) for a in "abc" for b in "abc")


def test_only_expressions_can_be_judged_by() -> None:
    with pytest.raises(TypeError, match="no expression"):
        compiled("site")  # type: ignore[arg-type]  # what a planner might do by mistake


def matches(query: ListQuery, row: Runtime) -> bool:
    return passing(compiled(query.filter), [row]) == [row]
