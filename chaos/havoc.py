"""Kills agents and engines and starts them again, as the schedule has it.

Owns the processes' deaths: who was killed when, and until when the node was not whole. Never ends anything in order:
SIGKILL is the point. `run` drives it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp

from chaos import doors
from chaos.doors import Doors
from chaos.history import Trouble
from chaos.schedule import Blow, Schedule
from ivr_local.nodes import Node, Part

WELL_WITHIN_S: Final = 20.0
"""A node that does not say it is well so long after its start has only itself to blame: it counts as whole again."""

LOOK_S: Final = 0.2


@dataclass(slots=True, kw_only=True)
class Havoc:
    """The killing. `killed` maps the pids of dead engines to the instants of their deaths.

    `doors` are those of the nodes that swap.
    """

    nodes: Mapping[str, Node]
    doors: Mapping[str, Doors]
    schedule: Schedule
    http: aiohttp.ClientSession
    killed: dict[int, float] = field(default_factory=dict)
    kills: int = 0
    swaps: Counter[str] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _struck: list[asyncio.Task[None]] = field(default_factory=list)

    async def rage(self) -> None:
        """Strike every blow at its time, until cancelled."""
        began_at = time.time()
        for blow in self.schedule.blows:
            await asyncio.sleep(max(0.0, began_at + blow.at_s - time.time()))
            self._struck.append(asyncio.create_task(self._strike(blow)))

    async def mend(self) -> None:
        """Wait until everything that was killed runs again; raises what went wrong with it."""
        await asyncio.gather(*self._struck)

    async def _strike(self, blow: Blow) -> None:
        """Kill and start again.

        A node that is down already is left alone: the blow came too soon after another. A swap waits for its nodes.
        """
        locks = [self._locks.setdefault(name, asyncio.Lock()) for name in sorted(blow.nodes)]
        if len(locks) == 1 and locks[0].locked():
            return
        for lock in locks:
            await lock.acquire()
        nodes, began_at = [self.nodes[name] for name in blow.nodes], time.time()
        try:
            await self._down_and_up(nodes, blow)
        finally:
            for lock in locks:
                lock.release()
        await asyncio.gather(*(self._until_well(node) for node in nodes))
        self.troubles += [Trouble(node.spec.name, "process", began_at, time.time()) for node in nodes]

    async def _down_and_up(self, nodes: list[Node], blow: Blow) -> None:
        parts = [Part(part) for part in blow.parts]
        if len(nodes) == 2:
            await self._swap(nodes[0], nodes[1], parts, blow.down_s)
            return
        await self._kill(nodes, parts)
        await asyncio.sleep(blow.down_s)
        await self._start(nodes, parts)

    async def _swap(self, one: Node, other: Node, parts: list[Part], down_s: float) -> None:
        """Bring two nodes back on each other's old ports.

        Engines first: until their agents follow, each agent finds a stranger where its engine was, and each engine
        where its agent was, and only the tokens tell.
        """
        nodes = [one, other]
        self.swaps["agents" if Part.ENGINE not in parts else "engines and agents"] += 1
        if Part.ENGINE in parts:
            await self._kill(nodes, [Part.ENGINE])
            doors.exchange(*(self.doors[node.spec.name] for node in nodes))
            await self._start(nodes, [Part.ENGINE])
            await asyncio.sleep(down_s)
            await self._kill(nodes, [Part.AGENT])
        else:
            await self._kill(nodes, [Part.AGENT])
            await asyncio.sleep(down_s)
        ports = one.spec.control_port, other.spec.control_port
        other.spec, one.spec = replace(other.spec, control_port=ports[0]), replace(one.spec, control_port=ports[1])
        await self._start(nodes, [Part.AGENT])

    async def _start(self, nodes: list[Node], parts: list[Part]) -> None:
        for node in nodes:
            await node.start(*parts)

    async def _kill(self, nodes: list[Node], parts: list[Part]) -> None:
        for node in nodes:
            for part in parts:
                await self._end(node, part)

    async def _end(self, node: Node, part: Part) -> None:
        child = node.children[part]
        child.kill()
        await child.wait()
        self.kills += 1
        if part is Part.ENGINE:
            self.killed[child.pid] = time.time()

    async def _until_well(self, node: Node) -> None:
        deadline = time.monotonic() + WELL_WITHIN_S
        while time.monotonic() < deadline and await node.missing(self.http):  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(LOOK_S)
