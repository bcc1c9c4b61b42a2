"""Messages as they go over the wire: headers to bytes, what is escaped, and what tells a channel.

Owns the form only. A value is text; bytes that are not UTF-8 are in it as surrogates and leave as they came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ami.channel import STATES, Channel

Headers = Sequence[tuple[str, str]]

_ESCAPES: Final = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", "'": "\\'", '"': '\\"', "?": "\\?",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `privilege` is its class: call, dialplan, system. `channel` is the name that filters look at."""

    name: str
    privilege: str
    headers: tuple[tuple[str, str], ...]
    channel: str = ""


def escaped(value: str) -> str:
    """Return a value as Asterisk escapes it, like a string of C."""
    return value.translate(_ESCAPES)


def message(headers: Iterable[tuple[str, str]], *, end: str = "\r\n") -> bytes:
    """Return a message; `end` is the empty line behind it."""
    text = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (text + end).encode(errors="surrogateescape")


def told(channel: Channel, variables: Iterable[str], *, prefix: str = "") -> list[tuple[str, str]]:
    """Return the headers that tell a channel, with the variables of the setting channelvars."""
    context, exten, priority = channel.shown
    headers = [
        ("Channel", channel.name),
        ("ChannelState", str(channel.state)),
        ("ChannelStateDesc", STATES[channel.state]),
        ("CallerIDNum", channel.caller_number or "<unknown>"),
        ("CallerIDName", escaped(channel.caller_name) or "<unknown>"),
        ("ConnectedLineNum", channel.connected_number or "<unknown>"),
        ("ConnectedLineName", escaped(channel.connected_name) or "<unknown>"),
        ("Language", "en"),
        ("AccountCode", ""),
        ("Context", context),
        ("Exten", exten),
        ("Priority", str(priority)),
        ("Uniqueid", channel.uniqueid),
        ("Linkedid", channel.linkedid),
        *(("ChanVariable", f"{name}={escaped(channel.get(name) or '')}") for name in variables),
    ]
    return [(prefix + name, value) for name, value in headers] if prefix else headers
