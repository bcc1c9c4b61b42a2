"""The engine: the runtimes of one session, and the commands that stop them (docs/engine-protocol.md).

Owns which runtimes exist and what each command does. Nothing here waits, so a snapshot is consistent and an answer
shows the state after its command. It knows neither HTTP nor the agent: changes go to the mirror, which publishes them.
`calls` starts runtimes, the kit's server passes commands on.
"""

import logging
import secrets
from collections.abc import Callable
from functools import partial
from random import Random

from ivr_engine.mirror import Mirror
from ivr_engine.model import Ack, Event, FullState, Result, Snapshot, State, StopType, UnknownRuntimeError
from ivr_sandbox import ids, numbers
from ivr_sandbox.clock import Scheduler, Timer
from ivr_sandbox.interpreter import Course, Interpreter
from ivr_sandbox.library import Library
from ivr_sandbox.numbers import Numbers

log = logging.getLogger(__name__)


class Runtime:
    """One call in progress. `stop_ids` are all it accepted; `course` is what its interpreter runs now."""

    __slots__ = (
        *("course", "domain", "id", "interpreter", "numbers", "starttime", "stop_id", "stop_ids", "stopping", "timer"),
    )

    def __init__(self, runtime_id: str, *, domain: str, starttime: str, numbers: Numbers) -> None:
        self.id = runtime_id
        self.domain = domain
        self.starttime = starttime
        self.numbers = numbers
        self.interpreter: Interpreter
        self.course: Course
        self.timer: Timer | None = None
        self.stop_ids: set[str] = set()
        self.stop_id: str | None = None
        self.stopping = False

    def full_state(self) -> FullState:
        """Return the runtime as it is now."""
        interpreter = self.interpreter
        source = interpreter.source
        return FullState(
            id=self.id,
            domain=self.domain,
            type=interpreter.script.type,
            code=interpreter.script.code,
            name=interpreter.script.name,
            starttime=self.starttime,
            state=interpreter.state,
            stoptype=interpreter.stoptype,
            stop_id=self.stop_id,
            rootcode=None if source is None else source.code,
            rootname=None if source is None else source.name,
            caller=self.numbers.caller,
            called=self.numbers.called,
            call_id=self.numbers.call_id,
        )

    def halt(self) -> None:
        """Stop its course and timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.course.close()


class Engine:
    """One session's runtimes.

    `now_us` gives microseconds since the epoch; `publish` takes every event, in order of `seq`, and must not wait;
    `external_stop_delay_s` delays the start of External Stop branches.
    """

    def __init__(  # noqa: PLR0913  # wired in one place, all by keyword
        self,
        *,
        session: str,
        node_number: int,
        library: Library,
        scheduler: Scheduler,
        now_us: Callable[[], int],
        publish: Callable[[Event], None],
        external_stop_delay_s: float = 0.0,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._mirror = Mirror(session=session, publish=publish)
        self._node_number = node_number
        self._library = library
        self._scheduler = scheduler
        self._now_us = now_us
        self._external_stop_delay_s = external_stop_delay_s
        self._random_bits = random_bits
        self._failed = 0
        self._runtimes: dict[str, Runtime] = {}

    def start(self, code: str, *, domain: str, rng: Random) -> str:
        """Start a script for a call of the domain; return the runtime's id. `rng` decides who calls, and does what."""
        started_us = self._now_us()
        runtime = Runtime(
            self._new_id(started_us),
            domain=domain,
            starttime=ids.starttime(started_us),
            numbers=numbers.draw(rng, domain=domain, code=code),
        )
        runtime.interpreter = Interpreter(
            self._library[code], library=self._library, rng=rng, changed=partial(self._reached, runtime.id)
        )
        runtime.course = runtime.interpreter.run()
        self._runtimes[runtime.id] = runtime
        self._changed(runtime)
        log.debug("a call began", extra={"action": "runtime_started", "id": runtime.id, "code": code, "domain": domain})
        self._advance(runtime)
        return runtime.id

    def _new_id(self, started_us: int) -> str:
        """Return an id that no running call has: of calls that begin in the same microsecond only chance makes two."""
        while True:
            bits = self._random_bits(ids.RANDOM_BITS)
            found = ids.runtime_id(started_us, node_number=self._node_number, random_bits=bits)
            if found not in self._runtimes:
                return found

    @property
    def session(self) -> str:
        """The session: one per process."""
        return self._mirror.session

    @property
    def seq(self) -> int:
        """The number of changes so far."""
        return self._mirror.seq

    @property
    def answered_s(self) -> None:
        """None: this process is the engine, so any answer shows that it is up."""

    def snapshot(self) -> Snapshot:
        """Return every runtime as of `seq`."""
        return self._mirror.snapshot()

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Hand control to the External Stop branch of the executing script, or end the runtime if it has none."""
        runtime = self._find(runtime_id)
        if stop_id in runtime.stop_ids:
            return Ack(runtime.interpreter.state, Result.ALREADY_STOPPING)
        self._accept(runtime, stop_id)
        if runtime.stopping:
            self._changed(runtime)
            return Ack(runtime.interpreter.state, Result.ALREADY_STOPPING)
        self._stop(runtime)
        return Ack(self._state(runtime), Result.ACTED)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """End the runtime, whatever it is doing."""
        runtime = self._find(runtime_id)
        if stop_id in runtime.stop_ids:
            return Ack(runtime.interpreter.state, Result.ALREADY_STOPPING)
        self._end(runtime, StopType.STOP)
        return Ack(State.ENDED, Result.ACTED)

    def _find(self, runtime_id: str) -> Runtime:
        try:
            return self._runtimes[runtime_id]
        except KeyError:
            raise UnknownRuntimeError(runtime_id) from None

    def _state(self, runtime: Runtime) -> State:
        return runtime.interpreter.state if runtime.id in self._runtimes else State.ENDED

    def _accept(self, runtime: Runtime, stop_id: str) -> None:
        runtime.stop_ids.add(stop_id)
        runtime.stop_id = stop_id

    def _stop(self, runtime: Runtime) -> None:
        runtime.halt()
        if not runtime.interpreter.has_stop_branch:
            self._end(runtime, StopType.STOP)
            return
        runtime.stopping = True
        if self._external_stop_delay_s:
            self._changed(runtime)
            runtime.timer = self._scheduler.call_later(self._external_stop_delay_s, self._enter_stop_branch, runtime)
        else:
            self._enter_stop_branch(runtime)

    def _enter_stop_branch(self, runtime: Runtime) -> None:
        runtime.course = runtime.interpreter.external_stop()
        self._advance(runtime)

    def _advance(self, runtime: Runtime) -> None:
        """Run the runtime up to its next wait."""
        try:
            wait_s = next(runtime.course)
        except StopIteration as end:
            self._end(runtime, end.value)
        except Exception:  # last resort: after a defect the runtime must not stay listed for ever
            self._failed += 1
            if self._failed.bit_count() == 1:  # log the first, second, fourth and so on: every call may fail
                extra = {"action": "runtime_failed", "id": runtime.id, "failed": self._failed}
                log.exception("a script failed in an unforeseen way", extra=extra)
            self._end(runtime, StopType.ERROR)
        else:
            runtime.timer = self._scheduler.call_later(wait_s, self._advance, runtime)

    def _reached(self, runtime_id: str) -> None:
        # By id: an interpreter that held its runtime would form a cycle, freed only by the garbage collector.
        self._changed(self._runtimes[runtime_id])

    def _changed(self, runtime: Runtime) -> None:
        self._mirror.put(runtime.full_state())

    def _end(self, runtime: Runtime, stoptype: StopType) -> None:
        runtime.halt()
        del self._runtimes[runtime.id]
        self._mirror.end(runtime.id, stoptype)
        log.debug("a call ended", extra={"action": "runtime_ended", "id": runtime.id, "stoptype": stoptype})
