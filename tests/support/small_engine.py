"""A small engine of scripts that do nothing: right, but for the one way in which a test breaks it.

Owns just enough of docs/engine-protocol.md to pass the conformance kit, over sockets of its own, so that every byte of
an answer can be made wrong. `habits` are words for what it does wrong; `hooks` change one thing it says, by name: the
bodies `status`, `row`, `rows`, `snapshot`, `ack`, `refusal`, the whole `answer` as bytes, and an `event`.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from ivr_agent.protocol.wire import Stop
from ivr_engine.address import Address
from ivr_runtimes.identifiers import Session, StopId

TOKEN: Final = "node-token"
WITH_BRANCH, PLAIN = "survey", "player"
CALLS: Final = 40
COMMAND: Final = re.compile(r"/v1/runtimes/([^/]+)/(external_stop|terminate)")

Row = dict[str, Any]
Told = Any
"""Status and body of an answer."""

Hook = Callable[[Any], Any]


@dataclass(frozen=True)
class Request:
    """What the agent asks."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Event:
    """What the engine tells: `body` is JSON, bytes as they are, or None."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


TURNS: Final = 20
"""Turns of the event loop: more than a taken connection needs to reach its handler, or an aborted one its release."""

TOGETHER_TURNS: Final = 1000
"""Turns after which commands that were sent at the same moment are all there. A time might be over before, on a busy
machine."""


class SmallEngine:
    """The engine. `calls` begin before it is served, the odd ones of a script with an External Stop branch."""

    def __init__(self, *habits: str, calls: int = CALLS, upper: bool = False, **hooks: Hook) -> None:
        self.habits = frozenset(habits)
        self.hooks = hooks
        self.session, self.seq = "life-1", 0
        self.rows: dict[str, Row] = {}
        self.seen: dict[str, set[str]] = {}
        self.told: list[Event] = []
        self.asked: list[Request] = []
        self._answers = itertools.count(1)
        self.server: asyncio.Server
        self._ending = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._spell = str.upper if upper else str
        for number in range(calls):
            self.start(number, WITH_BRANCH if number % 2 else PLAIN)
        self.told.clear()  # as if the agent had come later

    def has(self, habit: str) -> bool:
        """Whether it does this wrong."""
        return habit in self.habits

    def say(self, name: str, what: Any) -> Any:
        """Return what it says there."""
        return self.hooks[name](what) if name in self.hooks else what

    # What runs

    def start(self, number: int, code: str) -> None:
        """Begin a call."""
        row = {"id": self._spell(f"244f84aa-0624-e639-8061-{number:012x}"), "domain": "test.rootdomain.ru"}
        row |= {"type": "ivr", "code": code, "name": code.title(), "starttime": f"2019-11-05T08:36:{number:02}Z"}
        self.change({**row, "state": "running", "stoptype": None, "stop_id": None, "rootcode": None, "rootname": None})

    def change(self, row: Row) -> None:
        """Take in and tell a runtime's new state."""
        self.rows[row["id"]] = row
        self.seq += 0 if self.has("changes without seq") and row["stop_id"] else 1
        self._tell("PUT", row["id"], {"session": self.session, "seq": self.seq, "runtime": dict(row)})

    def end(self, runtime_id: str, *, external: bool = False) -> None:
        """End a runtime."""
        if not (self.has("keeps what it ended") or (self.has("keeps what it stopped") and external)):
            del self.rows[runtime_id]
        self.seq += 0 if self.has("ends without seq") else 1
        told = {"session": self.session, "seq": self.seq, "stoptype": "stop"}
        self._tell("DELETE", runtime_id, told)

    def act(self, row: Row, verb: str, stop_id: str) -> dict[str, str]:
        """Carry a command out."""
        seen = self.seen.setdefault("all" if self.has("ids for all runtimes") else row["id"], set())
        known = stop_id in seen and not (self.has("forgets ids") or (self.has("ids per verb") and verb == "terminate"))
        in_branch = row["state"] == "post_processing"
        seen.add(stop_id)
        if known or (in_branch and (verb == "external_stop" or self.has("never ends a branch"))):
            if in_branch and not known and self.has("escalates"):
                return self._ended(row)
            return self._no_op(row, stop_id, known=known)
        if row["code"] == PLAIN and verb == "external_stop" and self.has("goes on without a branch"):
            return self._no_op(row, stop_id, known=False)
        if verb == "terminate" or row["code"] == PLAIN or in_branch or self.has("skips branches"):
            return self._ended(row, external=verb == "external_stop")
        shown: Row = {} if self.has("hides branches") else {"state": "post_processing", "stoptype": "stop"}
        shown |= {"stop_id": None if self.has("hides stop ids") else stop_id}
        self.change({**row, **shown})
        return {"state": "post_processing", "result": "acted"}

    def _no_op(self, row: Row, stop_id: str, *, known: bool) -> dict[str, str]:
        if not known and self.has("forgets later ids"):
            self.seen[row["id"]].discard(stop_id)
        elif not known:
            self.change({**row, "stop_id": stop_id})
        return {"state": row["state"], "result": "already_stopping"}

    def _ended(self, row: Row, *, external: bool = False) -> dict[str, str]:
        self.end(row["id"], external=external)
        return {"state": "ended", "result": "acted"}

    # What it is asked

    async def answer(self, request: Request) -> Told:
        """Answer a request: status and body."""
        self.asked.append(request)
        if "origin" in request.headers and not self.has(f"lets browsers {request.method}"):
            return self.no(403, "origin_refused")
        if not self._lets_in(request):
            return self.no(401, "unauthorized")
        present = f"life-{next(self._answers)}" if self.has("a session per answer") else self.session
        if request.path == "/v1/status":
            await self._dawdle("status")
            return self.say("status", (200, {"session": present, "seq": self.seq}))
        if request.path == "/v1/runtimes":
            await self._dawdle("snapshot")
            rows = [self.say("row", dict(row)) for row in self.rows.values()]
            return self.say(
                "snapshot", (200, {"session": present, "seq": self.seq, "runtimes": self.say("rows", rows)})
            )
        if (command := COMMAND.fullmatch(request.path)) is not None:
            await self._dawdle("command")
            return await self._command(command[1], command[2], request.body)
        return self.no(404, "not_found")

    def _lets_in(self, request: Request) -> bool:
        given, right = request.headers.get("authorization", ""), f"Bearer {TOKEN}"
        if self.has("needs no token") or (self.has("takes commands of anybody") and request.method == "POST"):
            return True
        return given.startswith(right) if self.has("compares half the token") else given == right

    async def _command(self, runtime_id: str, verb: str, body: bytes) -> Told:
        asked = self._read(body)
        if asked is None:
            return self.no(422 if self.has("own words for wrong bodies") else 400, "invalid_command")
        row = self.rows.get(runtime_id)
        if row is None and self.has("looks for the runtime first"):
            return self.no(404, "unknown_runtime")
        if asked.session != self.session and not (
            self.has("ignores sessions") or (row and self.has("acts for others"))
        ):
            return self.no(409, "session_mismatch", asked=asked.session)
        if row is None:
            return self.no(404, "unknown_runtime")
        if self.has("looks, waits, then acts") and row["state"] == "running":
            return await self._race(row, verb, asked.stop_id)
        return self.say("ack", (200, {"session": self.session, **self.act(row, verb, asked.stop_id)}))

    def _read(self, body: bytes) -> Stop | None:
        """Read a command; None when it is none."""
        try:
            asked = Stop.model_validate_json(body)
        except ValidationError:
            return Stop(session=Session(self.session), stop_id=StopId("some")) if self.has("reads any body") else None
        plain = asked.stop_id.replace("-", "").isalnum() and len(asked.stop_id) < 64
        known = json.loads(body).keys() == {"session", "stop_id"}
        refused = (self.has("wants plain stop ids") and not plain) or (self.has("knows every member") and not known)
        return None if refused else asked

    async def _race(self, row: Row, verb: str, stop_id: str) -> Told:
        fresh = stop_id not in self.seen.get(row["id"], set())
        for _ in range(TOGETHER_TURNS):
            await asyncio.sleep(0)
        if fresh and row["id"] in self.rows:
            self.seen.get(row["id"], set()).discard(stop_id)
            told = self.act({**self.rows[row["id"]], "state": "running"}, verb, stop_id)
        else:
            told = {"state": row["state"], "result": "already_stopping"}
        return 200, {"session": self.session, **told}

    async def _dawdle(self, what: str) -> None:
        if self.has(f"a slow {what}"):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 5)

    def no(self, status: int, error: str, *, asked: str = "") -> Told:
        """Refuse."""
        session = asked if asked and self.has("repeats the session asked for") else self.session
        return self.say("refusal", (status, {"error": error, "session": session, "detail": "no"}))

    # How it is asked, and how it tells

    def _tell(self, method: str, runtime_id: str, told: dict[str, Any]) -> None:
        path = f"/v1/runtimes/{runtime_id}"
        if method == "DELETE":
            path += "?" + "&".join(f"{name}={value}" for name, value in told.items())
        event = Event(method, path, told if method == "PUT" else None, {"Authorization": f"Bearer {TOKEN}"})
        self.told += [event] if (event := self.say("event", event)) is not None else []

    async def _deliver(self, agent: Address) -> None:
        """Tell the agent everything, for ever."""
        connector = aiohttp.UnixConnector(agent.path) if agent.path else aiohttp.TCPConnector()
        async with aiohttp.ClientSession(agent.base_url, connector=connector) as http:
            while True:
                while self.told:
                    event = self.told.pop(0)
                    kind = {"data": event.body} if isinstance(event.body, bytes) else {"json": event.body}
                    async with http.request(event.method, event.path, headers=event.headers, **kind):
                        pass
                await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if self.has("drops wrong bodies") and method == "POST" and not body.startswith(b"{"):
            return False
        status, told = await self.answer(Request(method, path, headers, body))
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        kind = "Content-Type: application/json"
        answer = f"HTTP/1.1 {status} Told\r\n{kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
        writer.write(self.say("answer", answer))
        await writer.drain()
        return not (self.has("closes connections") or (self.has("closes after commands") and method == "POST"))

    @asynccontextmanager
    async def served(self, *, agent: Address | None = None, path: str = "") -> AsyncIterator[Address]:
        """Serve it, on TCP unless a socket's path is given, and tell events to the agent, if any."""
        self.server = (
            await asyncio.start_unix_server(self._serve, path)
            if path
            else await asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        delivery = asyncio.create_task(self._deliver(agent)) if agent else None
        port = 0 if path else self.server.sockets[0].getsockname()[1]
        try:
            yield Address(path=path) if path else Address(host="127.0.0.1", port=port)
        finally:
            if delivery:
                delivery.cancel()
                await asyncio.gather(delivery, return_exceptions=True)
            self._ending.set()
            for _ in range(TURNS):  # a server that closes drops what it has just taken, unclosed (CPython 3.11)
                await asyncio.sleep(0)
            self.server.close()
            for writer in self._writers:
                writer.transport.abort()  # a client that reads no more would keep a closing one open
            for _ in range(TURNS):
                await asyncio.sleep(0)
