"""The bridge: what the engine kit asks of an engine, answered for the Asterisk behind it.

Owns the lives of the connection and of Asterisk: login, which life it is, a full list after every connection, a ping
with a deadline, and another connection after a pause. Wired by `__main__`; the kit's server calls it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from ivr_asterisk.advice import Advice
from ivr_asterisk.channel import STACK
from ivr_asterisk.connection import CONNECT_S, AmiError, Connection, Dial, DrainingError, RefusedError
from ivr_asterisk.framing import Message
from ivr_asterisk.naming import STARTED_VARIABLE, Life
from ivr_asterisk.publisher import Publisher
from ivr_asterisk.stops import Stops, look_up
from ivr_engine.mirror import Mirror
from ivr_engine.model import Ack, AwayError, Snapshot
from ivr_engine.telling import told

log = logging.getLogger(__name__)

PING_S: Final = 2.0
"""The pause between pings. One that is not answered in time ends the connection."""

LIST_S: Final = 20.0
"""How long a list of all channels may take."""

MANY: Final = 50
"""Channels that are looked up at once."""

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
"""Pauses between connections double up to this, each shortened at random by up to half: a lease lasts 15 s."""

REFUSED_PAUSE_S: Final = 15.0
"""The pause after a refused login: tools that watch for guessed passwords would shut us out."""

LASTING_S: Final = 10.0
"""A connection that has lasted so long was a good one: the pauses begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The manager user. `node` stands for the entity id of an Asterisk that has none."""

    username: str
    secret: str
    node: str


class LoginError(AmiError):
    """Asterisk does not let the manager user in."""


class Bridge:
    """Speaks for one Asterisk. `time` is monotonic, `now_us` the time in microseconds since the epoch."""

    def __init__(  # noqa: PLR0913  # wired in one place, all by keyword
        self,
        *,
        mirror: Mirror,
        publisher: Publisher,
        begin_session: Callable[[str], None],
        dial: Dial,
        login: Login,
        branches: str,
        stop_cause: int,
        audit_s: float,
        time: Callable[[], float],
        now_us: Callable[[], int],
        rng: Random,
    ) -> None:
        self._mirror, self._publisher, self._begin_session = mirror, publisher, begin_session
        self._dial, self._login = dial, login
        self._audit_s, self._time, self._now_us, self._rng = audit_s, time, now_us, rng
        self._stops = Stops(publisher, self._for_stops, branches=branches, cause=stop_cause)
        self._connection: Connection | None = None
        """The connection, once all channels have been listed over it."""
        self._answered_at: float | None = None
        self._audit_due = asyncio.Event()
        self._advice = Advice()

    @property
    def session(self) -> str | None:
        """The life of Asterisk; None until the first one is known."""
        return self._mirror.session or None

    @property
    def answered_s(self) -> float:
        """How long ago Asterisk answered, in seconds; raises `AwayError` if it never has."""
        if self._answered_at is None:
            raise AwayError("Asterisk has not been reached yet")
        return max(0.0, self._time() - self._answered_at)

    @property
    def reachable(self) -> bool:
        """Whether all channels have been listed over a connection that lives."""
        return self._connection is not None

    def snapshot(self) -> Snapshot:
        """Return every runtime; raises `AwayError` before the first list."""
        if self._answered_at is None:
            raise AwayError("Asterisk has not been reached yet")
        return self._mirror.snapshot()

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Lead a runtime into its External Stop branch, or end it."""
        self._for_stops()
        return await self._stops.external_stop(runtime_id, stop_id=stop_id)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """End a runtime."""
        self._for_stops()
        return await self._stops.terminate(runtime_id, stop_id=stop_id)

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

    async def run(self) -> None:
        """Keep a connection to Asterisk for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._time()
            reason = await self._once()
            lasted_s = self._time() - began
            pause_s = FIRST_PAUSE_S if lasted_s >= LASTING_S else min(2 * pause_s, LONGEST_PAUSE_S)
            if isinstance(reason, LoginError):
                pause_s = REFUSED_PAUSE_S
            extra = {"action": "asterisk_away", "lasted_s": round(lasted_s, 1), "pause_s": pause_s}
            log.warning("no connection to Asterisk: %s", _why(reason), extra=extra)
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))

    async def _once(self) -> BaseException:
        """Live with one connection until it ends; return why it did."""
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await self._dial()
        except (OSError, TimeoutError) as error:
            return error
        connection, reason = Connection(reader, writer, listener=self, time=self._time), BaseException()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.listen())
                await self._join(connection)
                for loop in (self._ping, self._look, self._audit):
                    tasks.create_task(loop(connection))
        except* (OSError, AmiError) as group:
            reason = _telling(group)
        finally:
            self._connection = None
            connection.close()
        return reason

    async def _join(self, connection: Connection) -> None:
        """Log in, find out which life of Asterisk this is, and list its channels."""
        try:
            fields = {"Username": self._login.username, "Secret": self._login.secret, "Events": "on"}
            await connection.ask("Login", fields)
        except DrainingError:
            raise
        except RefusedError as refusal:
            raise LoginError(f"{refusal}; check user, secret and permit of manager.conf") from None
        life = await self._life(connection)
        if life.session != self._mirror.session:
            seq = life.seq_at(self._now_us())
            self._publisher.begin(life.session, seq=seq)
            self._begin_session(life.session)
            log.info("a life of Asterisk", extra={"action": "session", "session": life.session, "seq": seq})
        self._audit_due.clear()
        await self._resynchronise(connection)
        self._connection = connection
        self._answered_at = connection.answered_at

    async def _life(self, connection: Connection) -> Life:
        system, entity = [
            (await connection.ask("Getvar", {"Variable": name})).response.get("Value")
            for name in ("SYSTEMNAME", "ENTITYID")
        ]
        status = (await connection.ask("CoreStatus")).response
        started = f"{status.get('CoreStartupDate')} {status.get('CoreStartupTime')}"
        try:
            return Life(system, entity or self._login.node, started)
        except ValueError as error:
            raise AmiError(str(error)) from None

    async def _resynchronise(self, connection: Connection) -> None:
        began = self._time()
        with self._publisher.resynchronising():
            listed = await connection.ask("CoreShowChannels", take=self._publisher.listed, within_s=LIST_S)
            if not listed.complete:
                raise AmiError(f"a list of {listed.announced} channels came with {len(listed.rows)} rows")
            fields = {"Variables": ",".join(STACK)}
            await connection.ask("Status", fields, take=self._publisher.nested, within_s=LIST_S)
        counted = {"channels": listed.announced, "runtimes": len(self._mirror.snapshot().runtimes)}
        took_ms = round((self._time() - began) * 1000)
        log.debug("all channels were listed", extra={"action": "resynchronised", **counted, "took_ms": took_ms})
        self._advice.give(self._publisher)

    async def _ping(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(PING_S)
            with suppress(DrainingError):  # it lives, and says so
                await connection.ask("Ping")
            self._answered_at = connection.answered_at
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


def _telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that says most: a refused login is followed by the connection's end."""
    leaves = list(_leaves(group))
    return next((error for error in leaves if isinstance(error, LoginError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for one in error.exceptions:
        yield from _leaves(one)


def _why(reason: BaseException) -> str:
    return str(reason) if isinstance(reason, AmiError) else told(reason)
