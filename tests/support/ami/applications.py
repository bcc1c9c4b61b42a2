"""The applications of the dialplan that concern one channel: they wait, set variables, jump and end.

Owns what each does and tells. Dial and Bridge are in `bridges`.
"""

import asyncio
import re
from typing import Final

from ami.asterisk import Asterisk
from ami.calls import Order, originate
from ami.channel import UP, Channel, Frame
from ami.dialplan import Position
from ami.registry import application
from ami.values import CALL

ANSWER_S: Final = 0.502
"""How long Answer waits for the far half of a Local channel."""

SOUNDS_S: Final = {"short-tone": 0.3}
"""How long recordings play; others do for an hour."""


@application("NoOp")
@application("Verbose")
@application("Log")
@application("Progress")
@application("Ringing")
async def nothing(_: Asterisk, __: Channel, ___: str) -> bool:
    return True


@application("Answer")
async def answer(asterisk: Asterisk, channel: Channel, _: str) -> bool:
    if channel.state == UP:
        return True
    asterisk.change_state(channel, UP)
    if channel.half is None:
        return True
    asterisk.change_state(channel.half, UP)
    channel.half.answered.set()
    channel.half.wake()
    return await channel.rest(asterisk.seconds(ANSWER_S))


@application("Wait")
async def wait(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    return await channel.rest(asterisk.seconds(float(data)))


@application("WaitExten")
async def wait_exten(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    await channel.rest(asterisk.seconds(float(data or 10)))
    return False


@application("Playback")
async def playback(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    await answer(asterisk, channel, "")
    goes_on = await channel.rest(asterisk.seconds(_sound_s(data)))
    asterisk.set_variable(channel, "PLAYBACKSTATUS", "SUCCESS")
    return goes_on


@application("BackGround")
async def background(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    goes_on = await channel.rest(asterisk.seconds(_sound_s(data)))
    asterisk.set_variable(channel, "BACKGROUNDSTATUS", "SUCCESS")
    return goes_on


@application("Read")
async def read(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    variable, *options = [*data.split(","), *[""] * 5]
    asterisk.set_variable(channel, "READSTATUS", "ERROR")
    goes_on = await channel.rest(asterisk.seconds(float(options[4] or 10)))
    asterisk.set_variable(channel, variable, "")
    asterisk.set_variable(channel, "READSTATUS", "TIMEOUT" if goes_on else "HANGUP")
    return goes_on


@application("Set")
async def set_variable(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    name, _, value = data.partition("=")
    call = CALL.fullmatch(name)
    if call is None:
        asterisk.set_variable(channel, name, value)
    elif call["function"] == "LOCAL" and channel.stack:
        asterisk.set_variable(channel, call["data"], value, shown=name)
    elif name == "CALLERID(name)":
        channel.caller_name = value
        asterisk.tell("NewCallerid", channel, ("CID-CallingPres", "0 (Presentation Allowed, Not Screened)"))
    elif name == "TIMEOUT(absolute)":
        asterisk.spawn(_time_out(asterisk, channel, float(value)))
    return True


@application("Goto")
async def goto(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    channel.position = _before(target(asterisk, channel, data))
    return True


@application("GotoIf")
async def goto_if(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    condition, _, places = data.partition("?")
    yes, _, no = places.partition(":")
    chosen = yes if holds(condition) else no
    return await goto(asterisk, channel, chosen) if chosen else True


@application("Gosub")
async def gosub(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    place, _, given = data.partition("(")
    there = target(asterisk, channel, place)
    if asterisk.dialplan.step(there) is None:
        return False
    channel.stack.insert(0, Frame(channel.position._replace(priority=channel.position.priority + 1)))
    channel.position = _before(there)
    if not asterisk.quirks.gosub_shows_priority_zero:
        channel.shown = channel.position
    values = given.removesuffix(")").split(",") if given else []
    for number, value in enumerate(values, 1):
        asterisk.set_variable(channel, f"ARG{number}", value, shown=f"LOCAL(ARG{number})")
    asterisk.set_variable(channel, "ARGC", str(len(values)), shown="LOCAL(ARGC)")
    return True


@application("Return")
async def back(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    if not channel.stack:
        return False
    frame = channel.stack.pop(0)
    channel.position = _before(frame.back)
    for name in reversed(frame.local):
        channel.forget(name)
        asterisk.tell_variable(channel, name, "")
    if not asterisk.quirks.return_keeps_variables:
        channel.forget("IVR_NAME")
    asterisk.set_variable(channel, "GOSUB_RETVAL", data)
    return True


@application("StackPop")
async def stack_pop(_: Asterisk, channel: Channel, __: str) -> bool:
    if channel.stack:
        for name in channel.stack.pop(0).local:
            channel.forget(name)
    return True


@application("Hangup")
async def hangup(_: Asterisk, channel: Channel, data: str) -> bool:
    channel.cause = int(data) if data.isdigit() else 16
    return False


@application("Originate")
async def originate_another(asterisk: Asterisk, _: Channel, data: str) -> bool:
    dial, kind, *rest = data.split(",")
    if kind == "exten":
        position = Position(rest[0], rest[1], int(rest[2]))
        asterisk.spawn(originate(asterisk, Order(dial=dial, position=position)))
    return True


def target(asterisk: Asterisk, channel: Channel, text: str) -> Position:
    """Return where `[[context,]exten,]priority` leads from here; a priority may be a label."""
    *before, priority = text.split(",")
    here = [channel.position.context, channel.position.exten]
    context, exten = [*here[: 2 - len(before)], *before]
    labelled = None if priority.isdigit() else asterisk.dialplan.labelled(context, exten, priority)
    return Position(context, exten, labelled or (int(priority) if priority.isdigit() else 0))


def holds(condition: str) -> bool:
    """Tell whether `$[…]` with = or != holds, or whether a plain text is neither empty nor 0."""
    text = condition.strip()
    if compared := re.fullmatch(r"\$\[\s*(.*?)\s*(!?=)\s*(.*?)\s*\]", text):
        same = compared[1].strip('"') == compared[3].strip('"')
        return same if compared[2] == "=" else not same
    return text.removeprefix("$[").removesuffix("]").strip() not in {"", "0"}


def _before(position: Position) -> Position:
    return position._replace(priority=position.priority - 1)


def _sound_s(data: str) -> float:
    return SOUNDS_S.get(data.partition(",")[0], 3600.0)


async def _time_out(asterisk: Asterisk, channel: Channel, seconds: float) -> None:
    await asyncio.sleep(asterisk.seconds(seconds))
    channel.ending = True
    channel.wake()
