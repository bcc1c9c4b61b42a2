"""Kills agents and engines and starts them again, as the schedule has it.

Owns the processes' deaths: who was killed when, and until when the node was not whole. Never ends anything in order:
SIGKILL is the point. `run` drives it.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp

from chaos.history import Trouble
from chaos.schedule import Blow, Schedule
from ivr_local.nodes import Node, Part

WELL_WITHIN_S: Final = 20.0
"""A node that does not say it is well so long after its start has only itself to blame: it counts as whole again."""

LOOK_S: Final = 0.2


@dataclass(slots=True, kw_only=True)
class Havoc:
    """The killing. `killed` maps the pids of dead engines to the instants of their deaths."""

    nodes: Mapping[str, Node]
    schedule: Schedule
    http: aiohttp.ClientSession
    killed: dict[int, float] = field(default_factory=dict)
    kills: int = 0
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
        """Kill and start again. A node that is down already is left alone: the blow came too soon after another."""
        locks = [self._locks.setdefault(name, asyncio.Lock()) for name in sorted(blow.nodes)]
        if any(lock.locked() for lock in locks):
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
        for node in nodes:
            for part in blow.parts:
                await self._kill(node, Part(part))
        await asyncio.sleep(blow.down_s)
        if len(nodes) == 2:
            first, second = nodes
            ports = first.spec.control_port, second.spec.control_port
            second.spec, first.spec = (
                replace(second.spec, control_port=ports[0]),
                replace(first.spec, control_port=ports[1]),
            )
        for node in nodes:
            await node.start(*(Part(part) for part in blow.parts))

    async def _kill(self, node: Node, part: Part) -> None:
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
