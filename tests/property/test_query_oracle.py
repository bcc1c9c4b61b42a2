"""The query language against a brute-force reading of its page (tests/support/oracle.py)."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Runtime
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.query.evaluate import compiled, passing
from oracle import (
    SECONDS,
    dense,
    filters,
    fits,
    fleets,
    in_order,
    matching,
    orders,
    patterns,
    requests,
    rowsets,
    shown,
    spelled_orders,
    verdict,
    window,
    written,
)

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@SETTINGS
@given(document=filters, rows=fleets, ascii_only=st.booleans())
def test_a_filter_lets_through_what_its_meaning_says(document: Any, rows: list[Runtime], ascii_only: bool) -> None:
    query = parse_list_query("filter=" + quote(json.dumps(document, ensure_ascii=ascii_only)))
    kept = passing(compiled(query.filter), rows)
    event(f"kept {'all' if kept == rows else 'some' if kept else 'none'}")
    assert kept == [row for row in rows if verdict(document, row)]


@SETTINGS
@given(pattern=patterns, value=st.text("abä%_\\", max_size=6))
def test_like_fits_what_a_naive_matcher_fits(pattern: str, value: str) -> None:
    assert like(pattern, value) is fits(pattern, value)


@SETTINGS
@given(pattern=dense, missing=st.integers(0, 2), wild=st.text("ab", min_size=1, max_size=3))
def test_like_tells_a_fit_from_a_near_miss(pattern: str, missing: int, wild: str) -> None:
    value = pattern.replace("%", "").replace("_", wild)
    for near in (value[missing:], value[: len(value) - missing], value[:1] + value[1 + missing :]):
        assert like(pattern, near) is fits(pattern, near)


@SETTINGS
@given(data=st.data(), keys=orders, rows=rowsets)
def test_an_order_sorts_as_pairwise_comparison_does(
    data: st.DataObject, keys: list[tuple[str, bool]], rows: list[Runtime]
) -> None:
    text = data.draw(spelled_orders(keys))
    query = parse_list_query("order=" + quote(text))
    assert query.sort(iter(rows)) == in_order(keys, rows)
    assert query.sort(reversed(rows)) == query.sort(rows)


@SETTINGS
@given(data=st.data(), rows=rowsets, asked=requests)
def test_a_whole_query_answers_what_brute_force_answers(
    data: st.DataObject, rows: list[Runtime], asked: dict[str, Any]
) -> None:
    query = parse_list_query(data.draw(written(asked)))
    answer = json.loads(query.render(query.window(query.sort(passing(compiled(query.filter), rows)))))
    expected = [shown(row, asked) for row in window(matching(asked, rows), asked)]
    assert json.dumps(answer) == json.dumps(expected), "as text, so that the order of the keys counts"


def like(pattern: str, name: str) -> bool:
    row = Runtime(
        id=RuntimeId("a"),
        site=Site("SITE1"),
        node=NodeName("n@h"),
        domain=Domain("d"),
        session=Session("s"),
        type="ivr",
        code="c",
        name=name,
        starttime=SECONDS[0],
        lwt=SECONDS[0],
    )
    query = parse_list_query("filter=" + quote(json.dumps(["like", ["property", "name"], pattern])))
    return passing(compiled(query.filter), [row]) == [row]
