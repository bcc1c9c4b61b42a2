"""The fault proxy: stands between the emulator and everyone who uses it, one listening port per link.

Owns what happens to each request: passed on, or broken as the schedule has it, and a note of every fault that says
which link or which stop's message it touched. It forges only what AWS may really do. `run` starts it.

    throttled     400, nothing done            failed / failed_after   500, nothing done / after the effect
    hung          no answer, nothing done      cut / lost              connection cut, nothing done / after the effect
    partial       a part of the batch is refused                       held   done late, after the client gave up
    twice, late   a message comes a second time, or late
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp import web

from chaos import wire
from chaos.history import Hidden, Receipt, Trouble
from chaos.schedule import FUNCTIONS, Kind, Schedule
from ivr_local.emulator import HOST, Endpoint

HUNG_S: Final = 9.0
"""Longer than anyone waits: agents 3 s (a long poll 8 s), functions 1 s."""

STALLED_S: Final = 2.0
"""A link that takes so long by itself is not whole: the machine is starved. Agents give up after 3 s."""

PULSE_S: Final = 0.2

HELD_S: Final = {True: (1.2, 6.0), False: (3.2, 9.0)}
"""How long a write is held, for the functions' link and the agents': past the client's patience (1 s, 3 s), but within
the time an agent grants an unanswered request to land (`Settings.request_lifetime_s` after it gave up)."""

TWICE_S: Final = 12
LATE_S: Final = (2, 8)
HIDDEN_S: Final = 16.0
"""How long a message stays hidden that nobody got: the queue's visibility timeout, 15 s, and the answer's way."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    link: str
    service: str
    name: str
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answered:
    """What goes back; None as content stands for a connection cut."""

    status: int
    content: bytes | None


CUT: Final = Answered(0, None)


