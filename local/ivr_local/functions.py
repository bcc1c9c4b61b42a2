"""Runs Lambda functions: a few worker processes each, one invocation at a time per worker, as Lambda does.

Owns the start and end of workers and the timeout of a function. A worker that dies or takes too long is replaced. Knows
nothing of HTTP. The gateway calls `Function.invoke`.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ivr_local.processes import Child, ending, spawn
from ivr_local.template import FunctionSpec
from ivr_local.worker import ANSWER, LENGTH, READY

WORKERS: Final = 2
"""Per function, from the start: two requests at a time."""

MOST_WORKERS: Final = 6
"""Per function, while requests wait for one: Lambda would start more, a laptop should not. A stop that waits for its
effect keeps a worker for seconds, and takes hardly any processor time meanwhile."""

CROWDED_S: Final = 0.5
"""How long a request waits before another worker is started for it: the next free one mostly comes sooner."""

WAIT_FOR_WORKER_S: Final = 30.0
"""How long a request waits for a free worker: API Gateway's longest integration timeout (page http-api-quotas)."""

INIT_WITHIN_S: Final = 30.0
"""How long a worker may take to load its handler. Lambda gives 10 s; a laptop that starts a stack is slower."""

RESPAWN_DELAY_S: Final = 0.5
"""How long to wait before a worker that ended is replaced, so that one that cannot start causes no load."""


class FunctionError(Exception):
    """The function did not answer: it raised, it died, or its answer is too large."""


