"""The actions that answer with a list: channels, their status, extensions.

Owns rows and their order. Each function yields the messages of an answer; the session adds the ActionID where the mark
`ACTION_ID` stands.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ami.asterisk import Asterisk
from ami.calls import hang_up
from ami.channel import Channel
from ami.dialplan import Step
from ami.events import Headers, escaped, told
from ami.request import Request
from ami.values import value

ACTION_ID: Final = ("ActionID", "")

Answer = Iterator[Headers]


def failure(message: str) -> Answer:
    """Refuse."""
    yield [("Response", "Error"), ACTION_ID, ("Message", message)]


def listed(message: str, rows: Sequence[Headers], complete: str, *counts: tuple[str, str]) -> Answer:
    """Yield the beginning, the rows and the end of a list."""
    yield [("Response", "Success"), ACTION_ID, ("EventList", "start"), ("Message", message)]
    yield from rows
    extra = [(name, text.replace("*", str(len(rows)))) for name, text in counts]
    yield [("Event", complete), ACTION_ID, ("EventList", "Complete"), ("ListItems", str(len(rows))), *extra]


def channels(asterisk: Asterisk, _: Request) -> Answer:
    """CoreShowChannels."""
    rows = [_row(asterisk, channel) for channel in asterisk.channels.values()]
    return listed("Channels will follow", rows, "CoreShowChannelsComplete")


def channel_map(asterisk: Asterisk, request: Request) -> Answer:
    """CoreShowChannelMap: of whom a channel is bridged with."""
    channel = asterisk.find(request.get("Channel"))
    bridge = channel.bridge if channel else None
    rows: list[Headers] = [
        [("Event", "CoreShowChannelMap"), ACTION_ID, *told(other, ())]
        for other in (bridge.members if bridge else [])
        if other is not channel
    ]
    return listed("Channel map will follow", rows, "CoreShowChannelMapComplete")


def status(asterisk: Asterisk, request: Request) -> Answer:
    """Status, of all channels or of one, with variables or all of them."""
    found: Iterable[Channel | None] = asterisk.channels.values()
    if name := request.get("Channel"):
        found = [asterisk.find(name)]
    if None in found:
        return failure("No such channel")
    names = _names(request.get("Variables"))
    every = request.get("AllVariables") == "true"
    rows = [_status(asterisk, channel, names, every=every) for channel in found if channel]
    return listed("Channel status will follow", rows, "StatusComplete", ("Items", "*"))


def hang_up_all(asterisk: Asterisk, request: Request) -> Answer:
    """Hangup by a regular expression between slashes."""
    pattern = re.compile(request.get("Channel")[1:-1])
    found = [channel for channel in asterisk.channels.values() if pattern.search(channel.name) and not channel.ending]
    rows: list[Headers] = [[("Event", "ChannelHungup"), ("Channel", one.name), ACTION_ID] for one in found]
    for channel in found:
        hang_up(asterisk, channel, cause(request))
    return listed("Channels hung up will follow", rows, "ChannelsHungupListComplete")


def extensions(asterisk: Asterisk, request: Request) -> Answer:
    """ShowDialPlan of a context, or of an extension in it."""
    context, exten = request.get("Context"), request.get("Extension")
    if context not in asterisk.dialplan.contexts:
        return failure(f"Did not find context {context}")
    if exten:
        matching = list(asterisk.dialplan.extensions(context, exten))[:1]
        if not matching:
            return failure(f"Did not find extension {exten}@{context}")
    else:
        matching = [(context, name, steps) for name, steps in asterisk.dialplan.contexts[context].named()]
    rows = [
        _step(there, name, priority, step)
        for there, name, steps in matching
        for priority, step in sorted(steps.items())
    ]
    priorities = len(rows)
    if not exten:
        rows += [_include(context, other) for other in asterisk.dialplan.contexts[context].includes]
    counts = ("ListExtensions", str(len(matching))), ("ListPriorities", str(priorities))
    contexts = 2 if exten else 1
    return listed("DialPlan list will follow", rows, "ShowDialPlanComplete", *counts, ("ListContexts", str(contexts)))


def cause(request: Request) -> int:
    """Return the cause a Hangup names; 0 for none and for one that is no cause."""
    given = request.get("Cause")
    return int(given) if given.isdigit() and int(given) < 128 else 0


def _names(given: str) -> list[str]:
    """Split variables at the commas that are in no brackets."""
    return re.findall(r"[^,(]+(?:\([^)]*\))?", given)


def _row(asterisk: Asterisk, channel: Channel) -> Headers:
    seconds = int(asyncio.get_running_loop().time() - channel.created_s)
    return [
        ("Event", "CoreShowChannel"),
        ACTION_ID,
        *told(channel, asterisk.channelvars),
        ("Application", channel.application),
        ("ApplicationData", channel.data),
        ("Duration", f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"),
        ("BridgeId", channel.bridge.id if channel.bridge else ""),
    ]


def _status(asterisk: Asterisk, channel: Channel, names: list[str], *, every: bool) -> Headers:
    variables = [("Variable", f"{name}={_value(asterisk, channel, name)}") for name in names]
    if every:
        variables = [("Variable", f"{name}={text}") for name, text in channel.variables]
    return [
        ("Event", "Status"),
        ("Privilege", "Call"),
        *told(channel, asterisk.channelvars),
        ("Type", channel.name.partition("/")[0]),
        ("DNID", ""),
        ("EffectiveConnectedLineNum", channel.connected_number or "<unknown>"),
        ("EffectiveConnectedLineName", channel.connected_name or "<unknown>"),
        ("TimeToHangup", "0"),
        ("BridgeID", channel.bridge.id if channel.bridge else ""),
        ("Application", channel.application or "(null)"),
        ("Data", channel.data if channel.application else "(null)"),
        ("Nativeformats", "(slin)"),
        ("Readformat", "slin"),
        ("Readtrans", ""),
        ("Writeformat", "slin"),
        ("Writetrans", ""),
        ("Callgroup", "0"),
        ("Pickupgroup", "0"),
        ("Seconds", str(int(asyncio.get_running_loop().time() - channel.created_s))),
        *variables,
        ACTION_ID,
    ]


def _value(asterisk: Asterisk, channel: Channel, name: str) -> str:
    if "(" in name and not asterisk.quirks.status_takes_functions:
        return "(null)"
    known = value(asterisk, channel, name)
    text = "(null)" if known is None else known
    return text if asterisk.quirks.raw_values else escaped(text)


def _step(context: str, exten: str, priority: int, step: Step) -> Headers:
    label = [("ExtensionLabel", step.label)] if step.label else []
    return [
        ("Event", "ListDialplan"),
        ACTION_ID,
        ("Context", context),
        ("Extension", exten),
        *label,
        ("Priority", str(priority)),
        ("Application", step.application),
        ("AppData", step.data),
        ("Registrar", "pbx_config"),
    ]


def _include(context: str, other: str) -> Headers:
    return [
        ("Event", "ListDialplan"),
        ACTION_ID,
        ("Context", context),
        ("IncludeContext", other),
        ("Registrar", "pbx_config"),
    ]
