"""The actions of AMI that answer with one message, and the table of all.

Owns what each needs, does and says. Logging in and out is the session's; lists are in `lists`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami import bridges, lists
from ami.asterisk import Asterisk
from ami.calls import Order, hang_up, originate, redirect, run_on
from ami.channel import Channel
from ami.dialplan import Position
from ami.events import Event, escaped
from ami.lists import ACTION_ID, Answer, cause, failure
from ami.request import Request
from ami.values import CALL, value


@dataclass(frozen=True, slots=True)
class Action:
    """What an action does, and the classes of which a user needs one."""

    run: Callable[[Asterisk, Request], Answer]
    classes: tuple[str, ...] = ()


def success(message: str) -> Answer:
    """Say that it is done."""
    return told(("Message", message))


def told(*headers: tuple[str, str]) -> Answer:
    """Answer with these headers."""
    yield [("Response", "Success"), ACTION_ID, *headers]


def ping(_: Asterisk, __: Request) -> Answer:
    return told(("Ping", "Pong"), ("Timestamp", f"{time.time():.6f}"))


def settings(asterisk: Asterisk, _: Request) -> Answer:
    mine = asterisk.settings
    return told(
        ("AMIversion", mine.ami_version),
        ("AsteriskVersion", mine.version),
        ("SystemName", mine.system_name),
        ("CoreMaxCalls", "0"),
        ("CoreMaxLoadAvg", "0.000000"),
        ("CoreRunUser", ""),
        ("CoreRunGroup", ""),
        ("CoreMaxFilehandles", "0"),
        ("CoreRealTimeEnabled", "No"),
        ("CoreCDRenabled", "Yes"),
        ("CoreHTTPenabled", "No"),
        ("SoundsSearchCustomDir", "No"),
    )


def core_status(asterisk: Asterisk, _: Request) -> Answer:
    started, reloaded = (datetime.fromtimestamp(at).astimezone() for at in (asterisk.started_at, asterisk.reloaded_at))
    newer = [("CoreProcessedCalls", str(asterisk.processed))] if int(asterisk.settings.version[:2]) >= 20 else []
    return told(
        ("CoreStartupDate", f"{started:%Y-%m-%d}"),
        ("CoreStartupTime", f"{started:%H:%M:%S}"),
        ("CoreReloadDate", f"{reloaded:%Y-%m-%d}"),
        ("CoreReloadTime", f"{reloaded:%H:%M:%S}"),
        ("CoreCurrentCalls", str(len(asterisk.channels))),
        *newer,
    )


def getvar(asterisk: Asterisk, request: Request) -> Answer:
    name, channel = request.get("Variable"), asterisk.find(request.get("Channel"))
    if request.get("Channel") and channel is None:
        return failure("No such channel")
    text = value(asterisk, channel, name) or ""
    return told(("Variable", name), ("Value", text if asterisk.quirks.raw_values else escaped(text)))


def setvar(asterisk: Asterisk, request: Request) -> Answer:
    name, channel = request.get("Variable"), asterisk.find(request.get("Channel"))
    if request.get("Channel") and channel is None:
        return failure("No such channel")
    call = CALL.fullmatch(name)
    if call is not None and call["function"] not in {"SHARED", "LOCAL"}:
        return failure("Variable not set")
    asterisk.set_variable(channel, name, request.get("Value"))
    return success("Variable Set")


def redirected(asterisk: Asterisk, request: Request) -> Answer:
    name, context, exten, priority = (request.get(key) for key in ("Channel", "Context", "Exten", "Priority"))
    for key, given in (("Channel", name), ("Priority", priority), ("Context", context), ("Exten", exten)):
        if not given:
            return failure(f"{key} not specified")
    channel = asterisk.find(name)
    number = int(priority) if priority.isdigit() else asterisk.dialplan.labelled(context, exten, priority)
    if channel is None:
        known = asterisk.quirks.unknown_channels_are_refused
        return failure(f"Channel does not exist: {name}") if known else success("Redirect successful")
    if number is None:
        return failure("Priority is invalid")
    return _redirect(asterisk, channel, Position(context, exten, number))


def hangup(asterisk: Asterisk, request: Request) -> Answer:
    name = request.get("Channel")
    if not name:
        return failure("No channel specified")
    if name.startswith("/") and name.endswith("/"):
        return lists.hang_up_all(asterisk, request)
    channel = asterisk.find(name)
    if channel is None:
        known = asterisk.quirks.unknown_channels_are_refused
        return failure("No such channel") if known else success("Channel Hungup")
    if channel.redirected and not asterisk.quirks.hangup_follows_redirect:
        return failure("Could not hangup channel")
    hang_up(asterisk, channel, cause(request) or (0 if asterisk.quirks.soft_hangup_says_16 else 16))
    return success("Channel Hungup")


def bridged(asterisk: Asterisk, request: Request) -> Answer:
    one, other = (asterisk.find(request.get(key)) for key in ("Channel1", "Channel2"))
    if one is None or other is None:
        return failure("Channel1 does not exist" if one is None else "Channel2 does not exist")
    bridges.join(asterisk, one, other)
    return success("Channels have been bridged")


def originated(asterisk: Asterisk, request: Request) -> Answer:
    asterisk.spawn(originate(asterisk, _order(request)))
    return success("Originate successfully queued")


def reload(asterisk: Asterisk, request: Request) -> Answer:
    module = request.get("Module")
    if module not in {"", "pbx_config", "manager"}:
        asterisk.say(_reloaded(module, status=2))
        return failure("No such module")
    for name, text in asterisk.dialplan.variables.items():
        asterisk.set_variable(None, name, text)
    asterisk.say(_reloaded(module or "All", status=0))
    return success("Module Reloaded")


def user_event(asterisk: Asterisk, request: Request) -> Answer:
    extra = [(name, text) for name, text in request.headers if name not in {"Action", "ActionID", "UserEvent"}]
    headers = ("UserEvent", request.get("UserEvent")), ("ActionID", request.get("ActionID"))
    asterisk.say(Event("UserEvent", "user", (*headers, *extra)))
    return success("Event Sent")


def _redirect(asterisk: Asterisk, channel: Channel, target: Position) -> Answer:
    quirks = asterisk.quirks
    if quirks.second_redirect_is_refused and (channel.redirected or channel.ending):
        return failure("Redirect failed, channel not up.")
    if not quirks.redirect_to_nowhere_succeeds and asterisk.dialplan.step(target) is None:
        return failure("Extension does not exist")
    if not channel.in_dialplan and not quirks.redirect_gives_a_dialplan:
        return failure("Redirect failed, channel not up.")
    if asterisk.faults.lose_redirects:
        asterisk.faults.lose_redirects -= 1
        return success("Redirect successful")
    redirect(asterisk, channel, target)
    if channel.running is None:
        run_on(asterisk, channel)
    return success("Redirect successful")


def _order(request: Request) -> Order:
    position = None
    if context := request.get("Context"):
        position = Position(context, request.get("Exten"), int(request.get("Priority")))
    pairs = [pair.partition("=") for given in request.all("Variable") for pair in given.split(",")]
    return Order(
        dial=request.get("Channel"),
        position=position,
        application=request.get("Application"),
        data=request.get("Data"),
        variables={name: text for name, _, text in pairs},
        timeout_s=float(request.get("Timeout") or 30_000) / 1_000,
        ids=(request.get("ChannelId"), request.get("OtherChannelId")),
        action_id=request.get("ActionID"),
    )


def _reloaded(module: str, *, status: int) -> Event:
    return Event("Reload", "system", (("Module", module), ("Status", str(status))))


TABLE: Final = {
    "ping": Action(ping),
    "coresettings": Action(settings, ("system", "reporting")),
    "corestatus": Action(core_status, ("system", "reporting")),
    "coreshowchannels": Action(lists.channels, ("system", "reporting")),
    "coreshowchannelmap": Action(lists.channel_map, ("call",)),
    "status": Action(lists.status, ("system", "call", "reporting")),
    "showdialplan": Action(lists.extensions, ("config", "reporting")),
    "getvar": Action(getvar, ("call", "reporting")),
    "setvar": Action(setvar, ("call",)),
    "redirect": Action(redirected, ("call",)),
    "hangup": Action(hangup, ("system", "call")),
    "bridge": Action(bridged, ("call",)),
    "originate": Action(originated, ("originate",)),
    "reload": Action(reload, ("config", "system")),
    "userevent": Action(user_event, ("user",)),
}
