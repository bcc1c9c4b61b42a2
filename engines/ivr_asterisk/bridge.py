"""The bridge: one Asterisk, asked in Asterisk's own way for what the kit needs.

Owns which life of Asterisk it is, a full list after every connection and now and then, a ping with a deadline, and what
is looked up when. Wired by `__main__`; the kit connects it again and again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from ivr_asterisk.advice import Advice
from ivr_asterisk.channel import STACK
from ivr_asterisk.connection import AmiError, Connection, DrainingError, Listener, RefusedError
from ivr_asterisk.framing import Message
from ivr_asterisk.naming import STARTED_VARIABLE
from ivr_asterisk.naming import Life as Named
from ivr_asterisk.publisher import Publisher
from ivr_asterisk.stops import Stops, look_up
from ivr_engine.life import Life
from ivr_engine.model import AwayError
from ivr_engine.reconnect import LostError, Served

log = logging.getLogger(__name__)

PING_S: Final = 2.0
"""The pause between pings. One that is not answered in time ends the connection."""

LIST_S: Final = 20.0
"""How long a list of all channels may take."""

MANY: Final = 50
"""Channels that are looked up at once."""


class Bridge:
    """Speaks for one Asterisk. `connect` opens a connection, logged in, whose events go to its argument.

    `node` stands for the entity id of an Asterisk that has none, `branches` is the context of the External Stop
    branches, `stop_cause` the cause of our hang-ups. `now_us` is the time in microseconds since the epoch.
    """

    def __init__(  # noqa: PLR0913  # wired in one place, all by keyword
        self,
        *,
        publisher: Publisher,
        life: Life,
        connect: Callable[[Listener], AbstractAsyncContextManager[Connection]],
        node: str,
        branches: str,
        stop_cause: int,
        audit_s: float,
        now_us: Callable[[], int],
    ) -> None:
        self._publisher, self._life, self._connect = publisher, life, connect
        self._node, self._audit_s, self._now_us = node, audit_s, now_us
        self.stops = Stops(publisher, self._for_stops, branches=branches, cause=stop_cause)
        self._connection: Connection | None = None
        """The connection, once all channels have been listed over it."""
        self._audit_due = asyncio.Event()
        self._advice = Advice()

    @property
    def reachable(self) -> bool:
        """Whether all channels have been listed over a connection that lives."""
        return self._connection is not None

    def heard(self, event: Message) -> None:
        """Take an event."""
        match event.event:
            case "FullyBooted":
                self._audit_due.set()
            case "Shutdown":
                log.warning("Asterisk shuts down", extra={"action": "asterisk_shuts_down"})
            case _:
                self._publisher.heard(event)

    def settle(self) -> None:
        """Publish what has changed."""
        self._publisher.settle()

    async def connection(self, served: Served) -> None:
        """Serve over one connection until it is lost; raises `LostError` or `OSError`."""
        async with self._connect(self) as connection:
            try:
                await self._recognise(connection)
                self._audit_due.clear()
                await self._resynchronise(connection)
                self._life.known, self._connection = True, connection
                self._life.answered()
                served()
                await self._follow(connection)
            finally:
                self._connection = None

    async def _follow(self, connection: Connection) -> None:
        """Ping, look up and list until the connection is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop in (self._ping, self._look, self._audit):
                    tasks.create_task(loop(connection))
                await connection.answers.lost()
        except* LostError as group:
            lost: BaseException = group
        while isinstance(lost, BaseExceptionGroup):
            lost = lost.exceptions[0]
        raise lost

    async def _recognise(self, connection: Connection) -> None:
        """Find out which life of Asterisk this is."""
        life = await self._named(connection)
        if life.session != self._life.mirror.session:
            seq = life.seq_at(self._now_us())
            self._publisher.clear()
            self._life.begin(life.session, seq=seq)
            log.info("a life of Asterisk", extra={"action": "session", "session": life.session, "seq": seq})

    async def _named(self, connection: Connection) -> Named:
        system, entity = [
            (await connection.ask("Getvar", {"Variable": name})).response.get("Value")
            for name in ("SYSTEMNAME", "ENTITYID")
        ]
        status = (await connection.ask("CoreStatus")).response
        started = f"{status.get('CoreStartupDate')} {status.get('CoreStartupTime')}"
        try:
            return Named(system, entity or self._node, started)
        except ValueError as error:
            raise AmiError(str(error)) from None

    async def _resynchronise(self, connection: Connection) -> None:
        began = self._life.now()
        with self._publisher.resynchronising():
            listed = await connection.ask("CoreShowChannels", take=self._publisher.listed, within_s=LIST_S)
            if not listed.complete:
                raise AmiError(f"a list of {listed.announced} channels came with {len(listed.rows)} rows")
            fields = {"Variables": ",".join(STACK)}
            await connection.ask("Status", fields, take=self._publisher.nested, within_s=LIST_S)
        counted = {"channels": listed.announced, "runtimes": len(self._life.mirror.snapshot().runtimes)}
        took_ms = round((self._life.now() - began) * 1000)
        log.debug("all channels were listed", extra={"action": "resynchronised", **counted, "took_ms": took_ms})
        self._advice.give(self._publisher)

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(PING_S)
            with suppress(DrainingError):  # it lives, and says so
                await connection.ask("Ping")
            self._life.answered()
            if self._publisher.trusting and not connection.draining:
                self._audit_due.set()
            self._drain(connection.draining)
            self._publisher.doubt_again()

    def _drain(self, draining: bool) -> None:
        if draining != self._publisher.trusting:
            self._publisher.trusting = draining
            said = "Asterisk drains: its calls go on, stops must wait" if draining else "Asterisk takes actions again"
            log.warning(said, extra={"action": "draining" if draining else "drained"})

    async def _look(self, connection: Connection) -> None:
        """Look channels up, as they are doubted."""
        doubted = self._publisher.doubted
        while True:
            await self._publisher.doubts.wait()
            batch = list(doubted)[:MANY]
            for uniqueid in batch:
                del doubted[uniqueid]
            starts, self._publisher.starts = self._publisher.starts, {}
            if not doubted:
                self._publisher.doubts.clear()
            try:
                async with asyncio.TaskGroup() as tasks:
                    for uniqueid in batch:
                        tasks.create_task(look_up(connection, self._publisher, uniqueid))
                    for uniqueid, started in starts.items():
                        tasks.create_task(_keep_start(connection, uniqueid, started))
            except* DrainingError:
                self._drain(True)
                for uniqueid in batch:
                    self._publisher.believe(uniqueid)

    async def _audit(self, connection: Connection) -> None:
        """List all channels now and then: nothing that was lost stays lost."""
        while True:
            try:
                async with asyncio.timeout(self._audit_s):
                    await self._audit_due.wait()
            except TimeoutError:
                pass
            self._audit_due.clear()
            try:
                await self._resynchronise(connection)
            except DrainingError:
                self._drain(True)

    def _for_stops(self) -> Connection:
        if self._connection is None:
            raise AwayError("there is no connection to Asterisk")
        if self._connection.draining:
            raise AwayError("Asterisk is shutting down and takes no stops")
        return self._connection


async def _keep_start(connection: Connection, uniqueid: str, started: int) -> None:
    fields = {"Channel": uniqueid, "Variable": STARTED_VARIABLE, "Value": str(started)}
    with suppress(RefusedError):  # it has ended meanwhile
        await connection.ask("Setvar", fields)
