"""The agent side of the engine protocol: the engine tells what changed (docs/engine-protocol.md).

Owns reading events and answering them. `registry` decides what they mean; an unknown session makes `probe` ask the
engine. Served on the Unix socket or loopback address `listen`.
"""

import logging
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from ivr_agent.engine.probe import Probe
from ivr_agent.metrics import Metrics
from ivr_agent.process import say
from ivr_agent.protocol import Batch, Changed, ChangedOne, Ended, guard, wrong_fields
from ivr_agent.rows import Reception, Registry
from ivr_engine.guard import RefusedError, carries

MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of a request at most: room for 500 events of 8 KiB each; a usual event is a twentieth of that."""

KEEP_ALIVE_S: Final = 3600.0
"""How long an idle connection is kept, so that an engine need not reconnect after a quiet hour."""

STRANGER_REMEDY: Final = "an event came without the node's token: give engine and agent the same engine_token"


class Events:
    """The application. `token`, if given, must come with every request as a bearer token (TCP)."""

    def __init__(self, *, registry: Registry, probe: Probe, metrics: Metrics, token: str | None = None) -> None:
        self._registry = registry
        self._probe = probe
        self._metrics = metrics
        self._token = token
        self.app = web.Application(middlewares=[guard(lambda: registry.session)], client_max_size=MAX_BODY)
        self.app.router.add_put("/v1/runtimes/{id}", self._put)
        self.app.router.add_delete("/v1/runtimes/{id}", self._delete)
        self.app.router.add_post("/v1/events", self._post)

    async def _put(self, request: web.Request) -> web.Response:
        self._authorise(request)
        try:
            event = Changed.model_validate_json(await request.read())
        except ValidationError as error:
            raise self._invalid(request, wrong_fields(error)) from None
        if event.runtime.id != request.match_info["id"].lower():
            raise self._invalid(request, "runtime.id: not the id of the path")
        return self._done(self._registry.put(event.session, event.seq, event.runtime))

    async def _delete(self, request: web.Request) -> web.Response:
        self._authorise(request)
        try:
            event = Ended.model_validate({**request.query, "id": request.match_info["id"]})
        except ValidationError as error:
            raise self._invalid(request, wrong_fields(error)) from None
        reception = self._registry.end(event.session, event.seq, event.id)
        if reception is Reception.APPLIED:
            say("runtime_ended", level=logging.DEBUG, runtime_id=event.id, stoptype=event.stoptype)
        return self._done(reception)

    async def _post(self, request: web.Request) -> web.Response:
        self._authorise(request)
        try:
            batch = Batch.model_validate_json(await request.read())
        except ValidationError as error:
            raise self._invalid(request, wrong_fields(error)) from None
        for event in batch.events:
            if isinstance(event, ChangedOne):
                self._count(self._registry.put(batch.session, event.seq, event.runtime))
            else:
                self._count(self._registry.end(batch.session, event.seq, event.id))
        return web.Response(status=204)

    def _authorise(self, request: web.Request) -> None:
        """Refuse a request without the token."""
        if self._token and not carries(request, self._token):
            self._metrics.events.labels(result="unauthorized").inc()
            say("engine_refused", level=logging.ERROR, method=request.method, remedy=STRANGER_REMEDY)
            raise RefusedError(401, "unauthorized", "send Authorization: Bearer <the node's token>")

    def _done(self, reception: Reception) -> web.Response:
        self._count(reception)
        return web.Response(status=204)

    def _count(self, reception: Reception) -> None:
        self._metrics.events.labels(result=reception).inc()
        if reception is Reception.FOREIGN:
            self._probe.wake.set()

    def _invalid(self, request: web.Request, detail: str) -> RefusedError:
        self._metrics.events.labels(result="invalid").inc()
        say(
            "invalid_event",
            level=logging.ERROR,
            about=f"{request.method} {detail}",
            method=request.method,
            detail=detail,
        )
        return RefusedError(400, "invalid_event", detail)
