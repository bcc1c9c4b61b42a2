from collections.abc import Callable
from typing import Any

import pytest

from ivr_runtimes.errors import Fault
from ivr_runtimes.model import Runtime
from ivr_runtimes.query import ListQuery, parse_list_query


@pytest.mark.parametrize("name", ["offset", "limit"])
@pytest.mark.parametrize(("text", "number"), [("0", 0), ("000", 0), ("7", 7), ("007", 7), ("1000000", 1_000_000)])
def test_a_number_is_read_up_to_both_bounds(name: str, text: str, number: int) -> None:
    assert getattr(parse_list_query(f"{name}={text}"), name) == number


@pytest.mark.parametrize("name", ["offset", "limit"])
@pytest.mark.parametrize(
    "text",
    [
        "1000001",
        "9999999",
        "10000000",
        "-1",
        "-0",
        "%2B5",
        "+5",
        "5+",
        "1_000",
        "1e3",
        "5.0",
        "0x10",
        "five",
        "%D9%A3",
        "%C2%B2",
    ],
)
def test_anything_else_is_refused_never_clamped(fault_of: Callable[[str], Fault], name: str, text: str) -> None:
    fault = fault_of(f"{name}={text}")
    assert fault.place == name
    assert "not a number from 0 to 1000000" in fault.message


def test_ten_thousand_digits_are_no_burden(fault_of: Callable[[str], Fault]) -> None:
    assert parse_list_query(f"limit={'0' * 10_000}").limit == 0
    assert fault_of(f"limit={'9' * 10_000}").place == "limit"


@pytest.mark.parametrize(
    ("window", "ids"),
    [
        ({}, "abcde"),
        ({"limit": 0}, ""),
        ({"limit": 2}, "ab"),
        ({"offset": 3}, "de"),
        ({"offset": 1, "limit": 3}, "bcd"),
        ({"offset": 4, "limit": 3}, "e"),
        ({"offset": 5}, ""),
        ({"offset": 1_000_000, "limit": 1_000_000}, ""),
    ],
)
def test_the_window_is_cut_from_the_list(
    make_runtime: Callable[..., Runtime], window: dict[str, Any], ids: str
) -> None:
    rows = [make_runtime(id=letter) for letter in "abcde"]
    assert [row.id for row in ListQuery(**window).window(rows)] == list(ids)
