"""The scripted FreeSWITCH itself: channels that run a dialplan, the API commands, and the events of both.

Everything here is as the recordings show it, quirks included: the list is written behind, transfers are answered with
+OK wherever they lead, nested extensions show in two variables only. `faults` are words for what goes wrong besides.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from esl.dialplan import Action, Dialplan

Listener = Callable[[dict[str, Any]], None]

NOBODY: Final = "-ERR No such channel!\n"
EMPTY: Final = '{"row_count": 0}\n'
CAUSES: Final = {"USER_BUSY", "MANAGER_REQUEST", "ALLOTTED_TIMEOUT", "SYSTEM_SHUTDOWN", "NO_ROUTE_DESTINATION"}
LONG: Final = frozenset({"sleep", "park", "playback", "play_and_get_digits", "bridge", "record", "ivr"})
"""Applications that hold the channel: for milliseconds of their data, or until something happens."""


class Channel:
    """One channel. `places` are the nested extensions, the innermost last; `moved` ends its application."""

    def __init__(self, uuid: str, name: str, *, direction: str = "outbound", created_us: int) -> None:
        self.uuid, self.name, self.direction, self.created_us = uuid, name, direction, created_us
        self.index, self.context, self.number = 1, "default", "far"
        self.state, self.call_state = "CS_INIT", "DOWN"
        self.rdnis = ""
        self.cause: str | None = None
        self.variables: dict[str, str] = {}
        self.places: list[tuple[str, str]] = []
        self.application = Action("", "")
        self.transfers = 0
        self.moved = asyncio.Event()
        self.caller = "0000000000"

    def headers(self) -> dict[str, str]:
        """Return what each event of the channel tells."""
        told = {
            "Channel-State": self.state,
            "Channel-Call-State": self.call_state,
            "Channel-Name": self.name,
            "Unique-ID": self.uuid,
            "Call-Direction": self.direction,
            "Channel-HIT-Dialplan": "true",
            "Channel-Call-UUID": self.uuid,
            "Answer-State": "hangup" if self.cause else "answered" if self.call_state == "ACTIVE" else "ringing",
            **({"Hangup-Cause": self.cause} if self.cause else {}),
            "Caller-Caller-ID-Number": self.caller,
            "Caller-Destination-Number": self.number,
            "Caller-Context": self.context,
            **({"Caller-RDNIS": self.rdnis} if self.rdnis else {}),
            "Caller-Profile-Index": str(self.index),
            "Caller-Channel-Created-Time": str(self.created_us),
        }
        return told | {f"variable_{name}": value for name, value in self.variables.items()}

    def row(self) -> dict[str, str]:
        """Return its row in `show channels as json`."""
        return {
            "uuid": self.uuid,
            "direction": self.direction,
            "created_epoch": str(self.created_us // 1_000_000),
            "name": self.name,
            "state": self.state,
            "dest": self.number,
            "application": self.application.application,
            "application_data": self.application.data,
            "dialplan": "XML",
            "context": self.context,
            "callstate": self.call_state,
            "initial_context": "default",
        }


class Switch:
    """The engine. `list_lag_s` is how far behind its list is written; its calls last `speed` times shorter."""

    def __init__(self, dialplan: Dialplan | None = None, *, list_lag_s: float = 0.2, speed: float = 1.0) -> None:
        self.dialplan = dialplan or Dialplan()
        self.list_lag_s, self.speed = list_lag_s, speed
        self.core = str(uuid4())
        self.channels: dict[str, Channel] = {}
        self.listeners: list[Listener] = []
        self.faults: set[str] = set()
        self.chosen: list[str] = []
        """The menus that callers choose in a menu."""
        self.said: list[str] = []
        """Each API command that was given."""
        self._listed: dict[str, dict[str, str]] = {}
        self._sequence = itertools.count(400)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # Calls

    def originate(
        self, number: str, context: str = "ivr", *, uuid: str | None = None, caller: str = "0000000000"
    ) -> str:
        """Make a call on the null endpoint, answered at once, and transfer it there; return its UUID."""
        made = str(uuid4())
        channel = self._channel(made, "null/far")
        channel.caller = caller
        if uuid:
            channel.uuid = uuid
            self.channels[uuid] = self.channels.pop(made)
            self.fire("CHANNEL_UUID", channel, {"Old-Unique-ID": made})
        self.fire("CHANNEL_CREATE", channel)
        channel.call_state = "ACTIVE"
        self._route(channel, number, context)
        self._begin(channel)
        return channel.uuid

    def loopback(self, number: str, context: str = "ivr") -> tuple[str, str]:
        """Make a call on loopback whose leg -a sleeps; return the UUIDs of legs -a and -b, which runs the script."""
        legs = []
        for leg, direction in (("a", "outbound"), ("b", "inbound")):
            channel = self._channel(str(uuid4()), f"loopback/{number}-{leg}", direction=direction)
            channel.context, channel.number = context, number
            self.fire("CHANNEL_CREATE", channel)
            channel.call_state = "ACTIVE"
            legs.append(channel)
        self._begin(legs[1])
        self._begin(legs[0], [Action("sleep", "600000")])
        return legs[0].uuid, legs[1].uuid

    def callee(self, context: str = "ivr") -> str:
        """Make the leg of an agent that a script has dialled: it has the caller's context and executes nothing."""
        channel = self._channel(str(uuid4()), "null/agent")
        channel.context, channel.number, channel.call_state = context, "agent", "ACTIVE"
        channel.state = "CS_EXCHANGE_MEDIA"
        self.fire("CHANNEL_CREATE", channel)
        self._write_list(channel.uuid)
        return channel.uuid

    def hang_up(self, uuid: str, cause: str = "NORMAL_CLEARING") -> None:
        """Hang a channel up, as its caller or its script does."""
        channel = self.channels[uuid]
        if channel.cause is None:
            channel.cause = cause
            self.fire("CHANNEL_HANGUP", channel)
            channel.moved.set()

    def bridge(self, one: str, other: str) -> None:
        """Do `uuid_bridge`: both leave their extensions."""
        for uuid, peer in ((one, other), (other, one)):
            channel = self.channels[uuid]
            self._tasks.pop(uuid).cancel()
            channel.index += 1
            channel.state = "CS_SOFT_EXECUTE"
            self.fire("CHANNEL_EXECUTE", channel, {"Application": "uuid_bridge", "Application-Data": peer})
            self._write_list(uuid)

    # Commands

    def api(self, command: str) -> str:
        """Carry a command out; return its answer."""
        self.said.append(command)
        verb, *arguments = command.split(" ")
        known: dict[str, Callable[..., str]] = {
            "show": self._show,
            "uuid_dump": self._dump,
            "uuid_exists": lambda uuid: "true" if uuid in self.channels else "false",
            "uuid_getvar": self._getvar,
            "uuid_setvar": self._setvar,
            "uuid_transfer": self._transfer,
            "uuid_kill": self._kill,
            "xml_locate": lambda *path: self.dialplan.xml(path[3]) if path[:3] == DIALPLAN else "can't find anything\n",
        }
        if verb not in known:
            return f"-ERR {verb} Command not found!\n"
        return known[verb](*arguments)

    def _show(self, *_: str) -> str:
        rows = list(self._listed.values())
        if "the database is away" in self.faults:
            return "-ERR Database error!\n"
        return json.dumps({"row_count": len(rows), "rows": rows}) if rows else EMPTY

    def _dump(self, uuid: str, *_: str) -> str:
        if (channel := self._alive(uuid)) is None:
            return NOBODY
        return json.dumps(self._event("CHANNEL_DATA", channel.headers()))

    def _getvar(self, uuid: str, name: str) -> str:
        if (channel := self._alive(uuid)) is None:
            return NOBODY
        inner = channel.places[-1] if channel.places else (channel.context, channel.number)
        special = dict(zip(("context", "destination_number"), inner, strict=True))
        return special.get(name) or channel.variables.get(name) or "_undef_"

    def _setvar(self, uuid: str, name: str = "", value: str = "") -> str:
        if (channel := self._alive(uuid)) is None:
            return NOBODY
        channel.variables[name] = value
        if not value:
            del channel.variables[name]
        return "+OK\n"

    def _transfer(self, uuid: str = "", number: str = "", dialplan: str = "", context: str = "") -> str:
        if not context:
            return "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
        channel = self._alive(uuid)
        if channel is None or channel.cause:
            return NOBODY
        if "transfers are lost" not in self.faults:
            self._route(channel, number, context if dialplan == "XML" else "")
            channel.transfers += 1
            channel.moved.set()
            if uuid not in self._tasks:  # out of a bridge
                self._begin(channel)
        return "+OK\n"

    def _kill(self, uuid: str = "", cause: str = "NORMAL_CLEARING") -> str:
        channel = self._alive(uuid)
        if channel is None or channel.cause:
            return NOBODY
        if "kills are lost" not in self.faults:
            self.hang_up(uuid, cause if cause in CAUSES else "NORMAL_CLEARING")
        return "+OK\n"

    def _alive(self, uuid: str) -> Channel | None:
        return self.channels.get(uuid)

    # What runs

    def _channel(self, uuid: str, name: str, *, direction: str = "outbound") -> Channel:
        channel = self.channels[uuid] = Channel(uuid, name, direction=direction, created_us=time.time_ns() // 1000)
        return channel

    def _route(self, channel: Channel, number: str, context: str) -> None:
        channel.index += 1
        channel.rdnis, channel.number, channel.context = channel.number, number, context

    def _begin(self, channel: Channel, actions: list[Action] | None = None) -> None:
        self._tasks[channel.uuid] = asyncio.create_task(self._run(channel, actions))

    async def _run(self, channel: Channel, actions: list[Action] | None) -> None:
        """Run extensions until the channel hangs up; then tell of it and forget it."""
        while channel.cause is None:
            channel.moved.clear()
            found = actions or self.dialplan.find(channel.context, channel.number)
            actions = None
            channel.state = "CS_ROUTING" if found is None else "CS_EXECUTE"
            if channel.transfers and "transfers end in CS_RESET" in self.faults:
                channel.state = "CS_RESET"
            self._write_list(channel.uuid)
            if channel.state == "CS_RESET":
                await channel.moved.wait()
            elif found is None:
                self.hang_up(channel.uuid, "NO_ROUTE_DESTINATION")
            elif not await self._execute(channel, found):
                continue
            elif channel.cause is None:
                self.hang_up(channel.uuid)
        if "channels are never destroyed" in self.faults:
            return
        channel.state, channel.call_state = "CS_REPORTING", "HANGUP"
        self.fire("CHANNEL_HANGUP_COMPLETE", channel)
        del self.channels[channel.uuid]
        del self._tasks[channel.uuid]
        self._write_list(channel.uuid)

    async def _execute(self, channel: Channel, actions: Any) -> bool:
        """Execute applications; False as soon as the channel was moved or hung up."""
        for action in actions:
            if not await self._apply(channel, action):
                return False
        return True

    async def _apply(self, channel: Channel, action: Action) -> bool:
        told = {"Application": action.application, **({"Application-Data": action.data} if action.data else {})}
        if action.application.startswith("no_such"):
            self.hang_up(channel.uuid, "DESTINATION_OUT_OF_ORDER")
            return False
        channel.application = action
        channel.variables |= {"current_application": action.application, "current_application_data": action.data}
        self.fire("CHANNEL_EXECUTE", channel, told)
        self._write_list(channel.uuid)
        await self._do(channel, action)
        self.fire("CHANNEL_EXECUTE_COMPLETE", channel, told)
        return not channel.moved.is_set()

    async def _do(self, channel: Channel, action: Action) -> None:
        application, data = action
        if application == "set":
            name, _, value = data.partition("=")
            channel.variables[name] = value
        elif application == "hangup":
            self.hang_up(channel.uuid, data or "NORMAL_CLEARING")
        elif application == "transfer":
            number, _, context = data.split(" ")
            self._route(channel, number, context)
            channel.moved.set()
        elif application == "execute_extension":
            await self._nested(channel, data)
        elif application == "lua":
            await self._lua(channel, data)
        elif application == "ivr":
            await self._menus(channel, data)
        elif application in LONG:
            await self._hold(channel, float(data) / 1000 if data.isdigit() else 600.0)

    async def _nested(self, channel: Channel, data: str) -> None:
        number, _, context = data.split(" ")
        found = self.dialplan.find(context, number)
        if found is None:
            return
        channel.places.append((context, number))
        await self._execute(channel, found)
        channel.places.pop()

    async def _lua(self, channel: Channel, data: str) -> None:
        """Do what config/scripts/menu.lua does; other scripts just wait."""
        if data.startswith("menu.lua"):
            channel.variables["ivr_name"] = " ".join(["Lua menu", *data.split()[1:]])
            await self._hold(channel, 0.4)
            if not channel.moved.is_set():
                await self._apply(channel, Action("execute_extension", "player XML ivr-player"))
        if not channel.moved.is_set():
            await self._hold(channel, 0.4)

    async def _menus(self, channel: Channel, data: str) -> None:
        """Enter the menu, and go through the chosen ones, as a caller does."""
        outer, inner = data, self.chosen
        self._menu(channel, "enter", outer)
        await self._hold(channel, 0.1 if inner else 600.0)
        for menu in inner:
            if channel.moved.is_set():
                break
            self._menu(channel, "exit", outer)
            self._menu(channel, "enter", menu)
            await self._hold(channel, 0.1)
            self._menu(channel, "exit", menu)
            self._menu(channel, "enter", outer)
        if inner and not channel.moved.is_set():
            await self._hold(channel, 600.0)
        self._menu(channel, "exit", outer)

    def _menu(self, channel: Channel, what: str, name: str) -> None:
        self.fire("CUSTOM", channel, {"Event-Subclass": f"menu::{what}", "Menu-Name": name})

    async def _hold(self, channel: Channel, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds / self.speed):
                await channel.moved.wait()

    def _write_list(self, uuid: str) -> None:
        """Bring a channel's row up to date, late."""
        asyncio.get_running_loop().call_later(self.list_lag_s, self._written, uuid)

    def _written(self, uuid: str) -> None:
        if channel := self.channels.get(uuid):
            self._listed[uuid] = channel.row()
        elif "rows stay" not in self.faults:
            self._listed.pop(uuid, None)

    # Events and life

    def fire(self, name: str, channel: Channel | None = None, told: dict[str, str] | None = None) -> None:
        """Send an event to each listener."""
        if name in self.faults:  # the engine was overloaded just then
            return
        event = self._event(name, {**(channel.headers() if channel else {}), **(told or {})})
        for listener in tuple(self.listeners):
            listener(event)

    def _event(self, name: str, told: dict[str, str]) -> dict[str, Any]:
        return {
            "Event-Name": name,
            "Core-UUID": self.core,
            "FreeSWITCH-Switchname": "ivr-node-1",
            "Event-Date-Timestamp": str(time.time_ns() // 1000),
            "Event-Sequence": str(next(self._sequence)),
            **told,
        }

    def heartbeat(self) -> None:
        """Send a HEARTBEAT."""
        self.fire("HEARTBEAT", told={"Event-Info": "System Ready", "Uptime-msec": "10386"})

    def restart(self) -> None:
        """Begin another life: nothing runs, another Core-UUID, events counted anew."""
        self.end()
        self.core, self._sequence = str(uuid4()), itertools.count(1)

    def end(self) -> None:
        """End whatever runs, without a word."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self.channels.clear()
        self._listed.clear()


DIALPLAN: Final = ("dialplan", "context", "name")
