"""`python -m chaos.engine`: the sandbox's real engine with the recorder inside and, at times, slow answers.

Owns the composition only: a subclass that writes down what its parent does, and a middleware that waits. Started by
the stack in the place of `ivr_sandbox`; reads its own settings from CHAOS_* variables.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest import mock

from aiohttp import web

from chaos import sabotage
from chaos.history import Before
from chaos.recorder import Recorder
from ivr_engine.model import Ack, Changed, Event, State, StopType, UnknownRuntimeError
from ivr_engine.server import application
from ivr_sandbox import __main__ as program
from ivr_sandbox.engine import Engine, Runtime

SETTINGS: Final = "CHAOS_ENGINE"
"""The variable with the settings: JSON with `records` (folder), `seed` and `slow`.

`slow` is a file that holds pairs of epoch seconds, between which answers are slow; it may come later, and change.
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RecordedEngine(Engine):
    """The engine, and a note of every beginning, command, External Stop branch and end."""

    recorder: Recorder

    def __init__(self, *, session: str, publish: Callable[[Event], None], **wiring: Any) -> None:
        settings = json.loads(os.environ[SETTINGS])
        self.recorder = Recorder(Path(settings["records"]), node=os.environ["IVR_SANDBOX_NODE"], session=session)
        self._known: set[str] = set()

        def published(event: Event) -> None:
            self._note(event)
            publish(event)

        super().__init__(session=session, publish=published, **wiring)

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("external_stop", super().external_stop, runtime_id, stop_id)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("terminate", super().terminate, runtime_id, stop_id)

    async def _told(self, verb: str, act: Callable[..., Awaitable[Ack]], runtime_id: str, stop_id: str) -> Ack:
        before, branch = self._look(runtime_id)
        ended = False
        try:
            ack = await act(runtime_id, stop_id=stop_id)
            ended = ack.state is State.ENDED
        finally:  # also when the runtime is unknown: that the command came is what counts
            self.recorder.note(
                "told", runtime=runtime_id, stop_id=stop_id, verb=verb, before=before, branch=branch, ended=ended
            )
        return ack

    def _enter_stop_branch(self, runtime: Runtime) -> None:
        self.recorder.note("branch", runtime=runtime.id)
        super()._enter_stop_branch(runtime)

    def _look(self, runtime_id: str) -> tuple[Before, bool]:
        try:
            runtime = self._find(runtime_id)
        except UnknownRuntimeError:
            return Before.UNKNOWN, False
        if runtime.interpreter.stoptype is StopType.STOP:
            return Before.BRANCH, True
        return (Before.STOPPING if runtime.stopping else Before.RUNNING), runtime.interpreter.has_stop_branch

    def _note(self, event: Event) -> None:
        if not isinstance(event, Changed):
            self._known.discard(event.id)
            self.recorder.note("ended", runtime=event.id, stoptype=event.stoptype)
        elif event.state.id not in self._known:
            self._known.add(event.state.id)
            self.recorder.note("began", runtime=event.state.id, domain=event.state.domain)


def slowed(engine: RecordedEngine, *, token: str | None) -> web.Application:
    """Return the engine side, slow while the schedule says so; it writes down whom it refused for want of its token."""
    settings = json.loads(os.environ[SETTINGS])
    chance = Random(f"{settings['seed']}/{engine.session}")

    @web.middleware
    async def slow(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_slow(Path(settings["slow"])):
            return await handler(request)
        before_s, after_s = waits(chance, command=request.method == "POST")
        if before_s or after_s:
            engine.recorder.note("slow", path=request.path, before_s=before_s, after_s=after_s)
        await asyncio.sleep(before_s)
        answer = await handler(request)
        await asyncio.sleep(after_s)
        return answer

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            engine.recorder.note("refused", path=request.path)
        return answer

    app = application(engine, token=token)
    app.middlewares.insert(0, slow)
    app.middlewares.insert(0, guarded)
    return app


def _is_slow(file: Path) -> bool:
    return file.exists() and any(since <= time.time() < until for since, until in json.loads(file.read_bytes()))


def waits(chance: Random, *, command: bool) -> tuple[float, float]:
    """Draw how long a request waits before and after its effect (s); beyond the agent's patience in either place."""
    if chance.random() < 0.5:
        return 0.0, 0.0
    wait_s = chance.uniform(0.2, 6.0 if command else 3.0)
    return (wait_s, 0.0) if chance.random() < 0.5 else (0.0, wait_s)


def main() -> int:
    """Run the engine with our parts in the place of its own."""
    with mock.patch.multiple(program, Engine=sabotage.engine(RecordedEngine), application=slowed):
        return program.main([])


if __name__ == "__main__":
    sys.exit(main())
