from collections.abc import Callable
from urllib.parse import quote

import pytest

from ivr_runtimes.errors import Fault
from ivr_runtimes.fields import FIELDS
from ivr_runtimes.model import Runtime, StopType
from ivr_runtimes.query import parse_list_query

Make = Callable[..., Runtime]


def keys(text: str) -> list[tuple[str, bool]]:
    return [(key.field.name, key.descending) for key in parse_list_query("order=" + quote(text)).order]


def sorted_ids(order: str, rows: list[Runtime]) -> str:
    query = parse_list_query("order=" + quote(order) if order else "")
    forward, backward = query.sort(rows), query.sort(reversed(rows))
    assert forward == backward, "an order is total: where rows came from does not show"
    return "".join(row.id for row in forward)


def test_the_default_is_start_order_with_id_as_the_tie_break() -> None:
    assert [(key.field.name, key.descending) for key in parse_list_query("").order] == [
        ("starttime", False),
        ("id", False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "code,-starttime",
        '["code","-starttime"]',
        '[{"code":"asc"},{"starttime":"desc"}]',
        '{"code":"asc"},-starttime',
        '"code",{"starttime":"desc"}',
        'code,"-starttime"',
        ' ["code", "-starttime"]'.strip(),
        '{"code" : "asc"},{ "starttime":"desc" }',
    ],
)
def test_every_spelling_of_an_order_is_the_same_order(text: str) -> None:
    assert keys(text) == [("code", False), ("starttime", True), ("id", True)]


@pytest.mark.parametrize(
    ("text", "tail"),
    [("code", ("id", False)), ("-code", ("id", True)), ("-code,name", ("id", False)), ("code,-name", ("id", True))],
)
def test_id_breaks_ties_in_the_direction_of_the_last_key(text: str, tail: tuple[str, bool]) -> None:
    assert keys(text)[-1] == tail


def test_id_is_not_added_where_it_is_named() -> None:
    assert keys("-id,code") == [("id", True), ("code", False)]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_sorted_by(make_runtime: Make, name: str) -> None:
    assert keys(f"-{name}")[0] == (name, True)
    assert len(parse_list_query(f"order={name}").sort([make_runtime(), make_runtime(id="b")])) == 2


def test_times_sort_as_instants(make_runtime: Make) -> None:
    rows = [
        make_runtime(id="a", starttime="2019-11-05T10:00:00+03:00"),
        make_runtime(id="b", starttime="2019-11-05T08:00:00Z"),
        make_runtime(id="c", starttime="2019-11-05T07:00:00.5Z"),
    ]
    assert sorted_ids("", rows) == "acb"
    assert sorted_ids("-starttime", rows) == "bca"


def test_strings_sort_by_code_point(make_runtime: Make) -> None:
    names = {"a": "b", "b": "B", "c": "\U0001f600", "d": "\uffff", "e": "ä", "f": ""}
    rows = [make_runtime(id=id_, name=name) for id_, name in names.items()]
    assert sorted_ids("name", rows) == "fbaedc"


def test_unset_values_come_first_ascending_and_last_descending(make_runtime: Make) -> None:
    rows = [
        make_runtime(id="a", stoptype=StopType.STOP),
        make_runtime(id="b"),
        make_runtime(id="c", stoptype=StopType.ERROR),
        make_runtime(id="d"),
    ]
    assert sorted_ids("ext.stoptype", rows) == "bdca"
    assert sorted_ids("-ext.stoptype", rows) == "acdb"


def test_an_empty_string_is_set_and_comes_after_the_unset(make_runtime: Make) -> None:
    rows = [make_runtime(id="a", rootname=""), make_runtime(id="b")]
    assert sorted_ids("ext.rootname", rows) == "ba"


def test_keys_count_in_the_order_they_are_named(make_runtime: Make) -> None:
    rows = [make_runtime(id=id_, site=id_[0], code=id_[1]) for id_ in ("ax", "ay", "bx", "by")]
    assert sorted_ids("-site,code", rows) == "bxbyaxay"
    assert sorted_ids("code,-site", rows) == "bxaxbyay"


def test_a_row_with_an_unreadable_time_does_not_spoil_the_list(make_runtime: Make) -> None:
    rows = [make_runtime(id="a"), make_runtime(id="b", starttime="soon")]
    assert sorted_ids("starttime", rows) == "ba"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("[]", "order", "empty"),
        ("code,code", "order[1]", "twice"),
        ("code,-code", "order[1]", "twice"),
        ('["code",{"code":"desc"}]', "order[1]", "twice"),
        ("code,", "order[1]", "names no field"),
        (",code", "order[0]", "names no field"),
        ("-", "order[0]", "names no field"),
        ('[""]', "order[0]", "names no field"),
        ("--code", "order[0]", "unknown field"),
        ("code, name", "order[1]", "unknown field"),
        ("+code", "order[0]", "unknown field"),
        ("code desc", "order[0]", "unknown field"),
        ("ext", "order[0]", "composite"),
        ('{"ext":"asc"}', "order[0]", "composite"),
        ('{"code":"up"}', "order[0]", "direction"),
        ('{"code":"ASC"}', "order[0]", "direction"),
        ('{"code":1}', "order[0]", "direction"),
        ('{"code":["asc"]}', "order[0]", "direction"),
        ("{}", "order[0]", "0 keys"),
        ('name,{"code":"asc","site":"asc"}', "order[1]", "2 keys"),
        ('{"code":"asc","code":"desc"}', "order[0].code", "twice"),
        ("[null]", "order[0]", "null"),
        ("[1]", "order[0]", "a number"),
        ('[["code"]]', "order[0]", "a list"),
        ("[NaN]", "order[0]", "NaN"),
        (r'["\ud800"]', "order[0]", "surrogate"),
        ('"code" ,name', "order[0]", "follows"),
        ('"code"name', "order[0]", "follows"),
        ('["code"', "order, character 8", "bracket"),
        ('name,{"code"', "order, character 13", "colon"),
        ("[" * 17, "order, character 17", "deep"),
        ('a",' + '{"name":' * 500, "order[0]", "unknown field"),
        ("name," + '{"name":' * 500, "order, character 134", "deep"),
    ],
)
def test_a_wrong_order_is_refused_at_its_item(
    fault_of: Callable[[str], Fault], text: str, place: str, word: str
) -> None:
    fault = fault_of("order=" + quote(text))
    assert fault.place == place
    assert word in fault.message
