"""Listens in the agent's place and checks the engine's events: only with `--listen`.

Owns the agent side for one run: answers 204 to everything, keeps it, and checks it at the end against the schema, the
rules of `seq`, the snapshot and the agent's access rules. The node's agent must not run meanwhile: an engine sends its
events to one address only.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from ivr_engine.address import Address
from ivr_engine.conformance.bodies import MAX_BODY, Batch, Changed, ChangedOne, Ended, RuntimeState
from ivr_engine.conformance.subject import Check, Failed, Open, Skipped, Subject
from ivr_engine.server import serving
from ivr_engine.telling import wrong_fields

REQUESTS: Final = "PUT or DELETE /v1/runtimes/{id}, POST /v1/events"

SHOWN: Final = 400
"""Characters shown of what is wrong with an event."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Events:
    """The engine's events, in the order of arrival; over TCP each request must carry the `token`."""

    def __init__(self, token: str | None = None) -> None:
        self.events: list[Changed | Ended] = []
        self.wrong: list[str] = []
        self.unwelcome: list[str] = []
        self.listening = False
        self._token = token
        self._expected: str | None = None

    @asynccontextmanager
    async def listen(self, where: Address | None) -> AsyncIterator[None]:
        """Listen there, if anywhere, until the block ends; raises `ListenError`."""
        if where is None:
            yield
            return
        self._expected = None if where.path else f"Bearer {self._token}"
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._look])
        app.router.add_put("/v1/runtimes/{id}", self._put)
        app.router.add_delete("/v1/runtimes/{id}", self._delete)
        app.router.add_post("/v1/events", self._post)
        app.router.add_route("*", "/{path:.*}", self._other)
        async with serving(app, where):
            self.listening = True
            yield

    async def events_are_let_in(self, subject: Subject) -> None:
        """Every event carries the node's token over TCP, has no Origin header and is not compressed."""
        await self._first(subject)
        if self.unwelcome:
            raise Failed(f"{len(self.unwelcome)} events the agent refuses, such as {self.unwelcome[0]}")

    async def events_are_readable(self, subject: Subject) -> None:
        """Every event is of the schema and of the session that the engine's status names."""
        status = await subject.status()
        await self._first(subject)
        if self.wrong:
            raise Failed(f"{len(self.wrong)} events are not, such as {self.wrong[0]}")
        strange = [event for event in self.events if event.session != status.session]
        if strange:
            told = f"{len(strange)} events are of another session, such as {_shown(strange[0])} of {strange[0].session}"
            raise Failed(f"{told}; the status says {status.session}")

    async def events_come_in_order(self, subject: Subject) -> None:
        """Events come in order of seq, and seq grows by one with each."""
        await self._reach((await subject.status()).seq, subject)
        for before, after in itertools.pairwise(self.events):
            if after.seq != before.seq + 1:
                raise Failed(f"{_shown(after)} came after {_shown(before)}")

    async def events_add_up_to_the_snapshot(self, subject: Subject) -> None:
        """Every row that has changed since the first event is in the snapshot as the last event told it."""
        snapshot = await subject.snapshot()
        await self._reach(snapshot.seq, subject)
        rows = {row.id: row for row in snapshot.runtimes}
        for id_, state in self._told(snapshot.seq).items():
            if rows.get(id_) != state:
                raise Failed(f"runtime {id_}: {_difference(state, rows.get(id_))} as of seq {snapshot.seq}")

    def all(self) -> tuple[Check, ...]:
        """Return the checks in order."""
        return (
            self.events_are_let_in,
            self.events_are_readable,
            self.events_come_in_order,
            self.events_add_up_to_the_snapshot,
        )

    def _told(self, seq: int) -> dict[str, RuntimeState | None]:
        told: dict[str, RuntimeState | None] = {}
        for event in self.events:
            if event.seq <= seq and isinstance(event, Changed):
                told[event.runtime.id] = event.runtime
            elif event.seq <= seq and isinstance(event, Ended):
                told[event.id] = None
        return told

    async def _first(self, subject: Subject) -> None:
        """Wait for the first request."""
        if not self.listening:
            raise Skipped("not listening: name the agent's address with --listen, and stop the agent")
        end_s = time.monotonic() + subject.limits.event_s
        while not (self.events or self.wrong):
            if time.monotonic() > end_s:
                raise Open(f"no event came within {subject.limits.event_s:g} s: it needs calls that begin or end")
            await asyncio.sleep(subject.limits.look_every_s / 2)

    async def _reach(self, seq: int, subject: Subject) -> None:
        """Wait until all events up to a seq have come."""
        await self._first(subject)
        end_s = time.monotonic() + subject.limits.event_s
        while not self.events or self.events[-1].seq < seq:
            if time.monotonic() > end_s:
                last = _shown(self.events[-1]) if self.events else "none"
                missing = f"the engine says seq {seq}, but no such event came within {subject.limits.event_s:g} s"
                raise Failed(f"{missing}; the last was {last}")
            await asyncio.sleep(subject.limits.look_every_s / 2)

    @web.middleware
    async def _look(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note what the agent would refuse, then take the event all the same, so that each fault shows by itself."""
        what = f"{request.method} {request.path}"
        if "Origin" in request.headers:
            self.unwelcome.append(f"{what} with an Origin header")
        if "Content-Encoding" in request.headers:
            self.unwelcome.append(f"{what}, compressed")
        given = request.headers.get("Authorization")
        if self._expected is not None and given != self._expected:
            self.unwelcome.append(f"{what} {'without the token' if given is None else 'with another token'}")
        try:
            return await handler(request)
        except ValidationError as error:
            self.wrong.append(f"{what}: {wrong_fields(error)[:SHOWN]}")
        except web.HTTPRequestEntityTooLarge:
            self.wrong.append(f"{what}: a body of over {MAX_BODY} bytes")
        return web.Response(status=204)

    async def _other(self, request: web.Request) -> web.Response:
        self.wrong.append(f"{request.method} {request.path}: no event; those are {REQUESTS}")
        return web.Response(status=204)

    async def _put(self, request: web.Request) -> web.Response:
        event = Changed.model_validate_json(await request.read())
        self.events.append(event)
        if event.runtime.id != request.match_info["id"].lower():
            self.wrong.append(f"PUT {request.path}: the body is of runtime {event.runtime.spelling}")
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        self.events.append(Ended.model_validate({**request.query, "id": request.match_info["id"]}))
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.Response:
        batch = Batch.model_validate_json(await request.read())
        for event in batch.events:
            if isinstance(event, ChangedOne):
                self.events.append(Changed(session=batch.session, seq=event.seq, runtime=event.runtime))
            else:
                self.events.append(Ended(session=batch.session, seq=event.seq, id=event.id, stoptype=event.stoptype))
        return web.Response(status=204)


def _shown(event: Changed | Ended) -> str:
    """Say which event it is, for people."""
    if isinstance(event, Changed):
        return f"seq {event.seq} (PUT of {event.runtime.id})"
    return f"seq {event.seq} (DELETE of {event.id})"


def _difference(told: RuntimeState | None, row: RuntimeState | None) -> str:
    """Say which fields differ between snapshot and last event, for people; shows nothing else of a caller."""
    if told is None:
        return "its end was told, the snapshot still shows it"
    if row is None:
        return "the snapshot lacks it, its end was not told"
    fields = [name for name, value in told if value != getattr(row, name)]
    return f"the snapshot differs from its last event in {', '.join(fields) or 'the letter case of its id'}"
