"""What an engine's mirror holds is what its events told."""

from dataclasses import replace

import pytest

from ivr_engine.conformance.bodies import RuntimeState
from ivr_engine.mirror import Mirror
from ivr_engine.model import Changed, Ended, Event, FullState, State, StopType, UnknownRuntimeError

STATE = FullState(
    id="r1",
    domain="test.rootdomain.ru",
    type="ivr",
    code="player",
    name="TEST PLAY",
    starttime="2019-11-05T08:36:40Z",
    state=State.RUNNING,
)


def test_every_change_has_the_next_seq_and_stands_in_the_snapshot_as_it_was_told() -> None:
    events: list[Event] = []
    mirror = Mirror(session="s", publish=events.append)
    later = replace(STATE, state=State.POST_PROCESSING, stoptype=StopType.STOP)
    mirror.put(STATE)
    mirror.put(replace(STATE, id="r2"))
    mirror.put(later)
    mirror.end("r2", StopType.NORMAL)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert events[2:] == [Changed(3, later), Ended(4, "r2", StopType.NORMAL)]
    snapshot = mirror.snapshot()
    assert (snapshot.session, snapshot.seq, snapshot.runtimes) == ("s", 4, (later,))


def test_an_end_of_what_does_not_run_is_no_change() -> None:
    events: list[Event] = []
    mirror = Mirror(session="s", publish=events.append)
    with pytest.raises(UnknownRuntimeError):
        mirror.end("r1", StopType.STOP)
    assert (events, mirror.seq) == ([], 0)


def test_a_bridge_that_restarts_goes_on_above_all_that_it_told() -> None:
    events: list[Event] = []
    mirror = Mirror(session="s", publish=events.append, seq=1_000_000)
    mirror.put(STATE)
    assert events == [Changed(1_000_001, STATE)]


def test_numbers_that_callers_choose_are_cut_to_what_the_agent_takes() -> None:
    """A caller with a name of 129 characters, or of half a character, would be a call that no list shows."""
    long, torn = replace(STATE, caller="Ж" * 129, called=None, call_id="x" * 128), replace(STATE, caller="+1\ud83d")
    assert (long.caller, long.called, long.call_id) == ("Ж" * 128, None, "x" * 128)
    for state in (long, torn):
        told = RuntimeState.model_validate({**state.as_json(), "id": "244f84aa-0624-e639-8061-a80000000006"})
        assert told.caller == state.caller
    assert "Ж" not in repr(long)


def test_another_session_begins_without_runtimes() -> None:
    mirror = Mirror(session="s", publish=lambda _: None)
    mirror.put(STATE)
    mirror.begin("t")
    assert (mirror.session, mirror.seq, mirror.snapshot().runtimes) == ("t", 0, ())
