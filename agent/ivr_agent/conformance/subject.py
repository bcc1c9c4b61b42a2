"""The engine under test: how it is asked, and what is remembered of it between checks.

Owns the requests, whole and raw: unlike the agent's own client it shows what a broken engine answers. Raises `Failed`
when an answer is not what the protocol says.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import uuid4

import aiohttp
from pydantic import BaseModel, ValidationError

from ivr_agent.address import Address
from ivr_agent.engine import COMMAND_TIMEOUT_S, SNAPSHOT_TIMEOUT_S, STATUS_TIMEOUT_S
from ivr_agent.wire import Answer, FullSnapshot, Problem, RuntimeState, Status, wrong_fields
from ivr_runtimes.model import State

SHOWN_WITHIN_S: Final = 5.0
"""How soon a change must show in a snapshot: one probe of the agent."""

LOOK_EVERY_S: Final = 0.1

AnyBody = TypeVar("AnyBody", bound=BaseModel)


class Failed(Exception):  # noqa: N818  # a verdict, not an error of this program
    """The engine is not as the protocol says; the message tells what was seen."""


class Skipped(Exception):  # noqa: N818  # a verdict, not an error of this program
    """The check cannot be made; the message tells what it needs."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the engine."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Subject:
    """The engine under test. `token` is the node's; `used` are the runtimes that checks have stopped."""

    def __init__(self, address: Address, *, token: str | None = None) -> None:
        connector = aiohttp.UnixConnector(path=address.path) if address.path else aiohttp.TCPConnector()
        self._http = aiohttp.ClientSession(address.base_url, connector=connector)
        self.token = token
        self.used: set[str] = set()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def ask(
        self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request, with the token unless `headers` says otherwise; `body` is JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {"Authorization": f"Bearer {self.token}"} if self.token and headers is None else dict(headers or {})
        limit_s = _limit_s(method, path)
        try:
            async with self._http.request(
                method,
                path,
                data=data,
                headers={"Content-Type": "application/json"} | named,
                timeout=aiohttp.ClientTimeout(total=limit_s),
                allow_redirects=False,
            ) as answer:
                return Reply(answer.status, answer.headers.copy(), await answer.read())
        except TimeoutError:
            raise Failed(f"no answer to {method} {path} within {limit_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(f"no answer to {method} {path}: {error!r}") from None

    async def status(self) -> Status:
        """Ask for session and seq."""
        return read(Status, await self.ask("GET", "/v1/status"))

    async def snapshot(self) -> FullSnapshot:
        """Ask for all runtimes."""
        return read(FullSnapshot, await self.ask("GET", "/v1/runtimes"))

    async def command(self, verb: str, runtime_id: str, *, stop_id: str, session: str | None = None) -> Reply:
        """Send a command, for the engine's present session unless another is named."""
        session = session or (await self.status()).session
        return await self.ask(
            "POST", f"/v1/runtimes/{runtime_id}/{verb}", body={"session": session, "stop_id": stop_id}
        )

    async def act(self, verb: str, runtime_id: str, *, stop_id: str) -> Answer:
        """Send a command that must be answered with 200."""
        self.used.add(runtime_id)
        return read(Answer, await self.command(verb, runtime_id, stop_id=stop_id))

    async def row(self, runtime_id: str) -> RuntimeState | None:
        """Look a runtime up in a snapshot."""
        rows = (await self.snapshot()).runtimes
        return next((row for row in rows if row.id == runtime_id), None)

    async def running(self) -> list[RuntimeState]:
        """Return the runtimes that run their scripts and that no check has stopped, youngest first."""
        rows = [row for row in (await self.snapshot()).runtimes if row.state is State.RUNNING and not row.stop_id]
        return sorted((row for row in rows if row.id not in self.used), key=lambda row: row.starttime, reverse=True)

    async def becomes(self, runtime_id: str, wanted: Callable[[RuntimeState | None], bool], what: str) -> None:
        """Wait until snapshots show the runtime as wanted."""
        end_s = time.monotonic() + SHOWN_WITHIN_S
        while not wanted(row := await self.row(runtime_id)):
            if time.monotonic() > end_s:
                raise Failed(f"the snapshot does not show {what} within {SHOWN_WITHIN_S:g} s: {_shown(row)}")
            await asyncio.sleep(LOOK_EVERY_S)


Check = Callable[[Subject], Awaitable[None]]
"""One check: raises `Failed` or `Skipped`. Its name is the check's, its docstring what the protocol asks."""


def new_id() -> str:
    """Return an id that no runtime and no stop has."""
    return str(uuid4())


def read(model: type[AnyBody], reply: Reply) -> AnyBody:
    """Read the body of an answer 200."""
    if reply.status != HTTPStatus.OK:
        raise Failed(f"status {reply.status} instead of 200: {excerpt(reply)}")
    return _parse(model, reply)


def refused(reply: Reply, status: int, error: str) -> Problem:
    """Check that a request was refused with that status and code."""
    if reply.status != status:
        raise Failed(f"status {reply.status} instead of {status} {error}: {excerpt(reply)}")
    problem = _parse(Problem, reply)
    if problem.error != error:
        raise Failed(f"error {problem.error!r} instead of {error!r}")
    return problem


def excerpt(reply: Reply) -> str:
    """Return the beginning of a body, for people."""
    return repr(reply.body[:120].decode(errors="replace"))


def _parse(model: type[AnyBody], reply: Reply) -> AnyBody:
    try:
        return model.model_validate_json(reply.body)
    except ValidationError as error:
        raise Failed(f"not a {model.__name__} of the schema: {wrong_fields(error)[:400]}") from None


def _limit_s(method: str, path: str) -> float:
    if method == "POST":
        return COMMAND_TIMEOUT_S
    return SNAPSHOT_TIMEOUT_S if path == "/v1/runtimes" else STATUS_TIMEOUT_S


def _shown(row: RuntimeState | None) -> str:
    return "it is not there" if row is None else f"state {row.state}, stoptype {row.stoptype}, stop_id {row.stop_id}"
