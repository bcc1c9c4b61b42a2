"""The bridge: one engine's runtimes for its agent, and the two commands that stop them (docs/freeswitch.md).

Owns when the engine is asked and what its answers prove: `+OK` proves nothing, an event or a dump does. What runs is
known to `calls`, how to ask to `link`. Wired by `__main__`, called by the kit's server.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from ivr_engine.mirror import Mirror
from ivr_engine.model import Ack, AwayError, Result, Snapshot, State, StopType, UnknownRuntimeError
from ivr_engine.reconnect import LostError, Served
from ivr_freeswitch.calls import OURS, STOP_IDS, UUID, Call, Calls, Event
from ivr_freeswitch.dialplan import takes
from ivr_freeswitch.link import Link
from ivr_freeswitch.scripts import Script, Scripts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Times:
    """How long the bridge waits for what, in seconds."""

    stop_s: float = 3.6
    """How long a stop may take: the agent waits 4 s for its answer, and sends it again after an error."""
    proof_s: float = 1.0
    """How long to wait for the event that proves a stop, before the engine is asked and the stop repeated."""
    look_every_s: float = 3.0
    """How often the list is compared with what is known."""
    list_lag_s: float = 0.5
    """After that the list shows a call: 0.3 s were seen. Calls younger than the connection are known by their events."""
    silent_s: float = 10.0
    """Without an answer for that long the connection counts as lost."""


LOOKS: Final = 32
"""Channels asked for at the same time: half of the commands under way, so that a stop need not wait."""

TRIES: Final = 3
"""How often a channel is asked for while its events overtake the answer."""

GONE: Final = "-ERR No such channel!"
NUMBER: Final = re.compile(r"[A-Za-z0-9_+*#.@:=~][A-Za-z0-9_+*#.@:=~-]{0,127}")
"""Numbers that may stand in a command: a caller chooses them, and a blank or a line end would change the command."""

Connect = Callable[[Callable[[Event], None]], AbstractAsyncContextManager[Link]]


class _Turn:
    """Who stops one runtime: one command after another; `moved` is set by each of its events."""

    def __init__(self) -> None:
        self.lock, self.moved, self.waiting = asyncio.Lock(), asyncio.Event(), 0


class Bridge:
    """What the kit's server asks. `connect` opens a connection, logged in, whose events go to its argument."""

    def __init__(
        self,
        scripts: Scripts,
        mirror: Mirror,
        *,
        begin: Callable[[str], None],
        connect: Connect,
        times: Times = Times(),
    ) -> None:
        self._mirror, self._begin_reports, self._connect, self._times = mirror, begin, connect, times
        self._calls = Calls(scripts, mirror)
        self._time = asyncio.get_running_loop().time
        self._link: Link | None = None
        self._answered = self._time()
        self._complete = False
        self._turns: dict[str, _Turn] = {}
        self._looks = asyncio.Semaphore(LOOKS)
        self._unreadable = 0

    @property
    def session(self) -> str | None:
        """The Core-UUID: one life of the engine; None until its channels are known."""
        return self._mirror.session if self._complete else None

    @property
    def answered_s(self) -> float:
        """How long ago the engine last answered."""
        if self._link and self._link.answered:
            self._answered = self._link.answered
        return self._time() - self._answered

    def snapshot(self) -> Snapshot:
        """Return every runtime; raises `AwayError` until the channels of this life of the engine are known."""
        if not self._complete:
            raise AwayError("the channels of the engine are not known yet")
        return self._mirror.snapshot()

    def take(self, event: Event) -> None:
        """Take in an event; the first of another life of the engine begins its session."""
        try:
            core = str(event["Core-UUID"])
            if core != self._mirror.session:
                self._begin(core, seq=int(event["Event-Date-Timestamp"]))
            if "Unique-ID" in event:
                self._calls.take(event)
        except (KeyError, ValueError, OverflowError):
            self._unreadable += 1
            if self._unreadable.bit_count() == 1:
                extra = {"action": "event_unreadable", "unreadable": self._unreadable}
                log.warning("an event lacks what every event has", extra=extra)
        if turn := self._turns.get(str(event.get("Unique-ID"))):
            turn.moved.set()

    async def connection(self, served: Served) -> None:
        """Serve over one connection until it is lost; raises `LostError` or `OSError`."""
        async with self._connect(self.take) as link:
            try:
                await self._look(link, everything=True)
                self._link = link
                await link.lost(within_s=self._times.list_lag_s)
                await self._look(link, everything=False)
                self._complete = True
                served()
                told = {"session": self._mirror.session, "runtimes": len(self._mirror.snapshot().runtimes)}
                log.info("the channels of the engine are known", extra={"action": "resynchronised", **told})
                while True:
                    await link.lost(within_s=self._times.look_every_s)
                    await self._look_again(link)
            finally:
                self._link = None

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Transfer the channel into the External Stop branch of its script, or end it if there is none."""
        async with self._turn(runtime_id) as (link, call):
            if stop_id in call.ids:
                return Ack(_state(call), Result.ALREADY_STOPPING)
            if call.branch:
                await self._accept(link, runtime_id, stop_id)
                return Ack(_state(call), Result.ALREADY_STOPPING)
            if await _has_branch(link, call.scripts[-1]):
                return await self._transfer(link, runtime_id, call, stop_id)
            return await self._kill(link, runtime_id, call)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Hang up."""
        async with self._turn(runtime_id) as (link, call):
            if stop_id in call.ids:
                return Ack(_state(call), Result.ALREADY_STOPPING)
            return await self._kill(link, runtime_id, call)

    def _begin(self, core: str, *, seq: int) -> None:
        """Begin the session of a life of the engine. Its clock in microseconds is above any earlier seq."""
        self._complete = False
        self._calls.clear()
        self._mirror.begin(core, seq=seq)
        self._begin_reports(core)

    async def _look(self, link: Link, *, everything: bool) -> None:
        """Ask for each channel that the list and the events tell differently of, or for every one."""
        rows = json.loads(await link.command("show channels as json")).get("rows", [])
        listed = {row["uuid"]: row for row in rows if UUID.fullmatch(row["uuid"])}
        known, asked = self._calls.known(), set(listed)
        if not everything:
            asked = {uuid for uuid, row in listed.items() if self._calls.differs(row)} | self._calls.doubtful
        self._calls.doubtful.clear()
        await asyncio.gather(*(self._confirm(link, uuid) for uuid in asked | (known - set(listed))))

    async def _look_again(self, link: Link) -> None:
        with suppress(TimeoutError):  # a busy engine; one that is silent for long counts as lost
            await self._look(link, everything=False)
        if self.answered_s > self._times.silent_s:
            raise LostError(f"the engine has not answered for {self._times.silent_s:g} s")

    async def _confirm(self, link: Link, uuid: str) -> None:
        """Ask what a channel does."""
        async with self._looks:
            for _ in range(TRIES):
                dump = await link.command(f"uuid_dump {uuid} json")
                names = ("context", "destination_number")
                inner = await asyncio.gather(*(link.command(f"uuid_getvar {uuid} {name}") for name in names))
                if any(answer.startswith(GONE) for answer in (dump, *inner)):
                    self._calls.end(uuid, StopType.NORMAL)
                    return
                if self._calls.confirm(uuid, json.loads(dump), *inner):
                    return

    @asynccontextmanager
    async def _turn(self, runtime_id: str) -> AsyncIterator[tuple[Link, Call]]:
        """Let one command after another stop a runtime; each sees what the one before did."""
        turn = self._turns.setdefault(runtime_id, _Turn())
        turn.waiting += 1
        try:
            async with asyncio.timeout(self._times.stop_s), turn.lock:
                if self._link is None:
                    raise AwayError("no connection to the engine")
                yield self._link, self._running(runtime_id)
        except LostError as error:
            raise AwayError(str(error)) from None
        except TimeoutError:
            raise AwayError("the engine was told, but what came of it was not seen") from None
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[runtime_id]

    def _running(self, runtime_id: str) -> Call:
        call = self._calls.runtime(runtime_id)
        if call is None:
            raise UnknownRuntimeError(runtime_id)
        return call

    async def _transfer(self, link: Link, runtime_id: str, call: Call, stop_id: str) -> Ack:
        """Transfer until the channel is seen in the branch, or ended by it."""
        script = call.scripts[-1]
        branch = f"{script.place} XML {script.rule.post_processing}"
        await self._told(link, runtime_id, f"uuid_setvar {{}} {STOP_IDS} {call.ids.packed(tried=stop_id)}")
        call.stopping = True
        while not call.branch and self._calls.runtime(runtime_id):
            await self._told(link, runtime_id, f"uuid_transfer {{}} {branch}")
            if not await self._seen(runtime_id, lambda: call.branch or not self._calls.runtime(runtime_id)):
                await self._confirm(link, runtime_id)  # the event may be late, and another transfer would start anew
        if not self._calls.runtime(runtime_id):
            return Ack(State.ENDED, Result.ACTED)
        await self._accept(link, runtime_id, stop_id)
        return Ack(_state(call), Result.ACTED)

    async def _kill(self, link: Link, runtime_id: str, call: Call) -> Ack:
        """Kill until the channel is seen to hang up, or is gone."""
        await self._told(link, runtime_id, f"uuid_kill {{}} {OURS}")
        call.stopping = True
        while not await self._seen(runtime_id, lambda: not self._calls.runtime(runtime_id)):
            gone = await link.command(f"uuid_exists {runtime_id}") == "false"
            if gone or (await link.command(f"uuid_kill {runtime_id} {OURS}")).startswith(GONE):
                self._calls.end(runtime_id, StopType.STOP)
        return Ack(State.ENDED, Result.ACTED)

    async def _told(self, link: Link, runtime_id: str, command: str) -> None:
        """Give a command about the channel; raises `UnknownRuntimeError` if it is gone."""
        if (await link.command(command.format(runtime_id))).startswith(GONE):
            self._calls.end(runtime_id, StopType.NORMAL)
            raise UnknownRuntimeError(runtime_id)

    async def _seen(self, runtime_id: str, happened: Callable[[], bool]) -> bool:
        """Whether the runtime's events show it within a second."""
        moved = self._turns[runtime_id].moved
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.proof_s):
                while not happened():
                    moved.clear()
                    await moved.wait()
        return happened()

    async def _accept(self, link: Link, runtime_id: str, stop_id: str) -> None:
        """Remember a stop id here and in the channel, for a bridge that restarts."""
        ids = self._calls.accept(runtime_id, stop_id)
        await link.command(f"uuid_setvar {runtime_id} {STOP_IDS} {ids.packed()}")


def _state(call: Call) -> State:
    return State.POST_PROCESSING if call.branch else State.RUNNING


async def _has_branch(link: Link, script: Script) -> bool:
    """Whether the settings name an External Stop branch for the script, and it is known to be there."""
    context = script.rule.post_processing
    if context is None or not NUMBER.fullmatch(script.place):
        return False
    return script.rule.catch_all or takes(
        await link.command(f"xml_locate dialplan context name {context}"), script.place
    )
