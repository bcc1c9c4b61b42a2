"""What `${…}` means: variables and the functions that scripts and managers ask for.

Owns substitution and the table of functions; changes nothing.
"""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from ami.channel import STATES, Channel

if TYPE_CHECKING:
    from ami.asterisk import Asterisk

CALL: Final = re.compile(r"(?P<function>\w+)\((?P<data>.*)\)", re.DOTALL)
_INNERMOST: Final = re.compile(r"\$\{([^${}]*)\}")


def substituted(asterisk: "Asterisk", channel: Channel | None, text: str) -> str:
    """Return the text with each `${…}` replaced, the inner ones first."""
    hidden: list[str] = []

    def one(match: re.Match[str]) -> str:
        hidden.append(value(asterisk, channel, _shown(match[1], hidden)) or "")
        return f"\x00{len(hidden) - 1}\x00"  # a value is not looked into again

    while _INNERMOST.search(text):
        text = _INNERMOST.sub(one, text)
    return _shown(text, hidden)


def value(asterisk: "Asterisk", channel: Channel | None, name: str) -> str | None:
    """Return the value of a variable or function; None of an unset variable, "" of an unknown function."""
    call = CALL.fullmatch(name)
    if call is not None:
        function = FUNCTIONS.get(call["function"])
        return function(asterisk, channel, call["data"]) if function else ""
    if name in asterisk.constants:
        return asterisk.constants[name]
    if name == "EPOCH":
        return str(int(time.time()))
    if channel is None:
        return asterisk.variables.get(name)
    known = {
        "CONTEXT": channel.position.context,
        "EXTEN": channel.position.exten,
        "PRIORITY": str(channel.position.priority),
        "CHANNEL": channel.name,
        "UNIQUEID": channel.uniqueid,
        "HANGUPCAUSE": str(channel.cause),
    }
    return known.get(name) or channel.get(name) or (asterisk.variables.get(name) if channel.get(name) is None else "")


def _shown(text: str, hidden: list[str]) -> str:
    return re.sub("\x00(\\d+)\x00", lambda match: hidden[int(match[1])], text)


def _stack_peek(_: "Asterisk", channel: Channel | None, data: str) -> str:
    depth, which, *_rest = [*data.split(","), ""]
    if channel is None or int(depth) < 1 or int(depth) > len(channel.stack):
        return ""
    context, exten, priority = channel.stack[int(depth) - 1].back
    parts = {"c": context, "e": exten, "p": str(priority - 1), "l": f"{context},{exten},{priority - 1}"}
    return parts.get(which, "")


def _dialplan_exists(asterisk: "Asterisk", _: Channel | None, data: str) -> str:
    context, exten, priority = [*data.split(","), "", "1"][:3]
    if not asterisk.quirks.existence_needs_its_priority:
        return str(int(any(asterisk.dialplan.extensions(context, exten))))
    if not priority.isdigit():
        return str(int(asterisk.dialplan.labelled(context, exten, priority) is not None))
    return str(int(asterisk.dialplan.exists(context, exten, int(priority))))


def _channel(_: "Asterisk", channel: Channel | None, data: str) -> str:
    if channel is None:
        return ""
    return {"state": STATES[channel.state], "linkedid": channel.linkedid, "name": channel.name}.get(data, "")


def _caller(_: "Asterisk", channel: Channel | None, data: str) -> str:
    if channel is None:
        return ""
    return {"num": channel.caller_number, "name": channel.caller_name}.get(data, "")


def _decoded(_: "Asterisk", __: Channel | None, data: str) -> str:
    return unquote_to_bytes(data).decode(errors="surrogateescape")


def _local(_: "Asterisk", channel: Channel | None, data: str) -> str:
    return (channel.get(data) or "") if channel else ""


FUNCTIONS: Final[dict[str, Callable[["Asterisk", Channel | None, str], str]]] = {
    "STACK_PEEK": _stack_peek,
    "DIALPLAN_EXISTS": _dialplan_exists,
    "CHANNEL": _channel,
    "CALLERID": _caller,
    "URIDECODE": _decoded,
    "LOCAL": _local,
}
