"""The engine under test: its requests, and what is remembered of it between checks.

Owns the requests and shows raw answers, which the agent's client would hide. But commands go through the agent's
client: an answer that it cannot read is of no use for a stop. Raises `Failed` when an answer is
not what the protocol says.
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

from ivr_engine.address import Address, connector
from ivr_engine.conformance.bodies import Answer, FullSnapshot, Problem, RuntimeState, Status
from ivr_engine.conformance.door import Door, GoneError
from ivr_engine.exchange import BadAnswerError, Exchange
from ivr_engine.telling import told, wrong_fields

AnyBody = TypeVar("AnyBody", bound=BaseModel)

STATUS_TIMEOUT_S: Final = 2.0
SNAPSHOT_TIMEOUT_S: Final = 10.0
COMMAND_TIMEOUT_S: Final = 4.0
"""How long the agent waits for each answer, as the protocol's page says."""

NOBODY: Final = "never-was"
"""A session that no engine ever has."""


class Failed(Exception):  # noqa: N818  # a verdict, not an error of this program
    """The engine is not as the protocol says; the message tells what was seen."""


class Gone(Failed):
    """The engine takes no connections any more."""


class Skipped(Exception):  # noqa: N818  # a verdict, not an error of this program
    """The check does not apply; the message tells why."""


