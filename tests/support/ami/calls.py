"""The life of a call: it comes in or is originated, runs its dialplan, is redirected, and ends.

Owns the order in which these things are told. A channel in the dialplan has a task that runs it; whoever wants
something of it sets a flag and wakes it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ami import registry
from ami.asterisk import Asterisk
from ami.channel import CAUSES, DOWN, RING, Channel, Join
from ami.dialplan import Position
from ami.events import Event, told
from ami.values import substituted

OUTGOING: Final = "(Outgoing Line)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an Originate asks for: a Local channel by its dial string, and a position or an application for it."""

    dial: str
    position: Position | None = None
    application: str = ""
    data: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0
    ids: tuple[str, str] = ("", "")
    action_id: str = ""


def incoming(asterisk: Asterisk, context: str, exten: str, *, number: str = "", name: str = "") -> Channel:
    """Let a caller in from outside; the call runs the dialplan from there."""
    own, position = f"PJSIP/trunk-{asterisk.number():08x}", Position(context, exten, 1)
    channel = asterisk.channel(own, position, state=DOWN, caller=(number, name))
    asterisk.change_state(channel, RING)
    start(asterisk, channel)
    return channel


def local_pair(asterisk: Asterisk, dial: str, *, linkedid: str = "", ids: tuple[str, str] = ("", "")) -> Channel:
    """Make the two halves of a Local channel; return the first."""
    target = dial.removeprefix("Local/").removesuffix("/n")
    exten, _, context = target.partition("@")
    position = Position(context, exten, 1)
    name = f"Local/{target}-{asterisk.number():08x}"
    seen = position if asterisk.quirks.half_one_looks_like_a_script else Position()
    one = asterisk.channel(f"{name};1", seen, state=DOWN, linkedid=linkedid, uniqueid=ids[0])
    two = asterisk.channel(f"{name};2", position, state=RING, linkedid=one.linkedid, uniqueid=ids[1])
    one.half, two.half = two, one
    return one


def tell_local_bridge(asterisk: Asterisk, one: Channel, *, exten: str, context: str, optimised: bool) -> None:
    """Tell that two halves belong together."""
    if (two := one.half) is None:
        return
    headers = (
        *told(one, asterisk.channelvars, prefix="LocalOne"),
        *told(two, asterisk.channelvars, prefix="LocalTwo"),
        ("Context", context),
        ("Exten", exten),
        ("LocalOptimization", "Yes" if optimised else "No"),
    )
    asterisk.say(Event("LocalBridge", "call", headers, one.name))


async def originate(asterisk: Asterisk, order: Order) -> None:
    """Carry an Originate out: dial, wait for the answer, then run what was asked for."""
    one = local_pair(asterisk, order.dial, ids=order.ids)
    two = one.half
    assert two is not None
    one.application, one.data = "AppDial2", OUTGOING
    asterisk.publish(one)
    for name, value in reversed(list(order.variables.items())):
        asterisk.set_variable(one, name, value)
    for name, value in order.variables.items():
        asterisk.set_variable(two, name, value)
    target = two.position
    if not any(asterisk.dialplan.extensions(target.context, target.exten)):
        one.ending = True
        destroy(asterisk, two)
        destroy(asterisk, one)
        _tell_originated(asterisk, order, None, reason=0)
        return
    tell_local_bridge(
        asterisk, one, exten=target.exten, context=target.context, optimised=not order.dial.endswith("/n")
    )
    _tell_dial(asterisk, "DialBegin", one, ("DialString", order.dial.removeprefix("Local/")))
    start(asterisk, two)
    reached = await _answered(one, asterisk.seconds(order.timeout_s))
    if one.redirected:
        _tell_originated(asterisk, order, None, reason=0)
        run_on(asterisk, one)
    elif not reached:
        _fail(asterisk, order, one)
    else:
        _tell_dial(asterisk, "DialEnd", one, ("DialStatus", "ANSWER"))
        _tell_originated(asterisk, order, one, reason=4)
        _begin(asterisk, order, one)


def start(asterisk: Asterisk, channel: Channel) -> None:
    """Let a channel run the dialplan from its position."""
    channel.in_dialplan = True
    channel.told_of = False
    channel.running = asterisk.spawn(_run(asterisk, channel))


def run_on(asterisk: Asterisk, channel: Channel) -> None:
    """Let a channel without a dialplan run the one it was redirected to.

    For a moment another channel stands in for it, of which no event tells; it takes an id.
    """
    asterisk.identify()
    channel.redirected = False
    channel.in_dialplan = True
    channel.running = asterisk.spawn(_run(asterisk, channel))


def redirect(asterisk: Asterisk, channel: Channel, target: Position) -> None:
    """Send a channel elsewhere; it goes when what it does has stopped."""
    if not asterisk.quirks.stack_survives_redirect:
        channel.stack.clear()
    channel.position = target
    channel.redirected = True
    channel.wake()


def hang_up(asterisk: Asterisk, channel: Channel, cause: int) -> None:
    """Ask a channel to end, as the action Hangup does."""
    channel.cause = cause or channel.cause
    _end(asterisk, channel)


def request_hangup(asterisk: Asterisk, channel: Channel, cause: int) -> None:
    """Let the far end of a channel hang up."""
    if channel.dead:
        return
    asterisk.tell("HangupRequest", channel, ("Cause", str(cause)))
    if not channel.ending:
        channel.cause = cause
        _end(asterisk, channel)


