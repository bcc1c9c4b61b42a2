"""The client of the engine side (docs/engine-protocol.md).

Owns requests, time limits and what each answer means. Called by `probe` (status, snapshot) and `carry` (commands).
Never retries, except that `exchange` repeats a command when a kept connection was just being closed: that is safe.
Never follows a redirect or a proxy.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from ivr_agent.protocol import Answer, Problem, Snapshot, Status, Stop, read_snapshot, wrong_fields
from ivr_engine.address import Address
from ivr_engine.exchange import BadAnswerError, Exchange
from ivr_runtimes.errors import IvrRuntimesError
from ivr_runtimes.identifiers import RuntimeId, Session, StopId
from ivr_runtimes.model import Verb
from ivr_runtimes.telling import told

STATUS_TIMEOUT_S: Final = 2.0
"""An engine that takes longer to tell its status counts as down. Well under one heartbeat."""

COMMAND_TIMEOUT_S: Final = 4.0
"""An engine carries out a command in memory. After this it counts as stuck, and the command comes back."""

SNAPSHOT_TIMEOUT_S: Final = 10.0
"""A snapshot of tens of thousands of runtimes is some ten megabytes."""

REFUSED_REMEDY: Final = ": give engine and agent the same engine_token"
"""What to do about an engine that refuses us."""


class EngineError(IvrRuntimesError):
    """The engine gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine refused: `unknown_runtime` or `session_mismatch`, and its session."""

    error: str
    session: Session


class EngineSide(Protocol):
    """What the loops ask of an engine; every method raises `EngineError`."""

    async def status(self) -> Status:
        """Return session, seq and, for a bridge, age."""
        ...

    async def snapshot(self) -> Snapshot:
        """Return all runtimes."""
        ...

    async def command(
        self, verb: Verb, runtime_id: RuntimeId, *, session: Session, stop_id: StopId
    ) -> Answer | Refusal:
        """Carry a command to the engine."""
        ...


AnyBody = TypeVar("AnyBody", bound=BaseModel)


class Engine:
    """Implements `EngineSide` over HTTP. `token` is sent as bearer token when the `address` is TCP."""

    def __init__(self, address: Address, *, token: str | None = None) -> None:
        token = None if address.path else token
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connector = aiohttp.UnixConnector(path=address.path) if address.path else aiohttp.TCPConnector()
        self._http = aiohttp.ClientSession(address.base_url, connector=connector, headers=headers)
        self._commands = Exchange(address, token=token)

    async def close(self) -> None:
        """Close the connections."""
        self._commands.close()
        await self._http.close()

    async def status(self) -> Status:
        """Ask for the status; raises `EngineError`."""
        status, body = await self._ask("GET", "/v1/status", timeout_s=STATUS_TIMEOUT_S)
        _expect_ok(status)
        return _read(Status, body)

    async def snapshot(self) -> Snapshot:
        """Ask for all runtimes; raises `EngineError`."""
        status, body = await self._ask("GET", "/v1/runtimes", timeout_s=SNAPSHOT_TIMEOUT_S)
        _expect_ok(status)
        try:
            return read_snapshot(body)
        except ValidationError as error:
            raise EngineError(f"the engine's snapshot is unreadable: {wrong_fields(error)}") from None
        except (ValueError, RecursionError) as error:
            raise EngineError(f"the engine's snapshot is unreadable: no JSON ({type(error).__name__})") from None

    async def command(
        self, verb: Verb, runtime_id: RuntimeId, *, session: Session, stop_id: StopId
    ) -> Answer | Refusal:
        """Carry a command to the engine; raises `EngineError` when its fate is not known."""
        path = f"/v1/runtimes/{runtime_id}/{verb}"
        body = Stop(session=session, stop_id=stop_id).model_dump_json().encode()
        status, answer = await self._post(path, body)
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            problem = _read(Problem, answer)
            if problem.error in {"unknown_runtime", "session_mismatch"}:
                return Refusal(problem.error, problem.session)
        _expect_ok(status)
        return _read(Answer, answer)

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await self._commands.post(path, body)
        except TimeoutError:
            raise EngineError(f"no answer to POST {path} within {COMMAND_TIMEOUT_S} s") from None
        except BadAnswerError as error:
            raise EngineError(f"no answer of the engine: {error}") from error
        except (OSError, EOFError) as error:
            raise EngineError(f"no answer of the engine: {told(error)}") from error

    async def _ask(self, method: str, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        limit = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._http.request(method, path, timeout=limit, allow_redirects=False) as response:
                return response.status, await response.read()
        except TimeoutError:
            raise EngineError(f"no answer to {method} {path} within {timeout_s} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise EngineError(f"no connection to the engine: {told(error)}") from error


def _expect_ok(status: int) -> None:
    if status != HTTPStatus.OK:
        refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        raise EngineError(f"the engine answered with status {status}{REFUSED_REMEDY if refused else ''}")


def _read(model: type[AnyBody], body: bytes) -> AnyBody:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise EngineError(f"the engine's {model.__name__.lower()} is unreadable: {wrong_fields(error)}") from None
