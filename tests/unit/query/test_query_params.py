from collections.abc import Callable

import pytest

from ivr_runtimes.errors import Fault, InvalidRequestError
from ivr_runtimes.fields import FIELDS
from ivr_runtimes.query import ListQuery, parse_list_query
from ivr_runtimes.query.expression import Compare

FaultOf = Callable[[str], Fault]


@pytest.mark.parametrize("raw", ["", "&", "&&"])
def test_a_query_string_without_parameters_asks_for_everything(raw: str) -> None:
    assert parse_list_query(raw) == ListQuery()


def test_parameters_may_come_in_any_order_and_between_stray_ampersands() -> None:
    query = parse_list_query("&limit=5&&offset=2&")
    assert (query.offset, query.limit) == (2, 5)


def test_a_plus_is_a_space_and_an_escaped_plus_is_a_plus() -> None:
    assert parse_list_query("filter=%7B%22name%22:%22TEST+PLAY%22%7D") == parse_list_query(
        "filter=%7B%22name%22:%22TEST%20PLAY%22%7D"
    )
    assert parse_list_query("filter=%7B%22name%22:%22A%2BB%22%7D") == parse_list_query(
        'filter={"name":"A\\u002bB"}'  # unescaped brackets and quotes are let pass: only & + % and = are special
    )


def test_a_value_may_contain_an_equals_sign() -> None:
    query = parse_list_query('filter=["==",["property","site"],"SITE=1"]')
    assert query.filter == Compare("==", FIELDS["site"], "SITE=1")


def test_an_escaped_name_is_the_same_parameter() -> None:
    assert parse_list_query("li%6Dit=5").limit == 5


@pytest.mark.parametrize("name", ["After", "Filter", "LIMIT", "fields", "sort"])
def test_an_unknown_parameter_is_named_and_the_known_ones_are_listed(fault_of: FaultOf, name: str) -> None:
    fault = fault_of(f"{name}=1")
    assert fault.place == name
    assert "filter, mask, offset, limit, order, flat, after" in fault.remedy


def test_a_near_miss_gets_a_suggestion(fault_of: FaultOf) -> None:
    assert "Did you mean limit?" in fault_of("LIMITS=1").remedy
    assert "Did you mean" not in fault_of("xyzzy=1").remedy


def test_a_parameter_without_a_name_is_unknown(fault_of: FaultOf) -> None:
    assert fault_of("=5").place == '""'


@pytest.mark.parametrize("raw", ["limit=1&limit=1", "limit=1&limit=", "limit=1&li%6Dit=2", "limit&limit&limit"])
def test_a_repeated_parameter_is_one_fault_whatever_its_values(fault_of: FaultOf, raw: str) -> None:
    fault = fault_of(raw)
    assert fault.place == "limit"
    assert "times" in fault.message


def test_an_unknown_parameter_given_twice_is_one_fault(fault_of: FaultOf) -> None:
    assert "unknown" in fault_of("colour=1&colour=2").message


@pytest.mark.parametrize("name", ["filter", "mask", "offset", "limit", "order", "flat"])
@pytest.mark.parametrize("end", ["", "="])
def test_an_empty_value_is_refused_with_or_without_its_equals_sign(fault_of: FaultOf, name: str, end: str) -> None:
    fault = fault_of(name + end)
    assert fault.place == name
    assert fault.message == "has no value"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("%", '"%" is not a percent escape'),
        ("a%4", '"%4" is not a percent escape'),
        ("%zz1", '"%zz" is not a percent escape'),
        ("%+1", '"%+1" is not a percent escape'),
        ("%ff", "is not UTF-8 text"),
        ("%C0%AF", "is not UTF-8 text"),
        ("%ED%A0%80", "is not UTF-8 text"),
        ("\ud800", "is not UTF-8 text"),
        ("a%00b", "contains the character NUL"),
        ("a\0b", "contains the character NUL"),
    ],
)
def test_what_does_not_decode_to_text_is_refused(fault_of: FaultOf, value: str, message: str) -> None:
    fault = fault_of(f"mask={value}")
    assert (fault.place, fault.message) == ("mask", message)


def test_a_name_that_does_not_decode_is_an_unknown_parameter(fault_of: FaultOf) -> None:
    assert fault_of("%ff=1").place == "%ff"


def test_every_wrong_parameter_gets_its_own_fault() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_list_query("limit=-1&mask=id&colour=red&order=&offset=x&offset=y&filter=[]")
    assert [fault.place for fault in caught.value.faults] == ["limit", "colour", "order", "offset", "filter"]
    assert caught.value.detail == "5 parameters are wrong"


def test_the_callers_text_is_cut_and_its_control_characters_are_escaped(fault_of: FaultOf) -> None:
    shown = fault_of("mask=" + "x" * 5000).message
    assert "x" * 40 + "…" in shown
    assert "x" * 41 not in shown
    hostile = fault_of("mask=a%1B[31m%0A%E2%80%AEb").message
    assert hostile.isprintable()
    assert r"a\x1b[31m\n\u202eb" in hostile


def test_a_long_parameter_name_makes_no_long_place(fault_of: FaultOf) -> None:
    assert len(fault_of("x" * 9000 + "=1").place) <= 41
