"""The two sides of an AMI conversation: which answer belongs to which action, and which rows to which list.

Owns ids, the shape of an action, and the order in which all comes in. Knows no socket and no clock. Called by
`connection`, which gives it bytes and sends its bytes.

Ids are drawn at random for each connection, so that text which a caller brought into the stream can answer no action.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ivr_asterisk.framing import Framer, Message, event_of, read

MAX_ACTION_LINE: Final = 1000
"""Bytes of a line in an action; Asterisk refuses one of over 1,020 or so as too long."""

HEARD: Final = frozenset(
    {b"Newchannel", b"Newexten", b"Hangup", b"HangupRequest", b"Rename", b"VarSet", b"FullyBooted", b"Shutdown"}
)
"""Events that are told on; all others are skipped unread."""

OWN_VARIABLES: Final = (b"\nVariable: IVR_", b"\nVariable: LOCAL(IVR_")
"""What a VarSet must hold to be told on: scripts set many other variables."""

ROWS: Final = {b"CoreShowChannel": "CoreShowChannels", b"Status": "Status"}
"""Events that are rows of a list, with the action that asks for it."""

ENDS: Final = frozenset({b"CoreShowChannelsComplete", b"StatusComplete"})


class UnsendableError(ValueError):
    """A value cannot be sent in an action: it has a control character, or the line would be too long."""


@dataclass(slots=True)
class Answer:
    """The answer to the action of that id; of a list with its rows, in order."""

    action_id: str
    response: Message
    rows: list[Message] = field(default_factory=list)
    announced: int = 0
    """How many rows the end of the list told of."""

    @property
    def accepted(self) -> bool:
        """Whether the server did what was asked."""
        return self.response.get("Response") in {"Success", "Goodbye"}

    @property
    def said(self) -> str:
        """What the server said about it, for people."""
        return self.response.get("Message")


class Dialogue:
    """One connection's conversation."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._prefix = secrets.token_hex(8)
        self._sent = 0
        self._asked: dict[str, str] = {}
        """The actions that have no answer yet, by id."""
        self._lists: dict[str, Answer] = {}
        """The lists that have begun, by id."""
        self._current = ""
        """The id of the list that began last: a Status row is of that one, as its own id may be lost."""

    def ask(self, action: str, fields: Mapping[str, str]) -> tuple[str, bytes]:
        """Return the id and the bytes of an action; raises `UnsendableError`."""
        self._sent += 1
        action_id = f"{self._prefix}-{self._sent}"
        data = "".join(
            _line(name, value) for name, value in {"Action": action, "ActionID": action_id, **fields}.items()
        )
        self._asked[action_id] = action
        return action_id, data.encode() + b"\r\n"

    def forget(self, action_id: str) -> None:
        """Expect no answer to an action any more."""
        self._asked.pop(action_id, None)
        self._lists.pop(action_id, None)

    def receive(self, data: bytes) -> Iterator[Message | Answer]:
        """Take bytes in; yield events and answers in the order in which they came."""
        for raw in self._framer.feed(data):
            event = event_of(raw)
            if event in ROWS:
                self._row(read(raw), ROWS[event])
            elif event in HEARD:
                if event != b"VarSet" or any(name in raw for name in OWN_VARIABLES):
                    yield read(raw)
            elif (not event or event in ENDS) and (answer := self._answer(read(raw))):
                yield answer

    def _row(self, row: Message, action: str) -> None:
        action_id = self._current if action == "Status" else row.get("ActionID")
        if action_id in self._lists and self._asked.get(action_id) == action:
            self._lists[action_id].rows.append(row)

    def _answer(self, message: Message) -> Answer | None:
        action_id = message.get("ActionID")
        if action_id not in self._asked:
            return None
        if message.get("EventList") == "start":
            self._current = action_id
            self._lists[action_id] = Answer(action_id, message)
            return None
        del self._asked[action_id]
        answer = self._lists.pop(action_id, None) or Answer(action_id, message)
        answer.announced = int(message.get("ListItems")) if message.get("ListItems").isdecimal() else 0
        return answer


def _line(name: str, value: str) -> str:
    line = f"{name}: {value}"
    if len(line.encode()) > MAX_ACTION_LINE:
        raise UnsendableError(f"{name}: over {MAX_ACTION_LINE} bytes")
    if not value.isprintable():
        raise UnsendableError(f"{name}: holds a control character")
    return line + "\r\n"
