"""The embedded stack with one site of one node, whose engine is ended and replaced by ours, and clients of its AWS.

Owns what every measurement needs: the stack, the agent's metrics, threads and waiting. Measures nothing.
"""

import asyncio
import os
import re
import secrets
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from benchmarks.stop.engine import DOMAIN, BenchEngine, EngineLink, Events
from stack import Stack

FEW: Final = 10
"""Runtimes on the agent at the beginning: what it must cope with."""

SITE: Final = "BENCH"
FLEET: Final = f"""
[[sites]]
code = "{SITE}"
nodes = ["bench@127.0.0.1"]
[[domains]]
name = "{DOMAIN}"
scripts = ["player"]
calls_per_minute = 0
[[clients]]
id = "bench"
secret = "{secrets.token_hex(16)}"
domain = "{DOMAIN}"
scopes = ["ivrscript_runtimes:read", "ivrscript_runtimes:stop"]
"""


class Bench:
    """The running stack, our engine in it, and clients of the emulator."""

    def __init__(self, stack: Stack, engine: BenchEngine, events: Events) -> None:
        self.stack = stack
        self.state = stack.state
        self.node = self.state["nodes"][0]
        self.engine = engine
        self.events = events
        self.token = stack.token(DOMAIN)
        self.queue_url = next(url for name, url in self.state["queue_urls"].items() if name.endswith(f"-stop-{SITE}"))
        self.table = next(name for name in self.state["tables"].values() if "runtimes" in name.lower().split("-")[-1])
        self.nodes_table = next(name for name in self.state["tables"].values() if name != self.table)
        self.sqs, self.dynamodb = self._client("sqs"), self._client("dynamodb")
        self.pool = ThreadPoolExecutor(16)

    def _client(self, service: str) -> Any:
        """Return a client as the AWS SDK's own documentation makes it."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # a str, not one of the literals: two services are meant
            endpoint_url=self.state["endpoint_url"],
            region_name=self.state["region"],
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106  # the emulator takes any
            config=Config(max_pool_connections=16),
        )

    async def threads(self, count: int, work: Callable[[], object]) -> float:
        """Run `work` in so many threads at the same time; return the seconds it took."""
        begun_s = time.perf_counter()
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self.pool, work) for _ in range(count)))
        return time.perf_counter() - begun_s

    async def metric(self, pattern: str) -> float:
        """Return the sum of the agent's metrics whose line begins with that pattern."""
        return sum(value for _, value in await self.metrics(pattern))

    async def metrics(self, pattern: str) -> list[tuple[str, float]]:
        """Return name and value of the agent's metrics whose line begins with that pattern."""
        url = f"http://127.0.0.1:{self.node['control_port']}/metrics"

        def read() -> str:
            with urllib.request.urlopen(url, timeout=10) as answer:  # our own loopback address
                return str(answer.read().decode())

        text = await asyncio.to_thread(read)
        found = re.findall(rf"^(ivr_agent_{pattern}\S*) (\S+)$", text, re.MULTILINE)
        return [(name, float(value)) for name, value in found]

    @contextmanager
    def agent_halted(self) -> Iterator[None]:
        """Keep the agent's process from running at all."""
        os.kill(self.node["agent_pid"], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.node["agent_pid"], signal.SIGCONT)


async def until(check: Callable[[], Awaitable[bool]], *, every_s: float = 0.02, within_s: float = 30.0) -> None:
    """Wait until the check is true."""
    end_s = time.monotonic() + within_s
    while not await check():
        assert time.monotonic() < end_s, f"not within {within_s} s"
        await asyncio.sleep(every_s)


@asynccontextmanager
async def taking_the_engines_place(stack: Stack) -> AsyncIterator[Bench]:
    """Serve our engine where the node's own one was."""
    node = stack.state["nodes"][0]
    os.kill(node["engine_pid"], signal.SIGKILL)
    engine, path = BenchEngine(), node["engine_address"].removeprefix("unix:")
    await asyncio.sleep(0.2)
    Path(path).unlink(missing_ok=True)  # noqa: ASYNC240  # before anything is measured
    server = await asyncio.get_running_loop().create_unix_server(lambda: EngineLink(engine), path)
    streams = await asyncio.open_unix_connection(node["agent_address"].removeprefix("unix:"))
    try:
        yield Bench(stack, engine, Events(*streams))
    finally:
        streams[1].close()
        server.close()
