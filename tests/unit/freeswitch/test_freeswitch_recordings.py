"""The recordings, replayed: whatever the network cuts, the bridge knows what the recorded engine ran."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esl.replay import CUT_SHORT, FILES, JSON, frames, streams
from esl.world import RULES
from ivr_engine.mirror import Mirror
from ivr_engine.model import Changed, Event, FullState
from ivr_freeswitch.calls import Calls
from ivr_freeswitch.frames import Frames
from ivr_freeswitch.scripts import Scripts

IVR = ("ivr", "ivr-player", "ivr-menu", "ivr-external-stop", "ivr-stop-catchall")


def running_by_brute_force(events: list[dict[str, Any]]) -> set[str]:
    """Look at each channel by itself, over all of its events: an oracle that keeps no state."""
    found = set()
    for uuid in {event["Unique-ID"] for event in events if "Unique-ID" in event}:
        told = [event for event in events if event.get("Unique-ID") == uuid]
        led = [one for one in told if one["Event-Name"] == "CHANNEL_EXECUTE"]
        led = [one for one in led if (one["Caller-Profile-Index"], one["Call-Direction"]) != ("1", "outbound")]
        hung_up = any(one["Event-Name"].startswith("CHANNEL_HANGUP") for one in told)
        if led and not hung_up and led[-1]["Channel-State"] == "CS_EXECUTE":
            entered = [one for one in told if one.get("Application") == "ivr"]
            in_menu = bool(entered) and entered[-1]["Event-Name"] == "CHANNEL_EXECUTE"
            if in_menu or led[-1]["Caller-Context"] in IVR:
                found.add(uuid)
    return found


class Replay:
    """The model, fed from bytes; `adopted` is what an agent would know from the events alone."""

    def __init__(self) -> None:
        self.adopted: dict[str, FullState] = {}
        self.seen: dict[str, list[tuple[str, str | None]]] = {}
        """Code and source of each channel, one after another."""
        self.mirror = Mirror(session="replay", publish=self._adopt)
        self.calls = Calls(Scripts(RULES), self.mirror)
        self.events: list[dict[str, Any]] = []
        self._frames = Frames()

    def feed(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.kind == JSON:
                event = json.loads(frame.body)
                self.events.append(event)
                if "Unique-ID" in event:
                    self.calls.take(event)

    def _adopt(self, event: Event) -> None:
        if isinstance(event, Changed):
            self.adopted[event.state.id] = state = event.state
            seen = self.seen.setdefault(state.id[-3:], [])
            if seen[-1:] != [(state.code, state.rootcode)]:
                seen.append((state.code, state.rootcode))
        else:
            del self.adopted[event.id]

    def check(self) -> None:
        rows = {state.id: state for state in self.mirror.snapshot().runtimes}
        assert set(rows) == running_by_brute_force(self.events)
        assert rows == self.adopted


WHOLE = [path for path in FILES if not path.name.startswith(CUT_SHORT)]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_at_the_end_of_each_recording_there_is_no_ghost_and_none_is_missing(path: Path) -> None:
    for stream in streams(path.name):
        replay = Replay()
        replay.feed(stream)
        replay.check()


def test_menus_are_followed_into_each_other_and_out() -> None:
    (stream,) = streams("16")
    replay = Replay()
    replay.feed(stream)
    assert replay.seen == {
        "160": [("main", None), ("sales", "main"), ("main", None), ("player", "main"), ("main", None)],
        "161": [("main", None), ("welcome", None)],
        "162": [("main", None), ("sales", "main")],
        "163": [("main", None), ("sales", "main")],
    }
    assert [(one.id[-3:], one.code) for one in replay.mirror.snapshot().runtimes] == [("163", "sales")]


STREAMS = [stream for name in ("03", "04", "08", "12", "13", "16") for stream in streams(name)]


@settings(max_examples=40)
@given(st.data())
def test_whatever_is_cut_off_and_however_it_is_cut_what_runs_is_known(data: st.DataObject) -> None:
    stream = data.draw(st.sampled_from(STREAMS))
    end = data.draw(st.integers(0, len(stream)))
    cuts = sorted(data.draw(st.lists(st.integers(0, end), max_size=8)))
    replay = Replay()
    for begin, stop in zip([0, *cuts], [*cuts, end], strict=True):
        replay.feed(stream[begin:stop])
    replay.check()


@settings(max_examples=40)
@given(st.data())
def test_events_that_are_lost_leave_no_exception(data: st.DataObject) -> None:
    """An overloaded engine drops events; what is wrong then, the next look finds out."""
    events = [json.loads(frame.body) for frame in frames(data.draw(st.sampled_from(STREAMS))) if frame.kind == JSON]
    replay = Replay()
    for event in events:
        if "Unique-ID" in event and data.draw(st.booleans()):
            replay.calls.take(event)
    assert {state.id for state in replay.mirror.snapshot().runtimes} == set(replay.adopted)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_frame_of_each_recording_is_of_a_known_kind(path: Path) -> None:
    known = {"auth/request", "command/reply", "api/response", "text/event-json", "text/event-plain", "log/data"}
    known |= {"text/disconnect-notice", "text/rude-rejection"}
    for stream in streams(path.name):
        if path.name.startswith(CUT_SHORT):
            stream = stream[: len(stream) // 2]  # noqa: PLW2901  # the whole half of it
        assert {frame.kind for frame in frames(stream)} <= known