class FunctionTimeoutError(Exception):
    """The function took longer than its timeout, or no worker was free in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all functions have in common: variables with AWS's endpoints and credentials, account, stack, log folder."""

    environment: Mapping[str, str]
    region: str
    account_id: str
    stack_name: str
    logs: Path


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process and the socket to it."""

    child: Child
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        return self.child.alive and not self.reader.at_eof()

    async def send(self, payload: bytes) -> None:
        self.writer.write(LENGTH.pack(len(payload)) + payload)
        await self.writer.drain()

    async def receive(self) -> tuple[bytes, bytes]:
        """Return kind and content of the next frame; raises `EOFError` or `OSError` when the worker died."""
        (size,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        frame = await self.reader.readexactly(size)
        return frame[:1], frame[1:]

    def end(self) -> None:
        """Close the socket, at which an idle worker ends, and kill the process in case it is busy."""
        self.writer.close()
        self.child.kill()


@dataclass(slots=True, kw_only=True)
class Function:
    """A function and its workers: `workers` from the start, at most `most` while requests wait for one.

    `tell` is called with a sentence when a worker ends that should not have.
    """

    spec: FunctionSpec
    surroundings: Surroundings
    tell: Callable[[str], None]
    workers: int = WORKERS
    most: int = 0
    fault: str = "its workers are starting"
    _idle: asyncio.LifoQueue[_Worker] = field(default_factory=asyncio.LifoQueue)
    _running: set[_Worker] = field(default_factory=set)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{self.surroundings.region}:{self.surroundings.account_id}:function:{self.name}"

    @property
    def name(self) -> str:
        """The function's name, in the form that AWS would generate."""
        return f"{self.surroundings.stack_name}-{self.spec.logical_id}"

    @property
    def log(self) -> Path:
        """Where the workers' output goes."""
        return self.surroundings.logs / f"{self.spec.logical_id}.log"

    @property
    def ready(self) -> bool:
        """True when every worker of the start has loaded its handler."""
        return len(self._running) >= self.workers

    @property
    def working(self) -> bool:
        """True when at least one worker can take a call."""
        return bool(self._running)

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return sorted(worker.child.pid for worker in self._running)

    def start(self) -> None:
        """Start the workers, and from now on replace those that end."""
        for _ in range(self.workers):
            self._keep_another()

    async def stop(self) -> None:
        """End all workers."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    async def invoke(self, event: Mapping[str, Any], *, request_id: str) -> bytes:
        """Return the JSON of the handler's answer; raises `FunctionError` or `FunctionTimeoutError`."""
        worker = await self._free_worker()
        finished = False
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                await worker.send(self._invocation(event, request_id))
                kind, payload = await worker.receive()
            finished = True
        except TimeoutError:
            raise FunctionTimeoutError(f"{self.name} took longer than {self.spec.timeout_s} s") from None
        except (EOFError, OSError):
            raise FunctionError(f"{self.name}: the worker died") from None
        finally:
            if finished:
                self._idle.put_nowait(worker)
            else:
                worker.end()
        if kind != ANSWER:
            raise FunctionError(f"{self.name}: {payload.decode('utf-8', 'replace')}")
        return payload

    async def _free_worker(self) -> _Worker:
        try:
            async with asyncio.timeout(WAIT_FOR_WORKER_S):
                while not (worker := await self._next_worker()).usable:
                    pass  # it died while idle; its keeper replaces it
        except TimeoutError:
            raise FunctionTimeoutError(f"{self.name}: no worker was free within {WAIT_FOR_WORKER_S:g} s") from None
        return worker

    async def _next_worker(self) -> _Worker:
        while True:
            try:
                async with asyncio.timeout(CROWDED_S):
                    return await self._idle.get()
            except TimeoutError:
                self._grow()

    def _grow(self) -> None:
        """Start one more worker, unless one is starting already, or there are enough."""
        if 0 < len(self._keepers) == len(self._running) < self.most:
            self._keep_another()

    def _keep_another(self) -> None:
        name = f"worker {len(self._keepers)} of {self.name}"
        self._keepers.append(asyncio.create_task(self._keep(), name=name))

    def _invocation(self, event: Mapping[str, Any], request_id: str) -> bytes:
        deadline_ms = int((time.time() + self.spec.timeout_s) * 1000)
        return json.dumps(
            {"event": event, "request_id": request_id, "deadline_ms": deadline_ms, "function_arn": self.arn}
        ).encode()

    async def _keep(self) -> None:
        """Keep one worker running, for ever."""
        while True:
            async with self._worker() as worker:
                if await self._initialised(worker):
                    self._running.add(worker)
                    self._idle.put_nowait(worker)
                    exit_code = await worker.child.wait()
                    self._complain(f"a worker {ending(exit_code)}; another is starting; see {self.log}")
            await asyncio.sleep(RESPAWN_DELAY_S)

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[_Worker]:
        ours, theirs = socket.socketpair()
        with theirs:
            child = await spawn(
                self.spec.logical_id,
                [sys.executable, "-m", "ivr_local.worker", str(theirs.fileno())],
                environment=self._environment(),
                log=self.log,
                cwd=self.spec.code_path,
                pass_fds=[theirs.fileno()],
            )
        worker = _Worker(child, *await asyncio.open_connection(sock=ours))
        try:
            yield worker
        finally:
            self._running.discard(worker)
            worker.end()
            await child.wait()

    async def _initialised(self, worker: _Worker) -> bool:
        try:
            async with asyncio.timeout(INIT_WITHIN_S):
                kind, payload = await worker.receive()
        except (TimeoutError, EOFError, OSError) as error:
            kind, payload = b"", type(error).__name__.encode()
        if kind != READY:
            self._complain(f"its handler does not load ({payload.decode('utf-8', 'replace')}); see {self.log}")
        return kind == READY

    def _complain(self, fault: str) -> None:
        if fault != self.fault:  # a worker that never starts is reported once
            self.fault = fault
            self.tell(f"function {self.spec.logical_id}: {fault}")

    def _environment(self) -> dict[str, str]:
        """Return the function's variables and those Lambda defines (page "Defined runtime environment variables")."""
        return {
            **self.spec.environment,
            **self.surroundings.environment,
            "_HANDLER": self.spec.handler,
            "LAMBDA_TASK_ROOT": str(self.spec.code_path),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.spec.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "TZ": ":UTC",
        }
