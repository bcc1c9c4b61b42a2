"""Each recorded session, cut anywhere, through the bridge's own parts, against an oracle that reads it whole.

The bridge's questions about a channel are answered as the oracle knows the truth. At each recorded list, and at the
end, the runtimes are those of the oracle: no ghost, none missing; and nothing raises.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ami import Replay
from ami.recording import files
from ami.replay import connections
from ivr_asterisk.dialogue import Answer, Dialogue
from ivr_asterisk.framing import Message
from ivr_asterisk.mapping import Rule, Scripts
from ivr_asterisk.model import Model
from ivr_asterisk.naming import runtime_id
from ivr_asterisk.publisher import Publisher
from ivr_engine.mirror import Mirror

CONTEXTS: Final = re.compile("ivr(-player|-menu|-plain|-external-stop)?")
LEGS: Final = {"AppDial", "AppDial2"}
LISTS: Final = {"CoreShowChannels", "Status"}

Headers = dict[str, str]


class Truth:
    """The oracle: the channels, as whole messages told them."""

    def __init__(self) -> None:
        self.channels: dict[str, Headers] = {}
        self.moved: set[str] = set()
        """Those whose own dialplan was seen."""
        self.listed: dict[str, Headers] = {}
        """Those of the list that comes now."""

    def take(self, message: Headers) -> None:
        """Take in one message."""
        event, uniqueid = message.get("Event", ""), message.get("Uniqueid", "")
        if event == "CoreShowChannel":
            self.listed[uniqueid] = self.channels.get(uniqueid, {}) | message
        elif event == "CoreShowChannelsComplete":
            self.channels, self.listed = self.listed, {}
        elif event == "Newchannel":
            self.channels[uniqueid] = self.channels.get(uniqueid, {}) | message
        elif event == "Newexten" and "Application" in message:
            self.channels[uniqueid] = self.channels.get(uniqueid, {}) | message
            if message["Application"] not in LEGS:
                self.moved.add(uniqueid)
        elif event == "Hangup":
            self.channels.pop(uniqueid, None)

    @property
    def runtimes(self) -> set[str]:
        """The Uniqueids of the channels that run a script."""
        return {uniqueid for uniqueid, told in self.channels.items() if self._runs(uniqueid, told)}

    def row(self, uniqueid: str) -> Message | None:
        """Return what Asterisk would answer about a channel."""
        told = self.channels.get(uniqueid)
        if told is None:
            return None
        keys = ("Channel", "CallerIDNum", "Context", "Exten", "Priority", "Uniqueid", "Linkedid", "Application")
        return Message({"Event": "Status", **{key: told.get(key, "") for key in keys}})

    def _runs(self, uniqueid: str, told: Headers) -> bool:
        dialled = re.fullmatch(r"Local/(.+)@(.+)-[0-9a-f]{8};1", told["Channel"])
        place = (told["Context"], told["Exten"], told["Priority"])
        waiting = dialled and place == (dialled[2], dialled[1], "1") and uniqueid not in self.moved
        leg = told.get("Application", "") in LEGS or "Application" not in told
        return bool(CONTEXTS.fullmatch(told["Context"])) and told["Exten"] not in {"", "h"} and not (leg or waiting)


class Replayed:
    """The bridge's parts, fed with pieces of a recording, and the oracle beside them."""

    def __init__(self, replay: Replay) -> None:
        self.dialogue, self.truth = Dialogue(), Truth()
        rule = Rule(context=CONTEXTS.pattern, domain="test.rootdomain.ru")
        self.model = Model(Scripts((rule,), branches="ivr-external-stop"), stop_cause=8)
        self.mirror = Mirror(session="s", publish=lambda _: None)
        self.publisher = Publisher(self.model, self.mirror, now_s=lambda: 0.0)
        self.compared = 0
        self._rest = b""
        asked = b"".join(chunk.data for chunk in replay.chunks if chunk.way == ">")
        for action, action_id in re.findall(rb"Action: (\w+)\r?\nActionID: (\S+)", asked):
            if action.decode() in LISTS:
                self.dialogue._asked.add(action_id.decode())

    def feed(self, piece: bytes) -> None:
        """Take a piece in, as the connection does."""
        said = list(self.dialogue.receive(piece))
        whole = self._whole(piece)
        for one in said:
            if isinstance(one, Answer):
                self._catch_up(whole, until=one.action_id)
                self._list(one)
            else:
                self.publisher.heard(one)
        self._catch_up(whole, until=None)
        self._settle()

    def _list(self, answer: Answer) -> None:
        if answer.rows and answer.rows[0].event != "CoreShowChannel":
            return
        self.publisher.listed(answer)
        rows = [row for uniqueid in self.truth.channels if (row := self.truth.row(uniqueid))]
        self.publisher.nested(Answer("1", Message({"Response": "Success"}), rows=rows, announced=len(rows)))
        self._settle()
        self.compare()
        self.compared += 1

    def compare(self) -> None:
        """Hold what is published against the truth."""
        published = {row.id for row in self.mirror.snapshot().runtimes}
        expected = {runtime_id("s", uniqueid) for uniqueid in self.truth.runtimes}
        assert published == expected

    def _settle(self) -> None:
        self.publisher.settle()
        while self.publisher.doubted:
            uniqueid = next(iter(self.publisher.doubted))
            del self.publisher.doubted[uniqueid]
            self.publisher.looked_up(uniqueid, self._answer(uniqueid))

    def _answer(self, uniqueid: str) -> Answer:
        if (row := self.truth.row(uniqueid)) is None:
            return Answer("1", Message({"Response": "Error", "Message": "No such channel"}))
        return Answer("1", Message({"Response": "Success"}), rows=[row], announced=1)

    def _whole(self, piece: bytes) -> Iterator[Headers]:
        *done, self._rest = (self._rest + piece).split(b"\r\n\r\n")
        for raw in done:
            headers: Headers = {}
            for line in raw.decode(errors="replace").split("\r\n"):
                name, colon, value = line.partition(": ")
                if colon:
                    headers.setdefault(name, value)
            yield headers

    def _catch_up(self, whole: Iterator[Headers], *, until: str | None) -> None:
        """Let the oracle read on, to the end of that list if one is named."""
        for message in whole:
            self.truth.take(message)
            over = message.get("EventList") == "Complete" or message.get("Response") == "Error"
            if until and message.get("ActionID") == until and over:
                return


CONVERSATIONS: Final = [(path, name) for path in files() for name in connections(path)]


def replayed(path: Path, name: str, offsets: list[int]) -> Replayed:
    """Replay what a connection heard, cut at these offsets; return the parts at the end."""
    replay = Replay(path, name)
    one = Replayed(replay)
    for piece in replay.cut(offsets):
        one.feed(piece)
    return one


@pytest.mark.parametrize(("path", "name"), CONVERSATIONS, ids=lambda value: getattr(value, "stem", value))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offsets=st.lists(st.integers(0, 2**20), max_size=60))
def test_a_recording_cut_anywhere_ends_with_neither_ghost_nor_gap(path: Path, name: str, offsets: list[int]) -> None:
    replayed(path, name, offsets).compare()


def test_the_recordings_hold_lists_with_runtimes_to_be_compared() -> None:
    compared = sum(replayed(path, name, []).compared for path, name in CONVERSATIONS)
    assert compared > 100


def test_a_recording_read_a_byte_at_a_time_says_the_same() -> None:
    path, name = next((path, name) for path, name in CONVERSATIONS if path.name.startswith("03-"))
    replay = Replay(path, name)
    replayed(path, name, list(range(len(replay.said)))).compare()
