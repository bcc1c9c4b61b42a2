"""How a bridge is measured: lists after lost connections, then calls that begin and end at a rate.

The bridge is its program in a process of its own; the engine and the agent are played by this one. The baseline, in a
third process, does the least a client can with the same events. Used by `asterisk` and `freeswitch`.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from benchmarks import report
from benchmarks.beside import Agent, cpu_s, memory_mib, running, served
from emulators import free_port

CHANNELS: Final = 1_000
LISTS: Final = 5
RATE: Final = 200
"""Starts and ends in a second."""

RATE_S: Final = 10.0
TICK_S: Final = 0.05
TOKEN: Final = "node-token"  # noqa: S105  # of a server that listens for seconds

HangUp = Callable[[], object]
"""Ends one call."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """An engine that is played. `port` is where bridge and baseline connect."""

    port: int
    settings: dict[str, str]
    """Those of the bridge that this engine needs, without their prefix."""
    call: Callable[[], tuple[str, HangUp]]
    """Lets a call in; returns its id as the agent is told it."""
    cut: Callable[[], None]
    """Cuts the bridge's connection."""


def main(name: str, played: AbstractAsyncContextManager[Played], baseline: Callable[[int], None]) -> None:
    """Measure and tell, or be the baseline at the port that is the argument."""
    if len(sys.argv) > 1:
        baseline(int(sys.argv[1]))
        return
    report.head(f"{name}: a list of {CHANNELS} channels, then {RATE} starts and ends a second for {RATE_S:g} s")
    found = {f"{name}_{figure}": value for figure, value in asyncio.run(_measure(name, played)).items()}
    for figure, value in found.items():
        report.say(f"  {figure:<32} {value}")
    report.tell(found)


class Log:
    """The bridge's log: how long its lists took, ms."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr
        self._lines = process.stderr
        self.lists: list[int] = []
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for line in self._lines:
            told = json.loads(line)
            if told["action"] == "resynchronised":
                self.lists.append(told["took_ms"])

    async def has(self, lists: int) -> None:
        """Wait for so many lists in all."""
        async with asyncio.timeout(60):
            while len(self.lists) < lists:  # noqa: ASYNC110  # lines come when they come
                await asyncio.sleep(0.01)


async def _measure(name: str, played: AbstractAsyncContextManager[Played]) -> dict[str, float]:
    """Take all figures in turn."""
    agent = Agent()
    async with played as engine, served(agent) as port:
        living = deque(engine.call()[1] for _ in range(CHANNELS))
        await asyncio.sleep(2)
        async with running(f"ivr_{name}", **_settings(name, engine, port)) as bridge:
            found = await _listed(engine, bridge)
            async with running(f"benchmarks.{name}", str(engine.port)) as bare:
                await asyncio.sleep(2)
                ours, theirs = cpu_s(bridge.pid), cpu_s(bare.pid)
                found |= await _kept_up(engine, living, agent)
                ours, theirs = cpu_s(bridge.pid) - ours, cpu_s(bare.pid) - theirs
            found["calls_per_cpu_s"] = round(RATE * RATE_S / ours)
            found["cpu_share"] = round(ours / RATE_S, 3)
            found["cpu_vs_bare_reader"] = round(ours / theirs, 2)
            found["memory_mib"] = round(memory_mib(bridge.pid), 1)
    return found


def _settings(name: str, engine: Played, agent: int) -> dict[str, str]:
    told = {
        "LISTEN": f"http://127.0.0.1:{free_port()}",
        "AGENT": f"http://127.0.0.1:{agent}",
        "TOKEN": TOKEN,
        "SCRIPTS": json.dumps([{"context": "ivr"}]),
        **engine.settings,
    }
    return {f"IVR_{name.upper()}_{setting}": value for setting, value in told.items()}


async def _listed(engine: Played, bridge: asyncio.subprocess.Process) -> dict[str, float]:
    """Cut the connection again and again; return how long a full list takes, and the CPU of one."""
    log = Log(bridge)
    await log.has(1)
    before_s = cpu_s(bridge.pid)
    for number in range(LISTS):
        engine.cut()
        await log.has(number + 2)
    report.say(f"  a list of {CHANNELS} channels took (ms) {log.lists}")
    return {
        "list_1000_ms": statistics.median(log.lists[1:]),
        "list_1000_cpu_ms": round((cpu_s(bridge.pid) - before_s) * 1000 / LISTS),
    }


async def _kept_up(engine: Played, living: deque[HangUp], agent: Agent) -> dict[str, float]:
    """Let calls begin and end at the rate; return how late their events came, ms."""
    made: dict[str, float] = {}
    ends_before, begun = len(agent.ended), time.monotonic()
    for tick in range(int(RATE_S / TICK_S)):
        await asyncio.sleep(max(0.0, begun + tick * TICK_S - time.monotonic()))
        for _ in range(int(RATE * TICK_S)):
            call, hang_up = engine.call()
            made[call] = time.monotonic()
            living.append(hang_up)
            living.popleft()()
    last = time.monotonic()
    async with asyncio.timeout(60):
        while not (made.keys() <= agent.began.keys() and len(agent.ended) - ends_before >= len(made)):  # noqa: ASYNC110  # events come when they come
            await asyncio.sleep(0.01)
    late = sorted((agent.began[call] - at) * 1000 for call, at in made.items())
    return {
        "per_s": round(len(made) / (last - begun), 1),
        "start_p50_ms": round(late[len(late) // 2], 1),
        "start_p99_ms": round(late[len(late) * 99 // 100], 1),
        "behind_s": round(time.monotonic() - last, 2),
    }