class Open(Exception):  # noqa: N818  # a verdict, not an error of this program
    """The check was asked for and cannot be made here; the message tells what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the kit waits, in seconds: for answers as long as the agent, for changes one probe interval."""

    status_s: float = STATUS_TIMEOUT_S
    snapshot_s: float = SNAPSHOT_TIMEOUT_S
    command_s: float = COMMAND_TIMEOUT_S
    shown_s: float = 5.0
    event_s: float = 10.0
    look_every_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the engine."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Subject:
    """The engine under test. `token` is the node's, for TCP; `used` are the runtimes that checks have stopped."""

    def __init__(self, address: Address, *, token: str | None = None, limits: Limits = Limits()) -> None:
        self.token = None if address.path else token
        self.limits = limits
        self.used: set[str] = set()
        self.door = Door(address)
        self.commands = Exchange(address, token=self.token)
        self._http = _client(address)
        self._apart = _client(address, force_close=True)

    async def close(self) -> None:
        """Close the connections."""
        self.commands.close()
        await self._http.close()
        await self._apart.close()

    def own_headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def ask(
        self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request with the token, or with other `headers` over its own connection: a refusal may close it."""
        limit_s = self._limit_s(method, path)
        http, named = (self._http, self.own_headers()) if headers is None else (self._apart, headers)
        try:
            async with http.request(
                method,
                path,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **named},
                timeout=aiohttp.ClientTimeout(total=limit_s),
                allow_redirects=False,
            ) as answer:
                return Reply(answer.status, answer.headers.copy(), await answer.read())
        except TimeoutError:
            raise Failed(f"no answer to {method} {path} within {limit_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise Gone(f"no connection for {method} {path}: {error.strerror}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(f"no answer to {method} {path} that can be read: {told(error)}") from None

    async def send(self, path: str, body: bytes) -> Reply:
        """Post a body as the agent posts its commands."""
        try:
            async with asyncio.timeout(self.limits.command_s):
                status, answer = await self.commands.post(path, body)
        except TimeoutError:
            raise Failed(f"no answer to POST {path} within {self.limits.command_s:g} s") from None
        except BadAnswerError as error:
            seen = f": {error.seen!r}" if error.seen else ""
            raise Failed(f"the agent cannot read the answer to POST {path}: {error}{seen}") from None
        except (OSError, EOFError) as error:
            await self._must_be_there(path)
            raise Failed(f"the answer to POST {path} broke off: {told(error)}") from None
        return Reply(status, {}, answer)

    async def status(self) -> Status:
        """Ask for session and seq."""
        return read(Status, await self.ask("GET", "/v1/status"))

    async def snapshot(self) -> FullSnapshot:
        """Ask for all runtimes."""
        return read(FullSnapshot, await self.ask("GET", "/v1/runtimes"))

    async def command(
        self, verb: str, runtime_id: str, *, stop_id: str, session: str | None = None, **more: object
    ) -> Reply:
        """Send a command, for the engine's present session unless one is given."""
        body = {"session": session or (await self.status()).session, "stop_id": stop_id, **more}
        return await self.send(f"/v1/runtimes/{runtime_id}/{verb}", json.dumps(body).encode())

    async def act(self, verb: str, row: RuntimeState, *, stop_id: str) -> Answer:
        """Send a command; the answer must be 200 and name the command's session."""
        self.used.add(row.id)
        session = (await self.status()).session
        answer = read(Answer, await self.command(verb, row.spelling, stop_id=stop_id, session=session))
        if answer.session != session:
            raise Failed(f"a command for session {session} was answered in the name of session {answer.session}")
        return answer

    async def row(self, runtime_id: str) -> RuntimeState | None:
        """Look a runtime up in a snapshot."""
        rows = (await self.snapshot()).runtimes
        return next((row for row in rows if row.id == runtime_id), None)

    async def running(self) -> list[RuntimeState]:
        """Return the running runtimes that no check has stopped, youngest first."""
        rows = [row for row in (await self.snapshot()).runtimes if row.state == "running" and not row.stop_id]
        return sorted((row for row in rows if row.id not in self.used), key=lambda row: row.starttime, reverse=True)

    async def becomes(self, runtime_id: str, wanted: Callable[[RuntimeState | None], bool], what: str) -> None:
        """Wait until snapshots show the runtime as wanted."""
        end_s = time.monotonic() + self.limits.shown_s
        while not wanted(row := await self.row(runtime_id)):
            if time.monotonic() > end_s:
                raise Failed(f"the snapshot does not show {what} within {self.limits.shown_s:g} s: {shown(row)}")
            await asyncio.sleep(self.limits.look_every_s)

    async def grew(self, before: int) -> None:
        """Check that seq has grown."""
        if (after := (await self.status()).seq) <= before:
            raise Failed(f"seq did not grow with the change: {before} before, {after} after")

    async def _must_be_there(self, path: str) -> None:
        try:
            await self.door.reach(within_s=self.limits.status_s)
        except GoneError as error:
            raise Gone(f"no connection for POST {path}: {error}") from None

    def _limit_s(self, method: str, path: str) -> float:
        if method == "POST":
            return self.limits.command_s
        return self.limits.snapshot_s if path == "/v1/runtimes" else self.limits.status_s


Check = Callable[[Subject], Awaitable[None]]
"""One check: raises `Failed`, `Skipped` or `Open`. Its name is the check's, its docstring what the protocol asks."""


def _client(address: Address, *, force_close: bool = False) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(address.base_url, connector=connector(address, force_close=force_close))


def new_id() -> str:
    """Return an id that no runtime and no stop has."""
    return str(uuid4())


def read(model: type[AnyBody], reply: Reply) -> AnyBody:
    """Read the body of an answer 200."""
    if reply.status != HTTPStatus.OK:
        raise Failed(f"status {reply.status} instead of 200: {excerpt(reply)}")
    return _parse(model, reply)


def refused(reply: Reply, status: int, error: str, *, session: str | None = None) -> Problem:
    """Check that a request was refused with that status and code and, if given, that session."""
    if reply.status != status:
        raise Failed(f"status {reply.status} instead of {status} {error}: {excerpt(reply)}")
    problem = _parse(Problem, reply)
    if problem.error != error:
        raise Failed(f"error {problem.error!r} instead of {error!r}")
    if session not in (None, problem.session):
        raise Failed(f"the refusal {error} names session {problem.session}, the engine's is {session}")
    return problem


def excerpt(reply: Reply) -> str:
    """Return the beginning of a body, for people."""
    return repr(reply.body[:120].decode(errors="replace"))


def shown(row: RuntimeState | None) -> str:
    """Say how a snapshot shows a runtime, for people."""
    return "it is not there" if row is None else f"state {row.state}, stoptype {row.stoptype}, stop_id {row.stop_id}"


def _parse(model: type[AnyBody], reply: Reply) -> AnyBody:
    try:
        return model.model_validate_json(reply.body)
    except ValidationError as error:
        what = f"not a {model.__name__} of the schema: {wrong_fields(error)[:400]}"
        begins = "" if model is FullSnapshot else f"; the body begins with {excerpt(reply)}"  # callers' numbers
        raise Failed(what + begins) from None
