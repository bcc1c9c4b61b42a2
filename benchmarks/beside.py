"""What stands beside a bridge that is measured: the agent that it tells, and what its process uses.

Owns the played agent and the running of programs. Used by the benchmarks of the bridges.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators import free_port


class Agent:
    """Takes the bridge's events. `began` and `ended` are when an event of each start and end came."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: list[float] = []

    def application(self) -> web.Application:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_put("/v1/runtimes/{id}", self._one)
        app.router.add_delete("/v1/runtimes/{id}", self._end)
        app.router.add_post("/v1/events", self._many)
        return app

    async def _one(self, request: web.Request) -> web.Response:
        return self._take([await request.json()])

    async def _end(self, _: web.Request) -> web.Response:
        return self._take([{"id": ""}])

    async def _many(self, request: web.Request) -> web.Response:
        return self._take((await request.json())["events"])

    def _take(self, events: list[dict[str, Any]]) -> web.Response:
        now = time.monotonic()
        for event in events:
            if runtime := event.get("runtime"):
                self.began.setdefault(runtime["call_id"], now)
            else:
                self.ended.append(now)
        return web.Response(status=204)


def cpu_s(pid: int) -> float:
    """CPU that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


@asynccontextmanager
async def served(agent: Agent) -> AsyncIterator[int]:
    """Play the agent; yield its port."""
    runner = web.AppRunner(agent.application(), access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield port
    await runner.cleanup()


@asynccontextmanager
async def running(*command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()
