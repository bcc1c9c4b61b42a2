"""A bridge beside a scripted FreeSWITCH in one process, over a Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import SystemRandom
from typing import Any

from esl.server import Server
from esl.switch import Switch
from ivr_engine.life import Joined, Life, Times
from ivr_engine.model import Changed, Ended, Event, FullState
from ivr_engine.reconnect import stay_connected
from ivr_engine.stopping import Stops
from ivr_freeswitch.bridge import Bridge
from ivr_freeswitch.calls import Calls
from ivr_freeswitch.link import connected
from ivr_freeswitch.scripts import Rule, Scripts
from noted import Noted

RULES = (
    Rule(context="ivr", extension="welcome|1..", domain="test.rootdomain.ru", post_processing="ivr-external-stop"),
    Rule(context="ivr", domain="test.rootdomain.ru"),
    Rule(context="ivr-player", domain="test.rootdomain.ru", post_processing="ivr-stop-catchall", catch_all=True),
    Rule(context="ivr-menu", domain="test.rootdomain.ru"),
    Rule(context="ivr-free"),
    Rule(lua=r"menu\.lua", domain="test.rootdomain.ru"),
    Rule(menu="main|sales", domain="test.rootdomain.ru"),
)

FAST = Times(look_every_s=0.1, list_lag_s=0.08, silent_s=8)

PATIENCE_S = 20.0


async def until(happened: Callable[[], Any], what: str = "") -> None:
    """Wait until it happened."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + PATIENCE_S
    while not happened():
        assert loop.time() < end_s, f"waited {PATIENCE_S:g} s for {what or happened}"
        await asyncio.sleep(0.005)


class World:
    """A bridge on a switch. `told` are the events for the agent, `sessions` what it has begun."""

    def __init__(self, switch: Switch, server: Server, path: str) -> None:
        self.switch, self.server, self.path = switch, server, path
        self.told: list[Event] = []
        self.sessions: list[str] = []
        self.bridge: Joined
        self.calls: Calls
        self.life: Life
        self.stops: Stops
        self.times, self.stop_s = FAST, PATIENCE_S
        self.user: tuple[str | None, str] = (None, "secret")
        self._running: asyncio.Task[None] | None = None

    def rows(self) -> dict[str, FullState]:
        return {state.id: state for state in self.bridge.snapshot().runtimes}

    def codes(self) -> list[str]:
        return sorted(row.code for row in self.rows().values())

    def ends(self) -> dict[str, str]:
        return {event.id: event.stoptype for event in self.told if isinstance(event, Ended)}

    def states(self, runtime_id: str) -> list[FullState]:
        return [event.state for event in self.told if isinstance(event, Changed) and event.state.id == runtime_id]

    def start(self) -> None:
        """Start a bridge, as a process of its own would."""
        life = Life(Noted(self.told, self.sessions), time=asyncio.get_running_loop().time)
        user, password = self.user
        connect = partial(
            connected, streams=partial(asyncio.open_unix_connection, self.path), user=user, password=password
        )
        calls = Calls(Scripts(RULES), life.mirror)
        bridge = Bridge(calls, life, connect=connect, times=self.times, stop_s=self.stop_s, proof_s=0.2)
        self.bridge, self.calls, self.life = Joined(life, bridge.stops), bridge.calls, life
        self.stops = bridge.stops
        self._running = asyncio.create_task(
            stay_connected(bridge.connection, rng=SystemRandom(), pause=lambda _: asyncio.sleep(0.02))
        )

    async def ready(self) -> None:
        """Wait until the bridge knows the channels of the engine's life."""
        await until(lambda: self.bridge.session == self.switch.core, "the session")

    def hurry(self) -> None:
        """Give up stops soon: for tests of those that have no effect."""
        self.stops._stop_s = 0.8

    async def stop(self) -> None:
        if self._running:
            self._running.cancel()
            await asyncio.wait({self._running})
            if not self._running.cancelled():
                self._running.result()
        self._running = None


@asynccontextmanager
async def worlds(path: str) -> AsyncIterator[World]:
    """Serve a switch at the path; the bridge is not started."""
    switch = Switch(list_lag_s=0.05)
    async with Server(switch).at_path(path) as server:
        world = World(switch, server, path)
        try:
            yield world
        finally:
            await world.stop()
            switch.end()
