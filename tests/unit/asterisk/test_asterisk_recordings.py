"""The recorded sessions, cut at random: no exception, no ghost, and nobody missing when a list is told."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ami.recording import Chunk, files, read
from bridged import SCRIPTS, STOP_CAUSE
from ivr_asterisk.dialogue import Answer, Dialogue
from ivr_asterisk.model import Model, Shown

SILENT = {"07-restart"}
"""Ends without a word: what ran then is gone with the connection."""

LISTS_ONLY = {("08-fifty", "ami"), ("06-reload-dialplan", "again"), ("15-slow-reader", "maker")}
"""Connections that hear no Newexten, or begin when calls have long begun."""


def name_of(path: Path) -> str:
    return path.name.removesuffix(".txt.gz")


@cache
def chunks(path: Path) -> tuple[Chunk, ...]:
    return tuple(read(path))


class Listener:
    """A connection's dialogue and model, as a bridge would have them, and one that knows the lists alone."""

    def __init__(self) -> None:
        self.dialogue, self.model = Dialogue(), Model(SCRIPTS, stop_cause=STOP_CAUSE)

    def wrote(self, data: bytes) -> None:
        """The recorded client asked: its ids are expected."""
        for action_id in re.findall(rb"ActionID: (\S+)", data):
            self.dialogue._asked.add(action_id.decode())

    def heard(self, data: bytes) -> Iterator[tuple[set[str], set[str]]]:
        """Take bytes in; yield, per full list, what the events had told and what the list shows."""
        for said in self.dialogue.receive(data):
            if not isinstance(said, Answer):
                self.model.heard(said)
            elif said.said == "Channels will follow":
                assert (said.complete, said.torn) == (True, False)
                listed = Model(SCRIPTS, stop_cause=STOP_CAUSE)
                for row in said.rows:
                    listed.seen(row)
                yield running(self.model), running(listed)

    def shows(self) -> dict[str, Shown]:
        return {key: shown for key, one in self.model.channels.items() if (shown := self.model.shown(one))}


def running(model: Model) -> set[str]:
    return {uniqueid for uniqueid, channel in model.channels.items() if model.shown(channel)}


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        yield data[at : at + sizes[number % len(sizes)]]
        at += sizes[number % len(sizes)]
        number += 1


def told(path: Path, sizes: list[int]) -> dict[str, Listener]:
    """Let listeners hear a recording in pieces of these sizes; each full list must show what the events had told."""
    listeners: dict[str, Listener] = {}
    for chunk in chunks(path):
        if chunk.way == "!":
            continue
        listener = listeners.setdefault(chunk.connection, Listener())
        if chunk.way == ">":
            listener.wrote(chunk.data)
            continue
        for piece in pieces(chunk.data, sizes):
            for by_events, by_list in listener.heard(piece):
                if (name_of(path), chunk.connection) not in LISTS_ONLY:
                    assert by_events == by_list, (chunk.at_ms, chunk.connection)
    return listeners


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}-{name_of(path)}")
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_a_recording_cut_anywhere_shows_what_its_lists_show_and_nobody_in_the_end(path: Path, sizes: list[int]) -> None:
    listeners = told(path, sizes)
    if name_of(path) not in SILENT:
        assert [listener.shows() for listener in listeners.values() if listener.shows()] == []


def test_the_nesting_of_the_recorded_subroutines_is_followed() -> None:
    (path,) = [one for one in files() if one.parts[-2:] == ("22", "03-nested-gosub.txt.gz")]
    listener, seen = Listener(), []
    for chunk in chunks(path):
        if chunk.way == "<":
            for message in listener.dialogue.receive(chunk.data):
                if not isinstance(message, Answer):
                    listener.model.heard(message)
                    seen += [(one.code, one.name, one.rootcode, one.rootname) for one in listener.shows().values()]
    assert list(dict.fromkeys(one for one in seen if one[2])) == [
        ("player", "Caller script", "nested", "Caller script"),
        ("player", "TEST PLAY", "nested", "Caller script"),
        ("player", "Deep root", "deep", "Deep root"),
        ("player", "Player deeper", "deep", "Deep root"),
        ("menu", "Player deeper", "deep", "Deep root"),
        ("menu", "Menu as a subroutine", "deep", "Deep root"),
    ]
