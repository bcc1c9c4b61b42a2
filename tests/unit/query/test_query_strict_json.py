from typing import Any

import pytest

from ivr_runtimes.errors import Fault, InvalidRequestError
from ivr_runtimes.query.strict_json import MAX_NESTING, Json, describe, read, read_item


def fault(text: str) -> Fault:
    with pytest.raises(InvalidRequestError) as caught:
        read(text, "filter")
    (only,) = caught.value.faults
    return only


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' ["a", {"b": []}] ', ["a", {"b": []}]),
        ('{"a": true, "b": null}', {"a": True, "b": None}),
        (r'"\ud83d\ude00 \u0041 \\ \" \/"', '\U0001f600 A \\ " /'),
        ("-0.5e1", -5.0),
        ("9" * 4000, float("inf")),
        ('"[[[[[[[[[[[[[[[[[[[["', "[" * 20),
        (r'["\"[[[[[[[[[[[[[[[[[[[["]', ['"' + "[" * 20]),
    ],
)
def test_json_is_read_as_it_is_meant(text: str, value: Json) -> None:
    assert read(text, "filter") == value


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("", "filter, character 1", "ends too early"),
        ("[1,", "filter, character 4", "ends too early"),
        ("['a']", "filter, character 2", "not JSON"),
        ('["a" "b"]', "filter, character 6", "comma"),
        ('["a"', "filter, character 5", "bracket"),
        ('{"a" "b"}', "filter, character 6", "colon"),
        ("{a: 1}", "filter, character 2", "key"),
        ('["abc', "filter, character 2", "never closed"),
        ('["a\nb"]', "filter, character 4", "control character"),
        (r'["\q"]', "filter, character 3", "escape"),
        (r'["\u12"]', "filter, character", "escape"),
        ('["a"] x', "filter, character 7", "follows"),
        ("\ufeff[]", "filter, character 1", "not JSON"),
    ],
)
def test_a_syntax_error_is_told_in_plain_words_at_its_character(text: str, place: str, word: str) -> None:
    found = fault(text)
    assert found.place.startswith(place)
    assert word in found.message


def test_a_trailing_comma_is_refused_near_the_comma() -> None:
    assert fault('["a",]').place in ("filter, character 5", "filter, character 6")  # Python 3.13 points at the comma


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ('{"a": 1, "a": 1}', "filter.a", "twice"),
        (r'{"a": 1, "\u0061": 2}', "filter.a", "twice"),
        ('[{"b c": {"d": 1, "d": 2}}]', 'filter[0]["b c"].d', "twice"),
        ("[NaN]", "filter[0]", "NaN"),
        ('{"a": Infinity}', "filter.a", "Infinity"),
        ("-Infinity", "filter", "-Infinity"),
        (r'["\ud800"]', "filter[0]", "surrogate"),
        (r'["\udc00\ud800"]', "filter[0]", "surrogate"),
        (r'{"\udfff": 1}', r'filter["\udfff"]', "surrogate"),
    ],
)
def test_what_python_would_let_pass_is_refused_where_it_stands(text: str, place: str, word: str) -> None:
    found = fault(text)
    assert found.place == place
    assert word in found.message


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_is_refused_beyond_sixteen_and_not_at_it(opening: str, closing: str) -> None:
    deepest = MAX_NESTING // (opening.count("[") + opening.count("{"))
    assert read(opening * deepest + "1" + closing * deepest, "filter")
    assert "deep" in fault(opening * (deepest + 1) + "1" + closing * (deepest + 1)).message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_hostile_nesting_does_not_reach_the_parser(text: str) -> None:
    assert "deep" in fault(text).message


def test_many_lists_beside_each_other_are_not_deep() -> None:
    assert read("[" + ",".join(["[]"] * 1000) + "]", "filter") == [[]] * 1000


def test_an_item_is_read_from_the_middle_of_a_text() -> None:
    assert read_item('x,{"a":"b"},y', 2, parameter="order", place="order[1]") == ({"a": "b"}, 11)


def test_what_follows_an_item_does_not_count_as_its_nesting() -> None:
    text = '"code",' + "[" * (MAX_NESTING + 1)
    assert read_item(text, 0, parameter="order", place="order[0]") == ("code", 6)


def test_brackets_before_an_item_do_not_hide_its_nesting() -> None:
    """A quote before the item once put the nesting check out of step with the parser, which then ran out of stack."""
    text = 'a",' + '{"name":' * 5000
    with pytest.raises(InvalidRequestError, match="deep"):
        read_item(text, 3, parameter="order", place="order[1]")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "a truth value"),
        (1.0, "a number"),
        ("a", 'the string "a"'),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_types_are_named_in_plain_words(value: Any, words: str) -> None:
    assert describe(value) == words
