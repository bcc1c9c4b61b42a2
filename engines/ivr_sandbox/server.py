"""The engine side of the protocol over HTTP: status, snapshot, commands (docs/engine-protocol.md).

Owns requests and answers, and who may ask. It decides nothing about runtimes: that is the engine's.
"""

from typing import Annotated, Final, Protocol

from aiohttp import web
from pydantic import BaseModel, StringConstraints, ValidationError

from ivr_engine.guard import Handler, RefusedError, carries, guard
from ivr_engine.model import Ack
from ivr_sandbox.engine import Engine, UnknownRuntimeError

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

    def admit(request: web.Request) -> None:
        if token is not None and not carries(request, token):
            raise RefusedError(401, "unauthorized", "send Authorization: Bearer <node's token>")

    app = web.Application(middlewares=[guard(lambda: engine.session, admit=admit)])
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/runtimes", runtimes)
    app.router.add_post("/v1/runtimes/{id}/external_stop", _command(engine.session, engine.external_stop))
    app.router.add_post("/v1/runtimes/{id}/terminate", _command(engine.session, engine.terminate))
    return app


def _command(session: str, act: Act) -> Handler:
    async def carry_out(request: web.Request) -> web.Response:
        try:
            asked = Command.model_validate_json(await request.read())
        except ValidationError as error:
            raise RefusedError(400, "invalid_command", _explain(error)) from None
        if asked.session != session:
            raise RefusedError(409, "session_mismatch", "this is another life of the engine")
        try:
            ack = act(request.match_info["id"], stop_id=asked.stop_id)
        except UnknownRuntimeError:
            raise RefusedError(404, "unknown_runtime", "it has ended or never was") from None
        return web.json_response({"session": session, "state": ack.state, "result": ack.result})

    return carry_out


def _explain(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors())
