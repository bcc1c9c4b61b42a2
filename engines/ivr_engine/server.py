"""The engine side of the protocol over HTTP: status, snapshot, commands (docs/engine-protocol.md).

Owns requests and answers, and who may ask. It decides nothing about runtimes: the engine does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Protocol

from aiohttp import web
from pydantic import BaseModel, StringConstraints, ValidationError

from ivr_engine.address import Address, listening
from ivr_engine.guard import Handler, RefusedError, carries, guard
from ivr_engine.model import MAX_AGE_S, Ack, AwayError, Commands, Snapshot, UnknownRuntimeError
from ivr_engine.telling import wrong_fields

SHUTDOWN_S: Final = 0.5
"""How long open requests may still take when the process ends."""


class Engine(Commands, Protocol):
    """What an engine, or a bridge to one, implements. `AwayError` may be raised by every method."""

    @property
    def session(self) -> str | None:
        """The engine's session; None while a bridge does not know it yet."""
        ...

    @property
    def answered_s(self) -> float | None:
        """How long ago, in seconds, the engine behind a bridge last answered; None where the engine is this process."""
        ...

    def snapshot(self) -> Snapshot:
        """Return every runtime. Called for every status, so it must be cheap: keep a `Mirror`."""
        ...


class Act(Protocol):
    """What a command does."""

    async def __call__(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry the command out; raises `UnknownRuntimeError` or `AwayError`."""
        ...


class Command(BaseModel):
    """The body of a command."""

    session: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    stop_id: Annotated[str, StringConstraints(strict=True, pattern=r"^[\x21-\x7e]{1,64}$")]


def application(engine: Engine, *, token: str | None) -> web.Application:
    """Return the engine side; with a token, every request must carry it."""

    async def status(_: web.Request) -> web.Response:
        snapshot = _snapshot(engine)
        body: dict[str, Any] = {"session": snapshot.session, "seq": snapshot.seq}
        if (age_s := engine.answered_s) is not None:
            body["age_s"] = round(min(age_s, MAX_AGE_S), 3)
        return web.json_response(body)

    async def runtimes(_: web.Request) -> web.Response:
        snapshot = _snapshot(engine)
        rows = [state.as_json() for state in snapshot.runtimes]
        return web.json_response({"session": snapshot.session, "seq": snapshot.seq, "runtimes": rows})

    def admit(request: web.Request) -> None:
        if token is not None and not carries(request, token):
            raise RefusedError(401, "unauthorized", "send Authorization: Bearer <node's token>")

    app = web.Application(middlewares=[guard(lambda: engine.session, admit=admit)])
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/runtimes", runtimes)
    app.router.add_post("/v1/runtimes/{id}/external_stop", _command(engine, engine.external_stop))
    app.router.add_post("/v1/runtimes/{id}/terminate", _command(engine, engine.terminate))
    return app


@asynccontextmanager
async def serving(app: web.Application, address: Address) -> AsyncIterator[None]:
    """Serve an application at the address until the block ends; raises `ListenError`."""
    with listening(address) as listener:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()


def _snapshot(engine: Engine) -> Snapshot:
    try:
        return engine.snapshot()
    except AwayError as error:
        raise _away(error) from None


def _command(engine: Engine, act: Act) -> Handler:
    async def carry_out(request: web.Request) -> web.Response:
        try:
            asked = Command.model_validate_json(await request.read())
        except ValidationError as error:
            raise RefusedError(400, "invalid_command", wrong_fields(error)) from None
        if engine.session is None:
            raise _away(AwayError())
        if asked.session != engine.session:
            raise RefusedError(409, "session_mismatch", "this is another life of the engine")
        try:
            ack = await act(request.match_info["id"], stop_id=asked.stop_id)
        except UnknownRuntimeError:
            raise RefusedError(404, "unknown_runtime", "it has ended or never was") from None
        except AwayError as error:
            raise _away(error) from None
        return web.json_response({"session": asked.session, "state": ack.state, "result": ack.result})

    return carry_out


def _away(error: AwayError) -> RefusedError:
    return RefusedError(503, "engine_away", str(error) or "the engine does not answer")