def destroy(asterisk: Asterisk, channel: Channel) -> None:
    """Take a channel away and tell its end."""
    if channel.dead:
        return
    channel.dead = True
    asterisk.publish(channel)
    asterisk.remove(channel)
    if channel.half is not None:
        request_hangup(asterisk, channel.half, channel.cause)
    if not asterisk.faults.untold_hangups:
        text = CAUSES.get(channel.cause, "Unknown")
        asterisk.tell("Hangup", channel, ("Cause", str(channel.cause)), ("Cause-txt", text))


def _end(asterisk: Asterisk, channel: Channel) -> None:
    channel.ending = True
    channel.wake()
    if channel.running is None:
        destroy(asterisk, channel)


def _begin(asterisk: Asterisk, order: Order, one: Channel) -> None:
    """Run what an Originate was for."""
    if order.position:
        one.position = order.position
        start(asterisk, one)
    else:
        one.application, one.data = order.application, order.data
        one.running = asterisk.spawn(_hold(asterisk, one, order.data))


async def _hold(asterisk: Asterisk, channel: Channel, data: str) -> None:
    """Run a single waiting application outside of the dialplan."""
    await channel.rest(asterisk.seconds(float(data or 0)))
    if channel.redirected:
        channel.created_s = asyncio.get_running_loop().time()
        run_on(asterisk, channel)
    else:
        destroy(asterisk, channel)


async def _answered(one: Channel, within_s: float) -> bool:
    """Wait until the other half has answered; False if it did not, or something else came."""
    one.running = asyncio.current_task()
    await one.rest(within_s)
    one.running = None
    return one.answered.is_set() and not one.disturbed


def _fail(asterisk: Asterisk, order: Order, one: Channel) -> None:
    """End an Originate that nobody answered."""
    silent = not one.ending
    if silent:
        one.cause = 19
    _tell_dial(asterisk, "DialEnd", one, ("DialStatus", "NOANSWER"))
    _tell_originated(asterisk, order, None, reason=3 if silent else 0)
    one.ending = True
    destroy(asterisk, one)


def _tell_dial(asterisk: Asterisk, name: str, one: Channel, extra: tuple[str, str]) -> None:
    headers = (*told(one, asterisk.channelvars, prefix="Dest"), extra)
    asterisk.say(Event(name, "call", headers, one.name))


def _tell_originated(asterisk: Asterisk, order: Order, channel: Channel | None, *, reason: int) -> None:
    what = (
        (("Context", order.position.context), ("Exten", order.position.exten))
        if order.position
        else (("Application", order.application), ("Data", order.data))
    )
    headers = (
        ("ActionID", order.action_id),
        ("Response", "Success" if channel else "Failure"),
        ("Channel", channel.name if channel else order.dial),
        *what,
        ("Reason", str(reason)),
        ("Uniqueid", channel.uniqueid if channel else "<unknown>"),
        ("CallerIDNum", "<unknown>"),
        ("CallerIDName", "<unknown>"),
    )
    asterisk.say(Event("OriginateResponse", "call", headers, channel.name if channel else ""))


async def _run(asterisk: Asterisk, channel: Channel) -> None:
    """Run the dialplan until nothing is left to do, then `h`, then the end."""
    await asyncio.sleep(0)
    while await _step(asterisk, channel):
        pass
    cause = 16 if asterisk.quirks.soft_hangup_says_16 else channel.cause
    channel.ending = True
    asterisk.tell("SoftHangupRequest", channel, ("Cause", str(cause)))
    if asterisk.dialplan.exists(channel.position.context, "h"):
        channel.position = Position(channel.position.context, "h", 1)
        while await _one(asterisk, channel):
            channel.position = channel.position._replace(priority=channel.position.priority + 1)
    destroy(asterisk, channel)


async def _step(asterisk: Asterisk, channel: Channel) -> bool:
    """Run one step and go to the next; False when it was the last."""
    asking = asterisk.dialplan.step(channel.position)
    if asking is None:
        return _invalid(asterisk, channel)
    goes_on = await _one(asterisk, channel)
    if channel.joining is not None and not channel.ending:
        goes_on = await _joined(asterisk, channel, channel.joining)
    if channel.redirected:
        channel.redirected = False
        return True
    if not goes_on or channel.ending:
        return False
    channel.position = channel.position._replace(priority=channel.position.priority + 1)
    return True


async def _joined(asterisk: Asterisk, channel: Channel, join: Join) -> bool:
    """Be in a bridge, outside of the dialplan; its place is kept one step further on."""
    channel.joining = None
    if asterisk.quirks.legs_keep_odd_positions:
        channel.position = channel.position._replace(priority=channel.position.priority + 1)
    channel.application = channel.data = ""
    asterisk.publish(channel)
    await join(channel)
    if asterisk.quirks.legs_keep_odd_positions and not channel.redirected:
        channel.position = channel.position._replace(priority=channel.position.priority - 1)
    return not channel.ending


async def _one(asterisk: Asterisk, channel: Channel) -> bool:
    """Run what stands at the position; False if nothing does, or if it ends the call."""
    step = asterisk.dialplan.step(channel.position)
    application = registry.find(step.application) if step else None
    if step is None or application is None:
        return False
    channel.application, channel.data = application.name, substituted(asterisk, channel, step.data)
    asterisk.publish(channel)
    return await application.run(asterisk, channel, channel.data)


def _invalid(asterisk: Asterisk, channel: Channel) -> bool:
    """Go to the context's `i` if the extension is not there at all; False if the call is over."""
    context, exten, _ = channel.position
    if asterisk.dialplan.exists(context, exten) or not asterisk.dialplan.exists(context, "i"):
        return False
    asterisk.set_variable(channel, "INVALID_EXTEN", exten)
    channel.position = Position(context, "i", 1)
    return True
