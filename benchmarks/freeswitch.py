"""bench-freeswitch: the bridge to FreeSWITCH at the tests' scripted one, beside a bare reader of the same events.

The bridge is the program `ivr-freeswitch` in a process of its own; FreeSWITCH and the agent are played by this one. The
baseline, in a third process, does the least a client can: it reads the stream, cuts it into frames, parses each event's
JSON, and keeps nothing. Run by `make bench-freeswitch`, on a machine that does nothing else.
"""

import asyncio
import json
import socket
import statistics
import sys
import time
from collections import deque
from typing import Final

from benchmarks import report
from benchmarks.beside import Agent, cpu_s, memory_mib, running, served
from emulators import free_port
from esl.server import Server
from esl.switch import Switch

CHANNELS: Final = 1_000
LISTS: Final = 5
RATE: Final = 200
"""Starts and ends in a second."""

RATE_S: Final = 10.0
TICK_S: Final = 0.05
TOKEN: Final = "node-token"  # noqa: S105  # of a server that listens for seconds
SUBSCRIPTION: Final = "CHANNEL_CREATE CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE"


def settings(esl: int, agent: int) -> dict[str, str]:
    told = {
        "LISTEN": f"http://127.0.0.1:{free_port()}",
        "AGENT": f"http://127.0.0.1:{agent}",
        "TOKEN": TOKEN,
        "PORT": str(esl),
        "PASSWORD": "secret",
        "SCRIPTS": json.dumps([{"context": "ivr"}]),
    }
    return {f"IVR_FREESWITCH_{name}": value for name, value in told.items()}


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


async def listed(server: Server, log: Log) -> float:
    """Cut the connection again and again; return how long a full list takes, ms."""
    await log.has(1)
    for number in range(LISTS):
        server.drop()
        await log.has(number + 2)
    return statistics.median(log.lists[1:])


async def kept_up(switch: Switch, agent: Agent) -> dict[str, float]:
    """Let calls begin and end at the rate; return how late their events came, ms."""
    made: dict[str, float] = {}
    living, ends_before = deque(switch.channels), len(agent.ended)
    begun = time.monotonic()
    for tick in range(int(RATE_S / TICK_S)):
        await asyncio.sleep(max(0.0, begun + tick * TICK_S - time.monotonic()))
        for _ in range(int(RATE * TICK_S)):
            living.append(switch.originate("welcome"))
            made[living[-1]] = time.monotonic()
            switch.hang_up(living.popleft())
    last = time.monotonic()
    async with asyncio.timeout(60):
        while not (made.keys() <= agent.began.keys() and len(agent.ended) - ends_before >= len(made)):  # noqa: ASYNC110  # events come when they come
            await asyncio.sleep(0.01)
    late = sorted((agent.began[call] - at) * 1000 for call, at in made.items())
    return {
        "freeswitch_per_s": round(len(made) / (last - begun), 1),
        "freeswitch_start_p50_ms": round(late[len(late) // 2], 1),
        "freeswitch_start_p99_ms": round(late[len(late) * 99 // 100], 1),
        "freeswitch_behind_s": round(time.monotonic() - last, 2),
    }


async def measure() -> dict[str, float]:
    """Take all figures in turn."""
    agent, switch, port = Agent(), Switch(), free_port()
    async with Server(switch).at_port(port) as server, served(agent) as agent_port:
        for _ in range(CHANNELS):
            switch.originate("welcome")
        await asyncio.sleep(2)
        async with running("ivr_freeswitch", **settings(port, agent_port)) as bridge:
            log = Log(bridge)
            await log.has(1)
            before = cpu_s(bridge.pid)
            found: dict[str, float] = {"freeswitch_list_1000_ms": await listed(server, log)}
            found["freeswitch_list_1000_cpu_ms"] = round((cpu_s(bridge.pid) - before) * 1000 / LISTS)
            report.say(f"  a list of {CHANNELS} channels took (ms) {log.lists}")
            async with running("benchmarks.freeswitch", str(port)) as bare:
                await asyncio.sleep(2)
                ours, theirs = cpu_s(bridge.pid), cpu_s(bare.pid)
                found |= await kept_up(switch, agent)
                ours, theirs = cpu_s(bridge.pid) - ours, cpu_s(bare.pid) - theirs
            found["freeswitch_calls_per_cpu_s"] = round(RATE * RATE_S / ours)
            found["freeswitch_cpu_share"] = round(ours / RATE_S, 3)
            found["freeswitch_cpu_vs_bare_reader"] = round(ours / theirs, 2)
            found["freeswitch_memory_mib"] = round(memory_mib(bridge.pid), 1)
        switch.end()
    return found


def read_barely(port: int) -> None:
    """The baseline: read all events and parse each."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"auth secret\n\nevent json {SUBSCRIPTION}\n\n".encode())
        stream = connection.makefile("rb")
        length = 0
        while line := stream.readline():
            if line.startswith(b"Content-Length: "):
                length = int(line[16:])
            elif line == b"\n" and length:
                json.loads(stream.read(length))
                length = 0


def main() -> None:
    """Run the benchmark."""
    report.head(f"freeswitch: a list of {CHANNELS} channels, then {RATE} starts and ends a second for {RATE_S:g} s")
    found = asyncio.run(measure())
    for name, figure in found.items():
        report.say(f"  {name:<32} {figure}")
    report.tell(found)


if __name__ == "__main__":
    read_barely(int(sys.argv[1])) if len(sys.argv) > 1 else main()
