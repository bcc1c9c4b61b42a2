"""Two channels together: Dial, the action Bridge, and how one leaves.

Owns bridges and what is told of them. A channel in a bridge rests until something wants it elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from ami.asterisk import Asterisk
from ami.calls import OUTGOING, destroy, local_pair, request_hangup, run_on, start, tell_local_bridge
from ami.channel import Channel
from ami.events import Event, told
from ami.registry import application

FOR_EVER_S: Final = 86_400.0
CLEARED: Final = (
    "DIALSTATUS", "DIALEDPEERNUMBER", "DIALEDPEERNAME", "ANSWEREDTIME", "ANSWEREDTIME_MS", "DIALEDTIME",
    "DIALEDTIME_MS", "RINGTIME", "RINGTIME_MS", "PROGRESSTIME", "PROGRESSTIME_MS",
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Bridge:
    """A bridge of two."""

    asterisk: Asterisk
    id: str = field(default_factory=lambda: str(uuid4()))
    members: list[Channel] = field(default_factory=list)

    def begin(self, channels: Sequence[Channel]) -> None:
        """Put channels in."""
        self._tell("BridgeCreate", None)
        for channel in channels:
            self.asterisk.publish(channel)
            channel.bridge = self
            self.members.append(channel)
            self._tell("BridgeEnter", channel)
        one, other = channels
        if not self.asterisk.quirks.optimisation_keeps_names:
            self.asterisk.rename(other, f"{other.name}<MASQ>")
        self.asterisk.set_variable(one, "BRIDGEPEER", other.name)
        self.asterisk.set_variable(other, "BRIDGEPEER", one.name)

    def leave(self, channel: Channel) -> None:
        """Take a channel out, and tell the other that it is alone."""
        if channel.bridge is not self:
            return
        channel.bridge = None
        self.members.remove(channel)
        if not self.asterisk.quirks.dial_shows_after_redirect:
            channel.application = ""
        self.asterisk.set_variable(channel, "BRIDGEPEER", "")
        self.asterisk.publish(channel)
        self._tell("BridgeLeave", channel)
        if not self.members:
            self._tell("BridgeDestroy", None)
        for other in self.members:
            other.wake()

    async def hold(self, channel: Channel) -> None:
        """Keep a channel in until it is wanted elsewhere, or is alone."""
        while len(self.members) == 2 and not channel.disturbed:
            await channel.rest(FOR_EVER_S)
        self.leave(channel)
        channel.cause = channel.cause or 16

    def _tell(self, name: str, channel: Channel | None) -> None:
        headers = (
            ("BridgeUniqueid", self.id),
            ("BridgeType", "basic"),
            ("BridgeTechnology", "simple_bridge"),
            ("BridgeCreator", "<unknown>"),
            ("BridgeName", "<unknown>"),
            ("BridgeNumChannels", str(len(self.members))),
            ("BridgeVideoSourceMode", "none"),
        )
        extra = told(channel, self.asterisk.channelvars) if channel else []
        self.asterisk.say(Event(name, "call", (*headers, *extra), channel.name if channel else ""))


@application("Dial")
async def dial(asterisk: Asterisk, channel: Channel, data: str) -> bool:
    """Call an agent and talk to it; goes on afterwards with option g, or if it was not reached."""
    where, seconds, options, *_ = [*data.split(","), "60", ""]
    for name in CLEARED:
        asterisk.set_variable(channel, name, "")
    leg = _leg(asterisk, channel, where)
    if not await _reached(asterisk, channel, leg, float(seconds or 60)):
        asterisk.set_variable(channel, "DIALSTATUS", "NOANSWER")
        request_hangup(asterisk, leg, 0)
        return True
    asterisk.set_variable(channel, "DIALSTATUS", "ANSWER")
    asterisk.set_variable(channel, "DIALEDPEERNAME", leg.name)
    asterisk.set_variable(channel, "DIALEDPEERNUMBER", where.removeprefix("Local/"))
    if asterisk.quirks.legs_keep_odd_positions:
        leg.position = leg.position._replace(exten="")
    bridge = Bridge(asterisk)
    bridge.begin([leg, channel])
    leg.running = asterisk.spawn(_stay(asterisk, bridge, leg))
    await bridge.hold(channel)
    asterisk.set_variable(channel, "DIALSTATUS", "ANSWER")
    return "g" in options and not channel.ending


def join(asterisk: Asterisk, one: Channel, other: Channel) -> None:
    """Take two channels out of their dialplans into a bridge, as the action Bridge does."""
    waiting: list[Channel] = []
    bridge = Bridge(asterisk)

    async def arrive(channel: Channel) -> None:
        waiting.append(channel)
        if len(waiting) == 2:
            bridge.begin([one, other])
            waiting[0].wake()
        while channel.bridge is None and not channel.disturbed:
            await channel.rest(FOR_EVER_S)
        await bridge.hold(channel)

    for channel in (one, other):
        channel.joining = arrive
        channel.wake()


def _leg(asterisk: Asterisk, caller: Channel, where: str) -> Channel:
    """Make the leg to the agent and let its far half run."""
    leg = local_pair(asterisk, where, linkedid=caller.linkedid)
    far = leg.half
    assert far is not None
    target, number = far.position, where.removeprefix("Local/")
    asterisk.set_variable(leg, "DIALEDPEERNUMBER", number)
    leg.application, leg.data = "AppDial", OUTGOING
    leg.caller_number = caller.position.exten
    leg.position = leg.position._replace(exten=caller.position.exten)
    asterisk.publish(leg)
    asterisk.tell("NewCallerid", leg, ("CID-CallingPres", "0 (Presentation Allowed, Not Screened)"))
    asterisk.set_variable(far, "DIALEDPEERNUMBER", number)
    far.connected_number = caller.position.exten
    asterisk.tell("NewConnectedLine", far)
    tell_local_bridge(asterisk, leg, exten=target.exten, context=target.context, optimised=not where.endswith("/n"))
    headers = (
        *told(caller, asterisk.channelvars),
        *told(leg, asterisk.channelvars, prefix="Dest"),
        ("DialString", number),
    )
    asterisk.say(Event("DialBegin", "call", headers, caller.name))
    start(asterisk, far)
    return leg


async def _reached(asterisk: Asterisk, caller: Channel, leg: Channel, seconds: float) -> bool:
    answering = asterisk.spawn(_wake_when_answered(leg, caller))
    await caller.rest(asterisk.seconds(seconds))
    answering.cancel()
    return leg.answered.is_set() and not caller.disturbed and not leg.ending


async def _wake_when_answered(leg: Channel, caller: Channel) -> None:
    await leg.answered.wait()
    caller.wake()


async def _stay(asterisk: Asterisk, bridge: Bridge, leg: Channel) -> None:
    """Be the agent's leg in the bridge."""
    await bridge.hold(leg)
    if leg.redirected:
        run_on(asterisk, leg)
        return
    destroy(asterisk, leg)
