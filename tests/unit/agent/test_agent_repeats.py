"""What is said again and again is held back, and told by a count; nothing is lost of what counts one by one."""

import json
import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest

from ivr_agent.engine.memory import ManualTime
from ivr_agent.process import log
from ivr_agent.process.log import MAX_ITEMS, MAX_TEXT, MAX_TRACE, say
from ivr_agent.process.repeats import FIRST_S, MAX_KINDS, MOST_S, Repeats

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read(repeats: Repeats, written: StringIO) -> Read:
    """Return the lines written since it was last asked."""

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        written.seek(0)
        written.truncate()
        return lines

    return read


async def test_what_lasts_for_a_day_is_some_150_lines_and_none_of_it_goes_uncounted(
    time: ManualTime, read: Read
) -> None:
    """`lease_not_renewed` came once a second for as long as AWS was away: 86,400 lines a day."""
    for second in range(86_400):
        say("lease_not_renewed", level=logging.WARNING, error="away")
        if second % log.REMIND_INTERVAL_S == 0:
            await log.remind()
        time.pass_s(1)
    lines = read()
    assert len(lines) < 160
    missing = 86_400 - sum(1 + line.get("held_back", 0) for line in lines)
    assert 0 <= missing <= MOST_S, "what is held back at this moment"


async def test_the_first_of_a_kind_is_written_at_once_and_the_waits_double(time: ManualTime, read: Read) -> None:
    seen_s = []
    for second in range(200):
        say("write_failed", level=logging.WARNING)
        seen_s += [second] * len(read())
        time.pass_s(1)
    assert seen_s == [0, FIRST_S, 3 * FIRST_S, 7 * FIRST_S, 15 * FIRST_S]


async def test_the_last_of_a_burst_is_told_without_another_one_coming(time: ManualTime, read: Read) -> None:
    """Else the log would end with the first of 500 refused events, and nobody would know of the others."""
    for number in range(500):
        say("invalid_event", level=logging.ERROR, number=number)
    time.pass_s(FIRST_S)
    await log.remind()
    assert [(line["number"], line.get("held_back")) for line in read()] == [(0, None), (499, 498)]
    time.pass_s(MOST_S)
    await log.remind()
    assert read() == []


async def test_a_fault_that_comes_once_a_minute_for_ever_is_told_ever_more_rarely_too(
    time: ManualTime, read: Read
) -> None:
    for _ in range(24 * 60):
        say("sweep_failed", level=logging.WARNING)
        time.pass_s(60)
        await log.remind()
    assert len(read()) < 160


def test_another_fault_of_the_same_action_is_written_at_once(read: Read) -> None:
    for error in ("throttled", "unavailable", "throttled"):
        say("write_failed", level=logging.WARNING, about=error, error=error)
    assert [line["error"] for line in read()] == ["throttled", "unavailable"]


def test_kinds_that_others_make_up_are_bounded(read: Read) -> None:
    """A queue full of garbage, or an engine with a new fault in each event, is a flood of different lines."""
    for number in range(1000):
        say("dead_letter", level=logging.ERROR, about=f"message {number}")
    assert len(read()) == MAX_KINDS + 1


def test_what_is_over_for_long_is_news_when_it_comes_again(time: ManualTime, repeats: Repeats, read: Read) -> None:
    for _ in range(3):
        say("engine_down", level=logging.WARNING)
    time.pass_s(FIRST_S)
    repeats.remind()
    time.pass_s(2 * FIRST_S + MOST_S)
    repeats.remind()
    read()
    for _ in range(2):
        say("engine_down", level=logging.WARNING)
        time.pass_s(FIRST_S)
    assert len(read()) == 2, "the waits begin anew"


def test_stops_and_what_was_asked_for_in_detail_are_never_held_back(read: Read) -> None:
    """An audit of stops, and the alarms that count its lines, need every one."""
    for _ in range(100):
        say("stop_outcome", each=True)
        say("runtime_ended", level=logging.DEBUG)
    assert len(read()) == 200


def test_a_library_that_repeats_itself_is_held_back_as_well(read: Read) -> None:
    """aiohttp logs a traceback for every request that is no HTTP, urllib3 a line for every connection too many."""
    for number in range(100):
        logging.getLogger("some.library").warning("connection %s is lost", number)
    (line,) = read()
    assert line["detail"] == "connection %s is lost"


def test_nothing_that_is_held_back_is_lost_at_the_end(repeats: Repeats, read: Read) -> None:
    for number in range(3):
        say("not_deleted", level=logging.WARNING, number=number)
    repeats.flush()
    assert [(line["number"], line.get("held_back")) for line in read()] == [(0, None), (2, 1)]


def test_no_line_is_longer_than_can_be_read(read: Read) -> None:
    """One line of 2,000 unreadable rows took 84 KB; an engine's ids and a peer's words are of any length."""

    def even(levels: int) -> None:
        if levels:
            odd(levels - 1)
        raise ValueError("x" * 2 * MAX_TRACE)

    def odd(levels: int) -> None:
        even(levels - 1)

    try:
        even(200)  # by turns: a traceback leaves out what repeats itself
    except ValueError as error:
        say("loop_failed", error=str(error), trace=error, nested=[{"row": "y" * 10_000}] * 1000, object=object())
    (line,) = read()
    assert len(line["error"]) < MAX_TEXT + 30
    assert line["error"].endswith(f"({2 * MAX_TRACE} characters)")
    assert (len(line["nested"]), len(line["trace"])) == (MAX_ITEMS, MAX_TRACE)
    assert len(json.dumps(line)) < MAX_TRACE + (MAX_ITEMS + 5) * 2 * MAX_TEXT
