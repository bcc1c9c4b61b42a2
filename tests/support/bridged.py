"""A bridge at the tests' own Asterisk, in one process and without a socket.

Owns the wires between the two: what one side writes the other reads, in pieces of any size. `Bridged.up()` waits until
the bridge has listed its channels; `told` holds the events for the agent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random
from typing import Any, Final, cast

from ami import Asterisk, Dialplan, Server, Settings
from ami.recording import FOLDER
from ami.session import Session
from ivr_asterisk.bridge import Bridge
from ivr_asterisk.connection import Login, connected
from ivr_asterisk.mapping import Rule, Scripts
from ivr_asterisk.model import Model
from ivr_asterisk.publisher import Publisher
from ivr_engine.life import Joined, Life
from ivr_engine.model import Ended, Event, FullState
from ivr_engine.reconnect import stay_connected
from noted import Noted

STOP_CONTEXT: Final = "ivr-external-stop"
STOP_CAUSE: Final = 8
VARIABLES: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")

SCRIPTS: Final = Scripts(
    (
        Rule(context="ivr"),
        Rule(context="ivr-(?P<script>.+)", code="{script}"),
    ),
    branches=STOP_CONTEXT,
)
"""The rules for the dialplan of the recordings."""

DIALPLAN: Final = (FOLDER / "config" / "extensions.conf").read_text(encoding="utf-8")


class Wire:
    """The bridge's end of a connection: a transport whose other side is a session of the tests' Asterisk."""

    def __init__(self, asterisk: Asterisk, server: Server, *, cut: Callable[[bytes], list[bytes]]) -> None:
        self.reader = asyncio.StreamReader(limit=1 << 24)
        self._cut = cut
        self._ended = False
        self._session = Session(asterisk, life=server, write=self._said, close=self.end)

    def write(self, data: bytes) -> None:
        if not self._ended:
            self._session.feed(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.end()

    def end(self) -> None:
        """End the connection, as either side may."""
        if not self._ended:
            self._ended = True
            self._session.end()
            self.reader.feed_eof()

    @property
    def transport(self) -> "Wire":
        return self

    def _said(self, data: bytes) -> None:
        if not self._ended:
            for piece in self._cut(data):
                self.reader.feed_data(piece)


class Bridged:
    """An Asterisk and a bridge at it. `refused` makes connecting fail."""

    def __init__(self, asterisk: Asterisk, *, scripts: Scripts = SCRIPTS, audit_s: float = 60.0) -> None:
        self.asterisk, self.server = asterisk, Server(asterisk)
        self.scripts, self.audit_s = scripts, audit_s
        self.wires: list[Wire] = []
        self.refused = False
        self.dialled_at: list[float] = []
        self.cut: Callable[[bytes], list[bytes]] = lambda data: [data]
        self._new_bridge()
        self._running: asyncio.Task[None] | None = None

    def _new_bridge(self) -> None:
        self.told: list[Event] = []
        life = Life(Noted(self.told, []), time=asyncio.get_running_loop().time)
        self.publisher = Publisher(Model(self.scripts, stop_cause=STOP_CAUSE), life.mirror, now_s=time.time)
        login = Login(username="ivr", secret="secret")
        self._asks = Bridge(
            publisher=self.publisher,
            life=life,
            connect=partial(connected, dial=self._dial, login=login),
            node="a@127.0.0.1",
            branches=self.scripts.branches,
            stop_cause=STOP_CAUSE,
            audit_s=self.audit_s,
            now_us=lambda: time.time_ns() // 1000,
        )
        self.bridge = Joined(life, self._asks.stops)

    @property
    def reachable(self) -> bool:
        """Whether the bridge has listed all channels over a connection that lives."""
        return self._asks.reachable

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.dialled_at.append(asyncio.get_running_loop().time())
        if self.refused:
            raise ConnectionRefusedError
        wire = Wire(self.asterisk, self.server, cut=self.cut)
        self.wires.append(wire)
        return wire.reader, cast("Any", wire)

    def start(self) -> None:
        """Let the bridge run."""
        self._running = asyncio.get_running_loop().create_task(
            stay_connected(self._asks.connection, rng=Random(1))  # noqa: S311  # pauses, not secrets
        )

    async def stop(self) -> None:
        """End the bridge, as a SIGTERM does."""
        if self._running:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def restart_bridge(self) -> None:
        """Let another bridge take over, which knows nothing of the first."""
        await self.stop()
        self._new_bridge()
        self.start()
        await self.up()

    async def restart_asterisk(self) -> None:
        """Let Asterisk begin another life, of which nothing is told."""
        for wire in self.wires:
            wire.end()
        self.asterisk.begin()
        before = self.bridge.session
        await self.until(lambda: self.bridge.session != before)
        await self.up()

    async def up(self) -> None:
        """Wait until the bridge has listed all channels."""
        await self.until(lambda: self.reachable)

    async def until(self, arrived: Callable[[], Any], *, within_s: float = 200.0) -> None:
        """Wait for a condition, seconds of the loop's clock."""
        async with asyncio.timeout(within_s):
            while not arrived():  # noqa: ASYNC110  # conditions of the tests' own
                await asyncio.sleep(0.01)

    @property
    def runtimes(self) -> dict[str, FullState]:
        """What the snapshot shows, by code."""
        return {state.code: state for state in self.bridge.snapshot().runtimes}

    @property
    def ends(self) -> list[str]:
        """Why runtimes ended, in order."""
        return [event.stoptype.value for event in self.told if isinstance(event, Ended)]

    async def shown(self, code: str) -> FullState:
        """Wait until a script of that code is listed, and return it."""
        await self.until(lambda: code in self.runtimes)
        return self.runtimes[code]

    async def empty(self) -> None:
        """Wait until nothing is listed."""
        await self.until(lambda: not self.runtimes)


@asynccontextmanager
async def bridged(dialplan: str = DIALPLAN, *, audit_s: float = 60.0, **settings: Any) -> AsyncIterator[Bridged]:
    """Let a bridge run at an Asterisk with that dialplan, and wait until it is up."""
    asterisk = Asterisk(Dialplan(dialplan), Settings(**{"channelvars": VARIABLES, **settings}))
    world = Bridged(asterisk, audit_s=audit_s)
    world.start()
    try:
        await world.up()
        yield world
    finally:
        await world.stop()
        await asterisk.close()
