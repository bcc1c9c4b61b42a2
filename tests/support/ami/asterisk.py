"""One Asterisk: its channels, its dialplan, and who listens to its events.

Owns identity (session, names, ids), the index of channels and what is told of them. What calls do is in `calls`,
`applications` and `bridges`; what managers ask for is in `actions`.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ami.channel import Channel
from ami.dialplan import Dialplan, Position
from ami.events import Event, escaped, told
from ami.quirks import Faults, Quirks
from ami.users import EVERYBODY, User

Listener = Callable[[Event], None]

NOBODY: Final = (("Channel", "none"), ("Uniqueid", "none"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration files say, and how fast the dialplan runs.

    `pace` is how long a second of the dialplan lasts (s). `boot_s` is how long FullyBooted takes.
    """

    system_name: str = "ivr-node-1"
    entity_id: str = "00:00:5e:00:53:01"
    version: str = "22.10.0"
    ami_version: str = "11.0.0"
    channelvars: tuple[str, ...] = ()
    timestamps: bool = False
    users: tuple[User, ...] = EVERYBODY
    authtimeout_s: float = 30.0
    boot_s: float = 0.0
    pace: float = 1.0


@dataclass(slots=True, eq=False)
class Asterisk:
    """The engine. `begin` starts a life, and another one after `restart`."""

    dialplan: Dialplan
    settings: Settings = field(default_factory=Settings)
    quirks: Quirks = field(default_factory=Quirks)
    faults: Faults = field(default_factory=Faults)
    channels: dict[str, Channel] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    started_at: float = 0.0
    reloaded_at: float = 0.0
    processed: int = 0
    draining: bool = False
    ids: Iterator[int] = field(default_factory=itertools.count)
    names: Iterator[int] = field(default_factory=itertools.count)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a life: nothing runs, ids and names start over."""
        for task in self._tasks:
            task.cancel()
        self.channels.clear()
        self.ids, self.names = itertools.count(), itertools.count()
        self.variables = dict(self.dialplan.variables)
        self.users = {user.name: user for user in self.settings.users}
        self.started_at = self.reloaded_at = max(time.time(), self.started_at + 1)  # a life has a second of its own
        self.draining, self.processed = False, 0

    async def close(self) -> None:
        """End everything that runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def constants(self) -> dict[str, str]:
        """The variables that the engine itself has."""
        return {"SYSTEMNAME": self.settings.system_name, "ENTITYID": self.settings.entity_id}

    @property
    def booted(self) -> bool:
        """Whether FullyBooted is due."""
        return time.time() >= self.started_at + self.settings.boot_s

    @property
    def channelvars(self) -> tuple[str, ...]:
        """The variables that events carry."""
        return self.settings.channelvars if self.quirks.events_carry_channelvars else ()

    def seconds(self, of_dialplan: float) -> float:
        """Return how long so many seconds of the dialplan last."""
        return of_dialplan * self.settings.pace

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something run beside."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def find(self, name: str) -> Channel | None:
        """Return a channel by its name, or by its Uniqueid."""
        found = self.channels.get(name)
        if found is None and self.quirks.uniqueid_names_a_channel:
            return next((channel for channel in self.channels.values() if channel.uniqueid == name), None)
        return found

    def number(self) -> int:
        """Return the next number for a channel's name."""
        return next(self.names)

    def identify(self) -> str:
        """Return the next Uniqueid."""
        own = f"{int(max(time.time(), self.started_at))}.{next(self.ids)}"
        named = self.settings.system_name and self.quirks.systemname_is_told
        return f"{self.settings.system_name}-{own}" if named else own

    def channel(
        self,
        name: str,
        position: Position,
        *,
        state: int,
        linkedid: str = "",
        uniqueid: str = "",
        caller: tuple[str, str] = ("", ""),
    ) -> Channel:
        """Make a channel and tell of it. `caller` is the number and the name."""
        own = self.identify()  # an id that is asked for takes one all the same
        uniqueid = uniqueid or own
        made = Channel(name, uniqueid, linkedid or uniqueid, asyncio.get_running_loop().time(), state=state)
        made.position = made.shown = position
        made.caller_number, made.caller_name = caller
        self.channels[name] = made
        self.processed += 1
        self.tell("Newchannel", made)
        return made

    def remove(self, channel: Channel) -> None:
        """Take a channel out of the lists."""
        if self.channels.get(channel.name) is channel:
            del self.channels[channel.name]

    def rename(self, channel: Channel, name: str) -> None:
        """Give a channel another name, as a masquerade does."""
        headers = (("Channel", channel.name), ("Newname", name), ("Uniqueid", channel.uniqueid))
        self.say(Event("Rename", "call", headers, channel.name))
        self.remove(channel)
        channel.name = name
        self.channels[name] = channel

    def publish(self, channel: Channel) -> None:
        """Make a channel's position known; a new one is told as a Newexten."""
        moved = channel.position != channel.shown or not channel.told_of
        channel.shown = channel.position
        if channel.application and not channel.dead and moved:
            channel.told_of = True
            data = channel.data if self.quirks.raw_values else escaped(channel.data)
            extra = ("Extension", channel.shown.exten), ("Application", channel.application), ("AppData", data)
            self.tell("Newexten", channel, *extra, privilege="dialplan")

    def change_state(self, channel: Channel, state: int) -> None:
        """Set a channel's state and tell it."""
        channel.state = state
        self.tell("Newstate", channel)

    def set_variable(self, channel: Channel | None, name: str, value: str, *, shown: str = "") -> None:
        """Set a variable and tell it; without a channel a global one. `shown` is the name that is told."""
        extra = ("Variable", shown or name), ("Value", escaped(value))
        if channel is None:
            self.variables[name] = value
            self.say(Event("VarSet", "dialplan", NOBODY + extra))
            return
        if shown:
            channel.set_local(name, value)
        else:
            channel.set(name, value)
        self.tell_variable(channel, shown or name, value)

    def tell_variable(self, channel: Channel, name: str, value: str) -> None:
        """Tell that a variable has a value."""
        if self.channelvars:
            self.publish(channel)
        told_value = escaped(value.encode(errors="surrogateescape").decode(errors="replace"))
        self.tell("VarSet", channel, ("Variable", name), ("Value", told_value), privilege="dialplan")

    def tell(self, name: str, channel: Channel, *extra: tuple[str, str], privilege: str = "call") -> None:
        """Say an event of a channel."""
        self.say(Event(name, privilege, (*told(channel, self.channelvars), *extra), channel.name))

    def say(self, event: Event) -> None:
        """Let everybody hear an event."""
        for listener in list(self.listeners):
            listener(event)
