"""Texts for people: what a terminal would obey, widths, times, durations, coverage, tables."""

import io
import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivrctl import durations, times
from ivrctl.api.coverage import Coverage, least, read
from ivrctl.neutral import cut, neutral, neutral_json, padded, width
from ivrctl.show import columns_for, draw
from ivrctl.terminal import Terminal

NOW = datetime(2026, 11, 26, 8, 0, 0, tzinfo=UTC)


@given(st.text())
def test_no_control_and_no_format_character_survives(text: str) -> None:
    left = [
        each
        for each in neutral(text)
        if unicodedata.category(each) in ("Cc", "Cs")
        or unicodedata.bidirectional(each) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    assert not left


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text


@given(st.dictionaries(st.text(), st.text()))
def test_neutral_json_means_the_same(value: dict[str, str]) -> None:
    text = neutral_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert neutral(text) == text


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, columns: int) -> None:
    text = neutral(text)
    shown = cut(text, columns)
    assert width(shown) <= columns
    assert shown == text or shown.endswith("…")
    assert width(padded(shown, columns)) == columns


@pytest.mark.parametrize(
    ("text", "total_s"),
    [("30s", 30), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1d2h3m4s", 93784), ("0.5s", 0.5), ("0s", 0)],
)
def test_durations_are_read(text: str, total_s: float) -> None:
    assert durations.seconds(text) == total_s


@pytest.mark.parametrize("text", ["", "10", "m", "1m1h", "-1s", "1 m", "\u0661s", "1w", "1.5m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        durations.seconds(text)


@pytest.mark.parametrize(
    ("ago_s", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86399, "23h59m"),
        (86400, "1d00h"),
        (90 * 86400, "90d00h"),
    ],
)
def test_ages_have_two_units(ago_s: int, shown: str) -> None:
    assert times.age((NOW - timedelta(seconds=ago_s)).isoformat(), NOW) == shown


@pytest.mark.parametrize("text", ["", "soon", "2026-11-26", "None"])
def test_an_age_of_no_time_is_a_question_mark(text: str) -> None:
    assert times.age(text, NOW) == "?"
    assert times.shown(text, "utc") == text


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("2026-11-23", "2026-11-23T00:00:00Z"),
        ("2026-11-23T08:00", "2026-11-23T08:00:00Z"),
        ("2026-11-23 08:00:01", "2026-11-23T08:00:01Z"),
        ("2026-11-23T08:00Z", "2026-11-23T08:00:00Z"),
        ("2026-11-23t08:00z", "2026-11-23T08:00:00Z"),
        ("2026-11-23T08:00:00.5+03:00", "2026-11-23T08:00:00.5+03:00"),
    ],
)
def test_times_are_read_in_the_zone_unless_they_name_one(text: str, read_as: str) -> None:
    assert times.instant(text, "utc") == read_as


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30T00:00", "2026-11-23T25:00", "08:00", "tomorrow"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2026-11-23T00:00Z"):
        times.instant(text, "utc")


@pytest.mark.parametrize(
    ("header", "gaps"),
    [
        ("SITE1=2/2, SITE2=1/1", []),
        ("SITE1=2/2, SITE2=0/2", ["SITE2: 0 of 2 nodes answer"]),
        ("SITE1=1/2,SITE2=0/0", ["SITE1: 1 of 2 nodes answer"]),
        (None, ["the answer does not say which sites it covers"]),
        ("", ["the answer does not say which sites it covers"]),
        ("SITE1=2", ["the answer does not say which sites it covers"]),
    ],
)
def test_gaps_are_named(header: str | None, gaps: list[str]) -> None:
    assert read(header).gaps() == gaps
    assert read(header).as_json()["complete"] is not gaps or not gaps


def test_several_answers_cover_what_each_of_them_covers() -> None:
    both = least([read("SITE1=2/2, SITE2=2/2"), read("SITE1=1/2, SITE2=2/2")])
    assert both == Coverage({"SITE1": (1, 2), "SITE2": (2, 2)})
    assert not least([both, read(None)]).known
    assert not least([]).known
    assert (both.covers("SITE1"), both.covers("SITE2"), both.covers("SITE3")) == (False, True, False)


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(rows: list[dict[str, str]], *, out: io.StringIO) -> list[str]:
    terminal = Terminal(out=out, environment={"NO_COLOR": "1"})
    draw(rows, columns_for(wide=True, now=NOW, zone="utc"), terminal)
    return out.getvalue().splitlines()


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=5))
def test_a_pipe_gets_every_name_whole_and_one_line_for_each_row(names: list[str]) -> None:
    rows = [{"id": f"id{at}", "name": name} for at, name in enumerate(names)]
    lines = drawn(rows, out=io.StringIO())
    assert len(lines) == len(rows) + 1
    assert all(neutral(name).strip() in line for name, line in zip(names, lines[1:], strict=True))


@given(st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_a_terminals_lines_keep_the_id_whole_and_lose_width_elsewhere(names: list[str]) -> None:
    rows = [{"id": "244f84aa-0624-e639-8061-a80000000006", "name": name, "node": "n" * 60} for name in names]
    lines = drawn(rows, out=Screen())
    assert all(line.startswith("244f84aa-0624-e639-8061-a80000000006") for line in lines[1:])
    assert all(width(line) < 36 + 60 + 100 for line in lines)
