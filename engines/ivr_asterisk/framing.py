"""AMI's messages out of bytes: where one ends, and what its lines say.

Owns framing, limits, decoding and escapes. Knows no socket and no clock, and never fails: whatever a caller put into a
variable comes through here. Called by `dialogue`.

Some values come raw from Asterisk (a caller's number, an extension, what an application was given): a line end in one
begins a new line of the message, and two of them a new message. So nothing that stands behind the last raw value is
read, and a message that says twice who it is about is marked as forged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_LINE: Final = 64 * 1024
"""Characters of a line that are kept. Asterisk itself has no limit; 8 KiB were seen."""

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of a message that are kept."""

END: Final = re.compile(rb"\r?\n\r?\n")
"""The end of a message: an empty line. Some versions end a list's row with CR LF LF."""

RAW_AND_LAST: Final = frozenset({"AppData", "ApplicationData", "Value"})
"""Headers with a raw value: what follows in the message may be of that value."""

ONCE: Final = frozenset({"Event", "ActionID", "Channel", "Context", "Exten", "Priority", "Uniqueid", "Linkedid"})
"""Headers that tell what a message is about. Asterisk writes each of them once."""

ESCAPE: Final = re.compile(r"\\([abfnrtv\\\"'?])")
ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(slots=True)
class Message:
    """One message. `headers` has the first value of each, as it came.

    `variables` are the channel's by the server's `channelvars`, unescaped; `asked` are those that a Status asked for,
    which come raw. `forged` is whether one of its values holds lines of its own.
    """

    headers: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    forged: bool = False

    @property
    def event(self) -> str:
        """The event's name; empty for a response."""
        return self.headers.get("Event", "")

    def get(self, header: str) -> str:
        """Return a header's value, empty if it is absent."""
        return self.headers.get(header, "")


class Framer:
    """Cuts a stream of bytes into messages, wherever its reads ended."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._head: bytes | None = None
        """The beginning of a message that is longer than the limit."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes in; yield each message that they complete, without its end."""
        searched = max(0, len(self._waiting) - 3)  # an end may have begun there
        self._waiting += data
        begin = 0
        while end := END.search(self._waiting, max(begin, searched)):
            if raw := self._whole(bytes(self._waiting[begin : end.start()])).lstrip(b"\r\n"):
                yield raw
            begin = end.end()
        del self._waiting[:begin]
        self._keep_within_limit()

    def _whole(self, raw: bytes) -> bytes:
        head, self._head = self._head, None
        return (raw if head is None else head)[:MAX_MESSAGE]

    def _keep_within_limit(self) -> None:
        if len(self._waiting) > MAX_MESSAGE + 3:
            if self._head is None:
                self._head = bytes(self._waiting[:MAX_MESSAGE])
            del self._waiting[:-3]


def event_of(raw: bytes) -> bytes:
    """Return the event's name without reading the rest; empty for another message."""
    return raw[7:].split(b"\n", 1)[0].rstrip(b"\r") if raw.startswith(b"Event: ") else b""


def read(raw: bytes) -> Message:
    """Read a message."""
    message = Message({})
    headers, is_status = message.headers, event_of(raw) == b"Status"
    for line in _lines(raw):
        name, separator, value = line[:MAX_LINE].partition(":")
        value = value.removeprefix(" ")
        if not separator:
            continue
        if name == "ChanVariable":
            variable, _, content = value.partition("=")
            message.forged = message.forged or variable in message.variables
            message.variables[variable] = unescape(content)
        elif is_status and "Data" in headers:
            _read_after_data(message, name, value)
        else:
            message.forged = message.forged or (name in ONCE and name in headers)
            headers.setdefault(name, value)
            if name in RAW_AND_LAST:
                break
    return message


def unescape(value: str) -> str:
    """Return a value that Asterisk has escaped like a C string as it was."""
    return ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), value) if "\\" in value else value


def _read_after_data(message: Message, name: str, value: str) -> None:
    """Read what stands behind a Status row's raw Data: the true lines are the last of their name."""
    if name == "Variable":
        variable, _, content = value.partition("=")
        message.asked[variable] = content
    elif name == "ActionID":
        message.headers[name] = value


def _lines(raw: bytes) -> list[str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return [_decoded(line) for line in raw.split(b"\n")]
    return [line.removesuffix("\r") for line in text.split("\n")]


def _decoded(line: bytes) -> str:
    """Return a line's text: UTF-8, or else Latin-1, in which any byte is a character."""
    line = line.removesuffix(b"\r")
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
