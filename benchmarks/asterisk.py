"""bench-asterisk: the bridge to Asterisk at the tests' own Asterisk, beside a bare reader of the same events.

The bridge is the program `ivr-asterisk` in a process of its own; Asterisk and the agent are played by this one. The
baseline, in a third process, does the least a client can: it reads the stream, cuts it into messages and each into its
headers, and keeps nothing. Run by `make bench-asterisk`, on a machine that does nothing else.
"""

import asyncio
import json
import socket
import statistics
import sys
import time
from collections import deque
from typing import Final

from ami import Asterisk, Dialplan, Server, Settings
from ami.calls import incoming, request_hangup
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
NEVER_S: Final = 3600

DIALPLAN: Final = """
[ivr]
exten => welcome,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Set(IVR_NAME=Main scenario)
 same => n,Wait(3600)
"""
VARIABLES: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")


def settings(ami: int, agent: int) -> dict[str, str]:
    told = {
        "LISTEN": f"http://127.0.0.1:{free_port()}",
        "AGENT": f"http://127.0.0.1:{agent}",
        "TOKEN": TOKEN,
        "NODE": "bench@127.0.0.1",
        "AMI": f"tcp://127.0.0.1:{ami}",
        "USERNAME": "ivr",
        "SECRET": "secret",
        "SCRIPTS": '[{"context": "ivr"}]',
        "LOG_LEVEL": "debug",
        "AUDIT_S": str(NEVER_S),
    }
    return {f"IVR_ASTERISK_{name}": value for name, value in told.items()}


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
        server.cut()
        await log.has(number + 2)
    return statistics.median(log.lists[1:])


async def kept_up(asterisk: Asterisk, agent: Agent) -> dict[str, float]:
    """Let calls begin and end at the rate; return how late their events came, ms."""
    made: dict[str, float] = {}
    living, ends_before = deque(asterisk.channels.values()), len(agent.ended)
    begun = time.monotonic()
    for tick in range(int(RATE_S / TICK_S)):
        await asyncio.sleep(max(0.0, begun + tick * TICK_S - time.monotonic()))
        for _ in range(int(RATE * TICK_S)):
            living.append(incoming(asterisk, "ivr", "welcome"))
            made[living[-1].linkedid] = time.monotonic()
            request_hangup(asterisk, living.popleft(), 16)
    last = time.monotonic()
    async with asyncio.timeout(60):
        while not (made.keys() <= agent.began.keys() and len(agent.ended) - ends_before >= len(made)):  # noqa: ASYNC110  # events come when they come
            await asyncio.sleep(0.01)
    late = sorted((agent.began[call] - at) * 1000 for call, at in made.items())
    return {
        "asterisk_per_s": round(len(made) / (last - begun), 1),
        "asterisk_start_p50_ms": round(late[len(late) // 2], 1),
        "asterisk_start_p99_ms": round(late[len(late) * 99 // 100], 1),
        "asterisk_behind_s": round(time.monotonic() - last, 2),
    }


async def measure() -> dict[str, float]:
    """Take all figures in turn."""
    agent = Agent()
    asterisk = Asterisk(Dialplan(DIALPLAN), Settings(channelvars=VARIABLES))
    async with Server(asterisk) as server, served(agent) as port:
        for _ in range(CHANNELS):
            incoming(asterisk, "ivr", "welcome")
        await asyncio.sleep(2)
        async with running("ivr_asterisk", **settings(server.port, port)) as bridge:
            log = Log(bridge)
            found: dict[str, float] = {"asterisk_list_1000_ms": await listed(server, log)}
            report.say(f"  a list of {CHANNELS} channels took (ms) {log.lists}")
            async with running("benchmarks.asterisk", str(server.port)) as bare:
                await asyncio.sleep(2)
                ours, theirs = cpu_s(bridge.pid), cpu_s(bare.pid)
                found |= await kept_up(asterisk, agent)
                ours, theirs = cpu_s(bridge.pid) - ours, cpu_s(bare.pid) - theirs
            found["asterisk_calls_per_cpu_s"] = round(RATE * RATE_S / ours)
            found["asterisk_cpu_share"] = round(ours / RATE_S, 3)
            found["asterisk_cpu_vs_bare_reader"] = round(ours / theirs, 2)
            found["asterisk_memory_mib"] = round(memory_mib(bridge.pid), 1)
    return found


def read_barely(port: int) -> None:
    """The baseline: read all events and cut them into headers."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"Action: Login\r\nUsername: ivr\r\nSecret: secret\r\nEvents: on\r\n\r\n")
        rest = b""
        while data := connection.recv(64 * 1024):
            *messages, rest = (rest + data).split(b"\r\n\r\n")
            for message in messages:
                dict(line.split(": ", 1) for line in message.decode().split("\r\n") if ": " in line)


def main() -> None:
    """Run the benchmark."""
    report.head(f"asterisk: a list of {CHANNELS} channels, then {RATE} starts and ends a second for {RATE_S:g} s")
    found = asyncio.run(measure())
    for name, figure in found.items():
        report.say(f"  {name:<32} {figure}")
    report.tell(found)


if __name__ == "__main__":
    read_barely(int(sys.argv[1])) if len(sys.argv) > 1 else main()
