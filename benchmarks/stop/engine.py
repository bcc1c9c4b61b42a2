"""The engine side of docs/engine-protocol.md without scripts, as bare as HTTP/1.1 goes: it must not be the limit.

Owns the runtimes that the agent is told of, when a command came, and both connections. Measures nothing.
"""

import asyncio
import json
import re
import time
from typing import Any, Final, cast
from uuid import uuid4

DOMAIN: Final = "bench.example"


class BenchEngine:
    """The engine side of docs/engine-protocol.md without scripts. `told` maps stop ids to when they came."""

    def __init__(self) -> None:
        self.session = uuid4().hex
        self.seq = 0
        self.runtimes: dict[str, dict[str, Any]] = {}
        self.told: dict[str, float] = {}
        self.heard = asyncio.Event()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and content of the answer to a request."""
        if method == "POST":
            return self._command(path.split("/")[3], json.loads(body)["stop_id"])
        about = {"session": self.session, "seq": self.seq}
        return 200, about if path == "/v1/status" else {**about, "runtimes": [*self.runtimes.values()]}

    def _command(self, runtime_id: str, stop_id: str) -> tuple[int, dict[str, Any]]:
        self.told.setdefault(stop_id, time.perf_counter())
        self.heard.set()
        if runtime_id not in self.runtimes:
            return 404, {"error": "unknown_runtime", "session": self.session}
        return 200, {"session": self.session, "state": "running", "result": "acted"}

    def start(self) -> bytes:
        """Start a runtime; return its event as the request to send."""
        event = self._started()
        return request("PUT", f"/v1/runtimes/{event['runtime']['id']}", {"session": self.session, **event})

    def start_together(self, count: int) -> bytes:
        """Start runtimes; return their events as one request."""
        return request(
            "POST", "/v1/events", {"session": self.session, "events": [self._started() for _ in range(count)]}
        )

    def _started(self) -> dict[str, Any]:
        self.seq += 1
        runtime_id = str(uuid4())
        state = {"id": runtime_id, "domain": DOMAIN, "type": "ivr", "code": "player", "name": "TEST PLAY"}
        state |= {"starttime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "state": "running"}
        self.runtimes[runtime_id] = state
        return {"seq": self.seq, "runtime": state}

    def end(self, runtime_id: str) -> bytes:
        """End a runtime; return its event as the request to send."""
        self.seq += 1
        del self.runtimes[runtime_id]
        query = f"session={self.session}&seq={self.seq}&stoptype=normal"
        return f"DELETE /v1/runtimes/{runtime_id}?{query} HTTP/1.1\r\nHost: agent\r\n\r\n".encode()


class EngineLink(asyncio.Protocol):
    """One connection of the agent to our engine, as bare as HTTP/1.1 goes: the engine must not be the limit."""

    def __init__(self, engine: BenchEngine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *([0-9]+)", head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._received = rest[size:]
            method, path, _ = head.decode().split(" ", 2)
            status, content = self._engine.answer(method, path, rest[:size])
            body = json.dumps(content).encode()
            self._transport.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


def request(method: str, path: str, content: object) -> bytes:
    body = json.dumps(content)
    return f"{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Events:
    """One kept-alive connection to the agent, pipelined (RFC 9112 section 9.3.2): the engine must not be the limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *requests: bytes) -> None:
        """Send events and await their answers."""
        answers = asyncio.create_task(self._answers(len(requests)))
        for at in range(0, len(requests), 50):
            self._writer.write(b"".join(requests[at : at + 50]))
            await self._writer.drain()
        await answers

    async def _answers(self, count: int) -> None:
        for _ in range(count):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 204"), head
