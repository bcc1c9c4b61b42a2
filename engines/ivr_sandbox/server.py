"""The engine side of the protocol over HTTP: status, snapshot, commands (docs/engine-protocol.md).

Owns requests and answers, and who may ask. It decides nothing about runtimes: that is the engine's.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel, StringConstraints, ValidationError

from ivr_sandbox.engine import Engine, UnknownRuntimeError
from ivr_sandbox.model import Ack

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHUTDOWN_S: Final = 0.5
"""How long requests under way may still take when the process ends."""


class Act(Protocol):
    """What a command does."""

    def __call__(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry the command out; raises `UnknownRuntimeError`."""
        ...


class Command(BaseModel):
    """The body of a command."""

    session: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    stop_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[\x21-\x7e]{1,64}$")]


def application(engine: Engine, *, token: str | None) -> web.Application:
    """Return the engine side; with a token, every request must carry it."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"session": engine.session, "seq": engine.seq})

    async def runtimes(_: web.Request) -> web.Response:
        snapshot = engine.snapshot()
        rows = [state.as_json() for state in snapshot.runtimes]
        return web.json_response({"session": snapshot.session, "seq": snapshot.seq, "runtimes": rows})

    app = web.Application(middlewares=[_guard(engine.session, token)])
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/runtimes", runtimes)
    app.router.add_post("/v1/runtimes/{id}/external_stop", _command(engine.session, engine.external_stop))
    app.router.add_post("/v1/runtimes/{id}/terminate", _command(engine.session, engine.terminate))
    return app


def _guard(session: str, token: str | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            return _failure(403, "origin_refused", session=session, detail="a request with an Origin is a script's")
        if token is not None and not _carries(request, token):
            return _failure(401, "unauthorized", session=session, detail="send Authorization: Bearer <node's token>")
        try:
            return await handler(request)
        except web.HTTPException as error:
            code = error.reason.lower().replace(" ", "_")
            return _failure(error.status, code, session=session, detail=f"{request.method} {request.path}")

    return guard


def _command(session: str, act: Act) -> Handler:
    async def carry_out(request: web.Request) -> web.Response:
        try:
            asked = Command.model_validate_json(await request.read())
        except ValidationError as error:
            return _failure(400, "invalid_command", session=session, detail=_explain(error))
        if asked.session != session:
            return _failure(409, "session_mismatch", session=session, detail="this is another life of the engine")
        try:
            ack = act(request.match_info["id"], stop_id=asked.stop_id)
        except UnknownRuntimeError:
            return _failure(404, "unknown_runtime", session=session, detail="it has ended or never was")
        return web.json_response({"session": session, "state": ack.state, "result": ack.result})

    return carry_out


def _failure(status: int, error: str, *, session: str, detail: str) -> web.Response:
    return web.json_response({"error": error, "session": session, "detail": detail}, status=status)


def _carries(request: web.Request, token: str) -> bool:
    """Tell whether the request carries the token; a header that comes twice must be right both times."""
    given = request.headers.getall(hdrs.AUTHORIZATION, [""])
    # surrogateescape: a header of any bytes must end in 401, not in an encoding error
    return all(
        hmac.compare_digest(value.encode("utf-8", "surrogateescape"), f"Bearer {token}".encode()) for value in given
    )


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors())
