"""The two sides of an AMI conversation: which answer belongs to which action, and which rows to which list.

Owns ids, the shape of an action, and the order in which all comes in. Knows no socket and no clock. Called by
`connection`, which gives it bytes and sends its bytes.

Ids are drawn at random for each connection, so that text which a caller brought into the stream can answer no action,
nor be a row of a list. Between the rows of a list Asterisk says nothing else: what stands there is a piece of a row
that a raw value has cut in two, and the rows beside it are not believed.
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

ROWS: Final = frozenset({b"CoreShowChannel", b"Status"})
"""Events that are rows of a list."""

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
    complete: bool = False
    """Whether so many came."""
    torn: bool = False
    """Whether rows are left out, as they may be a caller's."""

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
        self._asked: set[str] = set()
        """The ids of the actions that have no answer yet."""
        self._open: OpenList | None = None

    def ask(self, action: str, fields: Mapping[str, str]) -> tuple[str, bytes]:
        """Return the id and the bytes of an action; raises `UnsendableError`."""
        self._sent += 1
        action_id = f"{self._prefix}-{self._sent}"
        data = "".join(
            _line(name, value) for name, value in {"Action": action, "ActionID": action_id, **fields}.items()
        )
        self._asked.add(action_id)
        return action_id, data.encode() + b"\r\n"

    def forget(self, action_id: str) -> None:
        """Expect no answer to an action any more."""
        self._asked.discard(action_id)
        if self._open and self._open.answer.action_id == action_id:
            self._open = None

    def receive(self, data: bytes) -> Iterator[Message | Answer]:
        """Take bytes in; yield events and answers in the order in which they came."""
        for raw in self._framer.feed(data):
            event = event_of(raw)
            if not event or event in ROWS or event in ENDS:
                if answer := self._answer(read(raw)):
                    yield answer
                continue
            if self._open:
                self._open.pieces.append(None)
            if event in HEARD and (event != b"VarSet" or any(name in raw for name in OWN_VARIABLES)):
                message = read(raw)
                if not message.forged:
                    yield message

    def _answer(self, message: Message) -> Answer | None:
        """Take in a response, or a row or the end of a list; return the answer that it completes."""
        action_id, is_row = message.get("ActionID"), message.event.encode() in ROWS
        if self._open and (is_row or action_id != self._open.answer.action_id):
            self._open.pieces.append(message)
        if is_row:
            return None
        if self._open and action_id == self._open.answer.action_id:
            ended, self._open = self._open, None
            return ended.end(message)
        if action_id not in self._asked:
            return None
        self._asked.remove(action_id)
        answer = Answer(action_id, message)
        if message.get("EventList") != "start":
            return answer
        self._open = OpenList(answer)
        return None


@dataclass(slots=True)
class OpenList:
    """A list whose rows come now. `pieces` are all messages since its begin; None is an event, which is no row."""

    answer: Answer
    pieces: list[Message | None] = field(default_factory=list)

    def end(self, end: Message) -> Answer:
        """Return the list with the rows that are to be believed."""
        answer, items = self.answer, end.get("ListItems")
        answer.announced = int(items) if items.isdecimal() else 0
        rows = [piece for piece in self.pieces if piece and piece.get("ActionID") == answer.action_id]
        if not rows:  # some versions do not name the action in rows: then all must be right
            rows = [piece for piece in self.pieces if piece and not piece.get("ActionID")]
            whole = len(rows) == len(self.pieces) == answer.announced
        else:
            whole = len(rows) == len(self.pieces)
        answer.complete = len(rows) == answer.announced
        answer.rows = [row for row in rows if not row.forged] if whole else self._untouched()
        answer.torn = len(answer.rows) != answer.announced
        return answer

    def _untouched(self) -> list[Message]:
        """Return the rows that do not stand beside a piece of another."""
        kept: list[Message] = []
        beside_piece = False
        for piece in self.pieces:
            if piece is None or piece.get("ActionID") != self.answer.action_id:
                if kept and not beside_piece:
                    kept.pop()
                beside_piece = True
            elif beside_piece:
                beside_piece = False
            else:
                kept.append(piece)
        return [row for row in kept if not row.forged]


def _line(name: str, value: str) -> str:
    line = f"{name}: {value}"
    if len(line.encode()) > MAX_ACTION_LINE:
        raise UnsendableError(f"{name}: over {MAX_ACTION_LINE} bytes")
    if not value.isprintable():
        raise UnsendableError(f"{name}: holds a control character")
    return line + "\r\n"
