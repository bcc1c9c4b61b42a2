"""An engine and a clock in memory, behind the same ports: for tests, and for anyone who embeds the agent.

Follows docs/engine-protocol.md without scripts or HTTP; its time passes only when told to.
Never used by the running agent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ivr_agent.aws import DATE_RESOLUTION_S, Clock
from ivr_agent.engine.client import EngineError, Refusal
from ivr_agent.protocol import Answer, RuntimeState, Snapshot, Status
from ivr_runtimes.identifiers import RuntimeId, Session, StopId
from ivr_runtimes.model import State, StopType, Verb

T = TypeVar("T")

EPOCH_S: Final = 1_572_943_000.0
"""2019-11-05T08:36:40Z, the first example of the REST contract: where the clocks of tests begin."""


async def run_inline(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a store at once. Implements `aws.Run` for stores that do not block."""
    return call(*args, **kwargs)


@dataclass(slots=True)
class ManualTime:
    """Monotonic seconds that pass only when told to."""

    at_s: float = 0.0

    def __call__(self) -> float:
        """Return the monotonic time in seconds."""
        return self.at_s

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.at_s += seconds

    def clock(self) -> Clock:
        """Return a clock on this time that starts at `EPOCH_S`, as if AWS had told it."""
        clock = Clock(monotonic=self, wall=lambda: EPOCH_S + self.at_s)
        clock.observe(EPOCH_S + self.at_s - DATE_RESOLUTION_S / 2)
        return clock


@dataclass(slots=True)
class MemoryEngine:
    """Implements `engine.EngineSide`. `down` makes it silent; `branch` gives its scripts an External Stop branch.

    With `age_s` it is a bridge whose engine answered that long ago.
    """

    session: Session = Session("s-1")  # noqa: RUF009  # a NewType of str: immutable
    seq: int = 0
    runtimes: dict[RuntimeId, RuntimeState] = field(default_factory=dict)
    down: bool = False
    branch: bool = True
    age_s: float | None = None
    commands: list[tuple[Verb, RuntimeId, StopId]] = field(default_factory=list)
    snapshots: int = 0
    _accepted: set[tuple[RuntimeId, StopId]] = field(default_factory=set)

    def put(self, state: RuntimeState) -> int:
        """Start or change a runtime; return the event's seq."""
        self.runtimes[state.id] = state
        self.seq += 1
        return self.seq

    def end(self, runtime_id: RuntimeId) -> int:
        """End a runtime; return the event's seq."""
        del self.runtimes[runtime_id]
        self.seq += 1
        return self.seq

    def restart(self, session: str) -> None:
        """Begin a new life: nothing runs, nothing is remembered."""
        self.session, self.seq, self.runtimes = Session(session), 0, {}
        self._accepted.clear()

    async def status(self) -> Status:
        """Return session, seq and age."""
        self._answer()
        return Status(session=self.session, seq=self.seq, age_s=self.age_s)

    async def snapshot(self) -> Snapshot:
        """Return all runtimes."""
        self._answer()
        self.snapshots += 1
        return Snapshot(self.session, self.seq, dict(self.runtimes), {})

    async def command(
        self, verb: Verb, runtime_id: RuntimeId, *, session: Session, stop_id: StopId
    ) -> Answer | Refusal:
        """Carry out a command as docs/engine-protocol.md says."""
        self._answer()
        self.commands.append((verb, runtime_id, stop_id))
        if session != self.session:
            return Refusal("session_mismatch", self.session)
        if (runtime := self.runtimes.get(runtime_id)) is None:
            return Refusal("unknown_runtime", self.session)
        stopping = runtime.stoptype is StopType.STOP
        if (runtime_id, stop_id) in self._accepted or (verb is Verb.EXTERNAL_STOP and stopping):
            return Answer(session=session, state=runtime.state.value, result="already_stopping")
        self._accepted.add((runtime_id, stop_id))
        if verb is Verb.TERMINATE or not self.branch:
            self.end(runtime_id)
            return Answer(session=session, state="ended", result="acted")
        branch = {"state": State.POST_PROCESSING, "stoptype": StopType.STOP, "stop_id": stop_id}
        self.put(runtime.model_copy(update=branch))
        return Answer(session=session, state="post_processing", result="acted")

    def _answer(self) -> None:
        if self.down:
            raise EngineError("the engine is down")
