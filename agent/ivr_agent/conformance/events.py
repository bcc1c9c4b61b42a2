"""Listens in the agent's place, and judges what the engine told: only with `--listen`.

Owns the agent side for the length of a run: answers 204 to everything, keeps it, and checks it at the end against the
schema, the rules of `seq` and the snapshot. The node's agent must not run meanwhile: an engine tells one address only.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from ivr_agent import address
from ivr_agent.address import Address
from ivr_agent.conformance.subject import Check, Failed, Skipped, Subject
from ivr_agent.events import MAX_BODY
from ivr_agent.wire import Batch, Changed, ChangedOne, Ended, RuntimeState, wrong_fields
from ivr_runtimes.names import RuntimeId

WAIT_S: Final = 10.0
"""How long to wait for a first event, and for the events up to a seq that the engine has told."""


class Events:
    """What the engine told. `events` are in the order of arrival."""

    def __init__(self) -> None:
        self.events: list[Changed | Ended] = []
        self.wrong: list[str] = []
        self.listening = False

    @asynccontextmanager
    async def listen(self, where: Address | None) -> AsyncIterator[None]:
        """Listen there, if anywhere, until the block ends; raises `ListenError`."""
        if where is None:
            yield
            return
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_put("/v1/runtimes/{id}", self._put)
        app.router.add_delete("/v1/runtimes/{id}", self._delete)
        app.router.add_post("/v1/events", self._post)
        with address.listen(where) as door:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            try:
                await web.SockSite(runner, door).start()
                self.listening = True
                yield
            finally:
                await runner.cleanup()

    async def events_are_readable(self, subject: Subject) -> None:
        """Every event is of the schema and of the engine's session."""
        session = (await self._caught_up(subject)).session
        if self.wrong:
            raise Failed(f"{len(self.wrong)} events are not: {self.wrong[0]}")
        strange = [event.session for event in self.events if event.session != session]
        if strange:
            raise Failed(f"{len(strange)} events are of another session, such as {strange[0]}")

    async def events_come_in_order(self, subject: Subject) -> None:
        """Events come in order of seq, and seq grows by one with each."""
        await self._caught_up(subject)
        seqs = [event.seq for event in self.events]
        for before, after in itertools.pairwise(seqs):
            if after != before + 1:
                raise Failed(f"seq {after} came after {before}")

    async def events_add_up_to_the_snapshot(self, subject: Subject) -> None:
        """Every row that has changed since the first event is in the snapshot as the last event told it."""
        snapshot = await subject.snapshot()
        await self._reach(snapshot.seq)
        rows = {row.id: row for row in snapshot.runtimes}
        wrong = [id_ for id_, state in self._told(snapshot.seq).items() if rows.get(id_) != state]
        if wrong:
            raise Failed(f"{len(wrong)} rows differ from their last event, such as {wrong[0]}")

    def all(self) -> tuple[Check, ...]:
        """Return the checks in order."""
        return (self.events_are_readable, self.events_come_in_order, self.events_add_up_to_the_snapshot)

    def _told(self, seq: int) -> dict[RuntimeId, RuntimeState | None]:
        told: dict[RuntimeId, RuntimeState | None] = {}
        for event in self.events:
            if event.seq <= seq and isinstance(event, Changed):
                told[event.runtime.id] = event.runtime
            elif event.seq <= seq and isinstance(event, Ended):
                told[event.id] = None
        return told

    async def _caught_up(self, subject: Subject) -> "Changed | Ended":
        """Wait until everything the engine has done by now was told; return the last event."""
        status = await subject.status()
        await self._reach(status.seq)
        return self.events[-1]

    async def _reach(self, seq: int) -> None:
        if not self.listening:
            raise Skipped("not listening: name the agent's address with --listen, and stop the agent")
        end_s = time.monotonic() + WAIT_S
        while not self.events or self.events[-1].seq < seq:
            if time.monotonic() > end_s:
                if not self.events and not self.wrong:
                    raise Skipped(f"no event came within {WAIT_S:g} s")
                raise Failed(f"the engine's status says seq {seq}, but no such event came within {WAIT_S:g} s")
            await asyncio.sleep(0.05)

    async def _put(self, request: web.Request) -> web.Response:
        try:
            event = Changed.model_validate_json(await request.read())
            if event.runtime.id != request.match_info["id"]:
                self.wrong.append(f"PUT {request.path}: the body is of runtime {event.runtime.id}")
            self.events.append(event)
        except ValidationError as error:
            self.wrong.append(f"PUT {request.path}: {wrong_fields(error)}")
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        try:
            self.events.append(Ended.model_validate({**request.query, "id": request.match_info["id"]}))
        except ValidationError as error:
            self.wrong.append(f"DELETE {request.path}: {wrong_fields(error)}")
        return web.Response(status=204)

    async def _post(self, request: web.Request) -> web.Response:
        try:
            batch = Batch.model_validate_json(await request.read())
        except ValidationError as error:
            self.wrong.append(f"POST {request.path}: {wrong_fields(error)}")
            return web.Response(status=204)
        for event in batch.events:
            if isinstance(event, ChangedOne):
                self.events.append(Changed(session=batch.session, seq=event.seq, runtime=event.runtime))
            else:
                self.events.append(Ended(session=batch.session, seq=event.seq, id=event.id, stoptype=event.stoptype))
        return web.Response(status=204)
