"""The bridge, as it is wired, beside an Asterisk of the tests' own, in one loop and without a network.

Owns the wiring for tests and the words in which they ask: `rows` is what the agent would be told.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import ivr_asterisk.__main__ as program
from ami import Asterisk, Dialplan, Faults, Quirks, Server, Settings
from ami.calls import incoming
from ami.channel import Channel
from ami.recording import FOLDER
from ivr_asterisk.bridge import Bridge
from ivr_asterisk.naming import runtime_id
from ivr_asterisk.settings import Settings as BridgeSettings
from ivr_engine.life import Joined as Engine
from ivr_engine.life import Life
from ivr_engine.model import Ended, Event, FullState
from ivr_engine.reconnect import stay_connected
from noted import Noted

RECORDED: Final = (FOLDER / "config" / "extensions.conf").read_text()
"""The dialplan of the recordings."""

CHANNELVARS: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")

CONTEXTS: Final = "ivr(-player|-menu|-plain)?"

DOMAIN: Final = "test.rootdomain.ru"

SCRIPTS: Final = ({"context": CONTEXTS, "domain": DOMAIN},)

SOON_S: Final = 30.0


@dataclass(slots=True)
class Joined:
    """A bridge and its Asterisk. `bridge` is what the server asks of the one that was started last."""

    asterisk: Asterisk
    server: Server
    settings: BridgeSettings
    told: list[Event] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    bridge: Engine = field(init=False)
    asks: Bridge = field(init=False)
    running: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, FullState]:
        """The runtimes by id, as a snapshot shows them."""
        return {row.id: row for row in self.bridge.snapshot().runtimes}

    def id_of(self, channel: Channel) -> str:
        """Return the id of the runtime on a channel."""
        return runtime_id(self.bridge.session or "", channel.uniqueid)

    def row(self, channel: Channel) -> FullState | None:
        """Return the runtime on a channel; None if there is none."""
        return self.rows.get(self.id_of(channel))

    def code(self, channel: Channel) -> str:
        """Return the code of the runtime on a channel, "" if there is none."""
        row = self.row(channel)
        return row.code if row else ""

    def ends(self, channel: Channel) -> list[str]:
        """Return the termination types with which the channel's runtime was said to end."""
        return [str(one.stoptype) for one in self.told if isinstance(one, Ended) and one.id == self.id_of(channel)]

    async def call(self, exten: str, *, context: str = "ivr", **caller: str) -> Channel:
        """Let a call in and wait until it is listed."""
        channel = incoming(self.asterisk, context, exten, **caller)
        await self.until(lambda: self.row(channel) is not None)
        return channel

    async def until(self, holds: Callable[[], object], *, within_s: float = SOON_S) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110  # any condition
                await asyncio.sleep(0.01)

    async def settled(self, seconds: float = 6.0) -> None:
        """Let everything that is on its way arrive: events, look-ups, pings."""
        await asyncio.sleep(seconds)

    async def reachable(self) -> None:
        """Wait until the bridge has listed all channels."""
        await self.until(lambda: self.asks.reachable)

    async def start(self) -> None:
        """Start the bridge, or another one in its place."""
        loop = asyncio.get_running_loop()
        life = Life(Noted(self.told, self.sessions), time=loop.time)
        self.asks = program.build(self.settings, life, dial=partial(asyncio.open_unix_connection, self.server.path))
        self.bridge = Engine(life, self.asks.stops)
        self.running.append(loop.create_task(stay_connected(self.asks.connection, rng=SystemRandom())))
        await self.reachable()

    async def stop(self) -> None:
        """End the bridge."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()


@asynccontextmanager
async def joined(
    dialplan: str = RECORDED,
    *,
    quirks: Quirks | None = None,
    faults: Faults | None = None,
    scripts: Iterable[dict[str, Any]] = SCRIPTS,
    calls: int = 0,
    **settings: Any,
) -> AsyncIterator[Joined]:
    """Run an Asterisk and a bridge beside it; `calls` are there before the bridge."""
    chosen = Settings(**{"channelvars": CHANNELVARS, **settings})
    asterisk = Asterisk(Dialplan(dialplan), chosen, quirks or Quirks(), faults or Faults())
    with tempfile.TemporaryDirectory() as folder:
        async with Server(asterisk, path=str(Path(folder) / "ami")) as server:
            for _ in range(calls):
                incoming(asterisk, "ivr", "welcome")
            await asyncio.sleep(0.1)
            bridge_settings = _settings(scripts)
            one = Joined(asterisk, server, bridge_settings)
            await one.start()
            try:
                yield one
            finally:
                await one.stop()


def _settings(scripts: Iterable[dict[str, Any]]) -> BridgeSettings:
    return BridgeSettings.model_validate(
        {
            "listen": "unix:/nowhere/engine.sock",
            "agent": "unix:/nowhere/agent.sock",
            "node": "site1_p@127.0.0.1",
            "username": "ivr",
            "secret": "secret",
            "scripts": json.dumps(list(scripts)),
        }
    )