@dataclass(slots=True, kw_only=True)
class Proxy:
    """All links. `begin` starts the schedule's time; before it and after `end` everything is passed on."""

    upstream: Endpoint
    schedule: Schedule
    links: dict[str, Endpoint]
    faults: Counter[str] = field(default_factory=Counter)
    troubles: list[Trouble] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    stalls: Counter[str] = field(default_factory=Counter)
    _began_at: float | None = None
    _numbers: Counter[str] = field(default_factory=Counter)
    _later: set[asyncio.Task[Any]] = field(default_factory=set)
    _runners: list[web.AppRunner] = field(default_factory=list)
    _http: aiohttp.ClientSession = field(init=False)
    _pulse: asyncio.Task[None] = field(init=False)

    async def start(self) -> None:
        """Listen on every link's port."""
        self._pulse = asyncio.create_task(self._watch())
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30), auto_decompress=False
        )
        for link, endpoint in self.links.items():
            app = web.Application(client_max_size=32 * 1024 * 1024)
            app.router.add_post("/{path:.*}", self._handler(link))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, HOST, endpoint.port).start()
            self._runners.append(runner)

    def begin(self) -> None:
        """Begin the schedule."""
        self._began_at = time.time()

    async def end(self) -> None:
        """Break nothing more; wait until what was held has been released."""
        self._began_at = None
        await asyncio.gather(*self._later, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening."""
        self._pulse.cancel()
        for task in self._later:
            task.cancel()
        for runner in self._runners:
            await runner.cleanup()
        await self._http.close()

    def _handler(self, link: str) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            service, name = wire.operation(request.headers.get("X-Amz-Target", ""))
            kept = {key: value for key, value in request.headers.items() if key.lower() not in _OWN}
            asked = Asked(link, service, name, await request.read(), kept)
            answered = await self._serve(asked)
            self._trace(asked, answered, alive=request.transport is not None and not request.transport.is_closing())
            if answered.content is None:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            return web.Response(
                status=answered.status, body=answered.content, content_type="application/x-amz-json-1.0"
            )

        return handle

    async def _serve(self, asked: Asked) -> Answered:
        kinds = wire.fitting(asked.name)
        if self._began_at is None or not kinds:
            return await self._pass(asked)
        at_s = time.time() - self._began_at
        if any(cut.holds(asked.link, at_s) for cut in self.schedule.cuts):
            self._count("link_cut")
            return CUT
        if asked.service == "sqs" and any(outage.holds(asked.link, at_s) for outage in self.schedule.outages):
            self._count("sqs_unreachable")
            return CUT
        self._numbers[asked.link] += 1
        fault = self.schedule.fault(asked.link, self._numbers[asked.link], kinds, at_s=at_s)
        if fault is None:
            return await self._pass(asked)
        self._count(fault[0])
        return await self._break(asked, *fault)

    async def _break(self, asked: Asked, kind: Kind, chance: Random) -> Answered:  # noqa: C901, PLR0911  # one case per kind
        began_at = time.time()
        try:
            match kind:
                case Kind.THROTTLED:
                    return _json(400, wire.throttling(asked.service, chance))
                case Kind.FAILED:
                    return _json(500, wire.failure(asked.service))
                case Kind.FAILED_AFTER:
                    self._hide_received(asked, await self._pass(asked))
                    return _json(500, wire.failure(asked.service))
                case Kind.LOST:
                    self._hide_received(asked, await self._pass(asked))
                    return CUT
                case Kind.HUNG:
                    await asyncio.sleep(HUNG_S)
                    return CUT
                case Kind.CUT:
                    return CUT
                case Kind.PARTIAL:
                    return await self._partial(asked, chance)
                case Kind.HELD:
                    return await self._hold(asked, chance)
                case Kind.TWICE | Kind.LATE:
                    return await self._resend(asked, kind, chance)
        finally:
            if asked.link != FUNCTIONS:
                self.troubles.append(Trouble(asked.link, "link", began_at, time.time()))

    async def _partial(self, asked: Asked, chance: Random) -> Answered:
        left, addition = wire.split(asked.name, asked.json(), chance)
        if left is None:
            return _json(200, {**wire.empty(asked.name), **addition})
        answered = await self._pass(asked, left)
        if answered.status != 200 or answered.content is None:
            return answered
        return _json(200, {**json.loads(answered.content), **addition})

    async def _hold(self, asked: Asked, chance: Random) -> Answered:
        wait_s = chance.uniform(*HELD_S[asked.link == FUNCTIONS])
        self._note_message(asked, wait_s)
        await self._behind(self._after(wait_s, asked))
        return CUT

    async def _resend(self, asked: Asked, kind: Kind, chance: Random) -> Answered:
        if kind is Kind.LATE:
            delay_s = chance.randint(*LATE_S)
            self._note_message(asked, delay_s)
            return await self._pass(asked, wire.delayed(asked.json(), delay_s))
        again = wire.delayed(asked.json(), chance.randint(0, TWICE_S))
        answered = await self._pass(asked)
        await self._pass(asked, again)
        return answered

    async def _after(self, wait_s: float, asked: Asked) -> None:
        await asyncio.sleep(wait_s)
        await self._pass(asked)

    async def _behind(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it to the end, whatever becomes of the connection that asked for it."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        await asyncio.shield(task)

    async def _pass(self, asked: Asked, body: dict[str, Any] | None = None) -> Answered:
        data = asked.body if body is None else json.dumps(body).encode()
        began_at, patience_s = time.time(), STALLED_S
        if asked.name == "ReceiveMessage":
            patience_s += asked.json().get("WaitTimeSeconds", 0)
        try:
            async with self._http.post(self.upstream.url, data=data, headers=asked.headers) as response:
                return Answered(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return CUT
        finally:
            if time.time() - began_at > patience_s:
                self._stalled("emulator", asked.link, began_at)

    async def _watch(self) -> None:
        """Note when this process itself stood still, and all links with it: a starved machine, not the product."""
        while True:
            slept_at = time.time()
            await asyncio.sleep(PULSE_S)
            if time.time() - slept_at > PULSE_S + STALLED_S:
                self._stalled("proxy", "", slept_at)

    def _stalled(self, what: str, link: str, since: float) -> None:
        self.stalls[what] += 1
        if link != FUNCTIONS:
            self.troubles.append(Trouble(link, "link", since, time.time()))

    def _trace(self, asked: Asked, answered: Answered, *, alive: bool) -> None:
        """Note who was handed which stop's message, or that nobody was."""
        if asked.name != "ReceiveMessage" or not answered.content or answered.status != 200:
            return
        if not alive:
            self._hide_received(asked, answered)
            return
        now = time.time()
        self.receipts += [Receipt(stop_id, asked.link, now) for stop_id in _received(answered)]

    def _hide_received(self, asked: Asked, answered: Answered) -> None:
        if asked.name == "ReceiveMessage" and answered.status == 200:
            now = time.time()
            self.hidden += [Hidden(stop_id, now, now + HIDDEN_S) for stop_id in _received(answered)]

    def _note_message(self, asked: Asked, for_s: float) -> None:
        if asked.name == "SendMessage":
            now = time.time()
            [stop_id] = wire.stop_ids([asked.json()["MessageBody"]])
            self.hidden.append(Hidden(stop_id, now, now + for_s))

    def _count(self, what: str) -> None:
        self.faults[what] += 1


_OWN: Final = frozenset({"host", "content-length", "connection", "accept-encoding", "expect", "transfer-encoding"})
"""Headers that belong to one connection and are made anew on the next."""


def _received(answered: Answered) -> list[str]:
    return wire.stop_ids([message["Body"] for message in json.loads(answered.content or b"{}").get("Messages") or []])


def _json(status: int, body: dict[str, Any]) -> Answered:
    return Answered(status, json.dumps(body).encode())
