"""Stop ids in a channel variable: whatever the id, its text form is harmless and read back whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_engine.stopids import KEPT, StopIds

IDS = st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64), max_size=20)


@given(IDS)
def test_any_ids_of_the_protocol_come_back_in_order(ids: list[str]) -> None:
    kept = StopIds()
    for one in ids:
        kept.accept(one)
    text = kept.packed()
    assert re.fullmatch(r"[A-Za-z0-9_,-]*", text)
    read = StopIds.unpacked(text, proven=False)
    assert (read.last, read.packed()) == (kept.last, text)
    assert all(one in read for one in ids)


def test_a_tried_id_counts_only_where_its_stop_is_proven() -> None:
    text = StopIds(("first",)).packed(tried="second")
    assert "second" not in StopIds.unpacked(text, proven=False)
    assert StopIds.unpacked(text, proven=True).last == "second"


def test_the_newest_64_are_kept() -> None:
    ids = StopIds()
    for number in range(KEPT + 1):
        ids.accept(str(number))
    assert "0" not in ids
    assert "1" in ids
    assert len(ids.packed().split(",")) == KEPT


def test_an_id_that_comes_again_is_the_last() -> None:
    ids = StopIds(("a", "b"))
    ids.accept("a")
    assert (ids.last, len(ids.packed().split(","))) == ("a", 2)


@pytest.mark.parametrize("text", ["", "_undef_", "%%%", "a", ",,", "-ERR No such channel!\n", "é", "gICA"])
def test_what_is_no_id_is_left_out(text: str) -> None:
    assert StopIds.unpacked(text, proven=True).last is None
