"""The bridge: what is asked of a FreeSWITCH when, and what is said to it to stop a call (docs/freeswitch.md).

Owns the resynchronisation and the commands. What runs is known to `calls`, how to talk to `link`; `+OK` proves nothing,
an event or a dump does. Wired by `__main__`, called by the kit's server.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from ivr_engine.calls import Call
from ivr_engine.life import TIMES, Life, Times
from ivr_engine.model import StopType
from ivr_engine.reconnect import LostError, Served
from ivr_engine.stopping import Stops
from ivr_freeswitch.calls import OURS, STOP_IDS, UUID, Calls, Event
from ivr_freeswitch.dialplan import takes
from ivr_freeswitch.link import Link
from ivr_freeswitch.scripts import Scripts

log = logging.getLogger(__name__)

LOOKS: Final = 32
"""Channels asked for at the same time, three commands each: of 128 commands under way some are left for stops."""

TRIES: Final = 3
"""How often a channel is asked for while its events overtake the answer."""

GONE: Final = "-ERR No such channel!"
NUMBER: Final = re.compile(r"[A-Za-z0-9_+*#.@:=~][A-Za-z0-9_+*#.@:=~-]{0,127}")
"""Numbers that may stand in a command: a caller chooses them, and a blank or a line end would change the command."""

UNREADABLE: Final = (KeyError, ValueError, OverflowError)
"""What reading an event or a dump raises that FreeSWITCH itself has not made."""

Connect = Callable[[Callable[[Event], None]], AbstractAsyncContextManager[Link]]


class Bridge:
    """The channels of one FreeSWITCH. `connect` opens a connection, logged in, whose events go to its argument.

    `stops` are the durations of `Stops`.
    """

    def __init__(self, scripts: Scripts, life: Life, *, connect: Connect, times: Times = TIMES, **stops: float) -> None:
        self._life, self._connect, self._times = life, connect, times
        self.calls = Calls(scripts, life.mirror)
        self.stops = Stops(self, **stops)
        self._link: Link | None = None
        self._looks = asyncio.Semaphore(LOOKS)
        self._unreadable = 0

    def take(self, event: Event) -> None:
        """Take in an event; the first of another life of the engine begins its session."""
        try:
            core = str(event["Core-UUID"])
            if core != self._life.mirror.session:
                self.calls.clear()  # the engine's clock in microseconds is above each earlier seq
                self._life.begin(core, seq=int(event["Event-Date-Timestamp"]))
            if event["Event-Name"] == "HEARTBEAT":
                self._life.answered()
            elif "Unique-ID" in event:
                self.calls.take(event)
                self.stops.moved(str(event["Unique-ID"]))
        except UNREADABLE:
            self._skip()

    def _skip(self) -> None:
        self._unreadable += 1
        if self._unreadable.bit_count() == 1:  # the first, second, fourth and so on
            extra = {"action": "event_unreadable", "unreadable": self._unreadable}
            log.warning("an event lacks what every event has", extra=extra)

    async def connection(self, served: Served) -> None:
        """Serve over one connection until it is lost; raises `LostError` or `OSError`."""
        async with self._connect(self.take) as link:
            self._link = link
            try:
                await self._life.follow(self._look, link.answers.lost, served, self._times)
            finally:
                self._link = None

    async def _look(self, *, everything: bool) -> None:
        """Ask for each channel that the list and the events tell differently of, or for every one."""
        asked_at = self._life.now()
        rows = _parsed(await self._tell("show channels as json")).get("rows", [])
        self._life.answered(asked_at)
        listed = {row["uuid"]: row for row in rows if UUID.fullmatch(row["uuid"])}
        asked = {uuid for uuid, row in listed.items() if everything or self.calls.differs(row)} | self.calls.doubtful
        asked |= self.calls.known() - set(listed)
        self.calls.doubtful.clear()
        await asyncio.gather(*map(self._confirm, asked))

    async def _confirm(self, uuid: str) -> None:
        """Ask what a channel does."""
        async with self._looks:
            for _ in range(TRIES):
                asked = (
                    f"uuid_dump {uuid} json",
                    f"uuid_getvar {uuid} context",
                    f"uuid_getvar {uuid} destination_number",
                )
                dump, *inner = await asyncio.gather(*map(self._tell, asked))
                if any(answer.startswith(GONE) for answer in (dump, *inner)):
                    self.calls.end(uuid, StopType.NORMAL)
                    return
                try:
                    if self.calls.confirm(uuid, _parsed(dump), *inner):
                        return
                except UNREADABLE:
                    self._skip()
                    return

    async def _tell(self, command: str) -> str:
        return await self._connection().command(command)

    def _connection(self) -> Link:
        if self._link is None:
            raise LostError("no connection to the engine")
        return self._link

    # What stops need

    def running(self, runtime_id: str) -> Call | None:
        """Return the call that the runtime is, if it runs; raises `LostError` while nobody knows."""
        self._connection()
        return self.calls.running(runtime_id)

    def gone(self, call: Call) -> None:
        """Take in that the channel is gone."""
        self.calls.end(call.id, StopType.NORMAL)

    async def has_branch(self, call: Call) -> bool:
        """Whether the settings name an External Stop branch for the script, and it is known to be there."""
        rule, number = call.scripts[-1].rule, call.scripts[-1].place
        if rule.post_processing is None or not NUMBER.fullmatch(number):
            return False
        asked = f"xml_locate dialplan context name {rule.post_processing}"
        return rule.catch_all or takes(await self._tell(asked), number)

    async def transfer(self, call: Call) -> bool:
        """Transfer the channel into the branch; False: there is no such channel."""
        script = call.scripts[-1]
        branch = f"{script.place} XML {script.rule.post_processing}"
        return not (await self._tell(f"uuid_transfer {call.id} {branch}")).startswith(GONE)

    async def kill(self, call: Call) -> bool:
        """Kill the channel; False: there is no such channel."""
        return not (await self._tell(f"uuid_kill {call.id} {OURS}")).startswith(GONE)

    async def keep(self, call: Call, ids: str) -> bool:
        """Keep the stop ids in the channel; False: there is no such channel."""
        call.show(self._life.mirror)
        return not (await self._tell(f"uuid_setvar {call.id} {STOP_IDS} {ids}")).startswith(GONE)

    async def look(self, call: Call) -> None:
        """Ask whether the channel is there, and what it does."""
        if await self._tell(f"uuid_exists {call.id}") == "false":
            self.gone(call)
        else:
            await self._confirm(call.id)


def _parsed(answer: str) -> dict[str, Any]:
    """Return what a list or a dump tells; raises `LostError` for another answer, as of a database that is away."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise LostError("the engine answered a list or a dump with something else")
    return told
