"""What changed between two lists, and which rows are shown."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ivrctl.api import Page
from ivrctl.api.coverage import Coverage
from ivrctl.watching import Board, view

AT = datetime(2026, 11, 26, 8, 0, 0, tzinfo=UTC)
WHOLE = Coverage({"SITE1": (2, 2), "SITE2": (2, 2)})
ROWS = st.dictionaries(
    st.sampled_from([f"id{number}" for number in range(8)]),
    st.tuples(
        st.sampled_from(["SITE1", "SITE2"]),
        st.sampled_from(["player", "welcome"]),
        st.sampled_from(["running", "post_processing"]),
    ),
)


def row(runtime_id: str, site: str = "SITE1", code: str = "player", state: str = "running") -> dict[str, Any]:
    return {
        "id": runtime_id,
        "site": site,
        "code": code,
        "ext.state": state,
        "starttime": "2026-11-26T07:00:00Z",
        "node": "n@h",
        "name": code,
    }


def page(*rows: dict[str, Any], coverage: Coverage = WHOLE) -> Page:
    return Page(list(rows), coverage, AT)


def told(board: Board, *rows: dict[str, Any], coverage: Coverage = WHOLE) -> list[tuple[str, str]]:
    return [(change.what, change.row["id"]) for change in board.take(page(*rows, coverage=coverage))]


def test_the_first_list_is_no_change() -> None:
    assert told(Board(), row("a"), row("b")) == []


def test_starts_scripts_states_and_ends_are_told() -> None:
    board = Board()
    told(board, row("a"), row("b"), row("c"))
    changes = told(board, row("a", code="welcome"), row("b", state="post_processing"), row("d"))
    assert sorted(changes) == [("ended", "c"), ("script", "a"), ("started", "d"), ("state", "b")]


def test_a_site_that_does_not_answer_ends_nothing() -> None:
    board = Board()
    told(board, row("a"), row("b", site="SITE2"))
    partial = Coverage({"SITE1": (2, 2), "SITE2": (0, 2)})
    assert told(board, coverage=partial) == [("ended", "a"), ("unseen", "b")]
    assert told(board, coverage=partial) == [], "told once"
    assert (set(board.rows), board.unseen) == ({"b"}, {"b"})
    assert told(board, row("b", site="SITE2")) == []
    assert board.unseen == set()
    assert told(board) == [("ended", "b")]


def test_counts_are_by_frequency() -> None:
    board = Board()
    told(board, row("a"), row("b", code="welcome"), row("c"))
    assert board.counts("code") == [("player", 2), ("welcome", 1)]


@given(st.lists(ROWS, max_size=6))
def test_changes_add_up_to_what_is_listed(lists: list[dict[str, tuple[str, str, str]]]) -> None:
    board, known = Board(), set()
    for number, listed in enumerate(lists):
        changes = board.take(page(*(row(runtime_id, *shape) for runtime_id, shape in listed.items())))
        started = {change.row["id"] for change in changes if change.what == "started"}
        ended = {change.row["id"] for change in changes if change.what == "ended"}
        if number:
            assert started == listed.keys() - known
            assert ended == known - listed.keys()
        known = set(listed)
        assert set(board.rows) == known


@given(ROWS, st.sampled_from(["", "site1", "PLAYER site2", "nothing like it"]), st.sampled_from(list(view.SORTS)))
def test_what_is_shown_has_every_typed_word_and_each_row_once(
    rows: dict[str, tuple[str, str, str]], typed: str, sort: str
) -> None:
    every = [row(runtime_id, *shape) for runtime_id, shape in rows.items()]
    shown = view.chosen(every, typed=typed, sort=sort)
    words = typed.lower().split()
    assert {each["id"] for each in shown} == {
        each["id"] for each in every if all(word in f"{each['site']} {each['code']}".lower() for word in words)
    }
    assert len({each["id"] for each in shown}) == len(shown)


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    texts = view.texts({**row("a"), "name": "\x1b[31m"}, AT, unseen=False)
    assert texts["name"] == "\\x1b[31m"
    assert texts["age"] == "1h00m"
    assert view.texts(row("a"), AT, unseen=True)["state"] == "not seen"
