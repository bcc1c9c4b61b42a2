"""A call as a bridge sees it: a stack of scripts, shown to the agent as one runtime.

Owns how a stack becomes a full state: the innermost script runs, the outermost is its source; an External Stop branch
has no source, because the call has left it for good. Called by bridges.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from ivr_engine.mirror import Mirror
from ivr_engine.model import FullState, State, StopType
from ivr_engine.rules import Script, domain_of
from ivr_engine.stopids import StopIds


class Numbers(NamedTuple):
    """Who calls whom in which call, in the engine's own words."""

    caller: str | None = None
    called: str | None = None
    call_id: str | None = None


class Frame(NamedTuple):
    """One level of a call: what called it with which data (None: not known), where that led, and the script there."""

    application: str
    data: str | None
    context: str
    extension: str
    script: Script | None


class Call:
    """One channel that executes a dialplan. `started_us` is in microseconds since the epoch.

    `branch` is whether its External Stop branch runs, `stopping` whether it has been told to end, `place` where the
    dialplan has led it, `seq` the number of the last event that was taken in.
    """

    def __init__(self, runtime_id: str, *, started_us: int, numbers: Numbers) -> None:
        self.id, self.numbers = runtime_id, numbers
        self.starttime = datetime.fromtimestamp(started_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.frames: list[Frame] = []
        self.branch = self.stopping = False
        self.place: tuple[str, ...] = ()
        self.seq = 0
        self.ids = StopIds()
        self.shown: FullState | None = None
        self._domain: str | None = None
        self._name: str | None = None

    @property
    def scripts(self) -> list[Script]:
        """The scripts, the source first and the running one last."""
        return [frame.script for frame in self.frames if frame.script]

    def enter(self, frame: Frame, *, branch: bool) -> None:
        """Begin a new stack: the channel was led to another place for good."""
        if branch and frame.script and self.scripts:
            frame.script.branch_of(self.scripts[-1])
        self.frames, self.branch = [frame], branch

    def complete(self, application: str, data: str) -> Frame | None:
        """Go back to what called the application; return the frame that is left, if there is one."""
        for depth in range(len(self.frames) - 1, 0, -1):
            frame = self.frames[depth]
            if frame.application == application and frame.data in {data, None}:
                del self.frames[depth:]
                return frame
        return None

    def variables(self, *, name: str, domain: str) -> None:
        """Take in what the script says of itself. An engine does not put a name back when a nested script ends."""
        if name and name != self._name and self.scripts:
            self._name = name
            self.scripts[-1].call(name)
        if self._domain is None and self.scripts:
            self._domain = domain_of(self.scripts[0].rule.domain or domain)

    def show(self, mirror: Mirror) -> None:
        """Tell the mirror what has changed."""
        state = self._state()
        if state is None and self.shown:
            self.hide(mirror, StopType.NORMAL)
        elif state and state != self.shown:
            self.shown = state
            mirror.put(state)

    def hide(self, mirror: Mirror, stoptype: StopType) -> None:
        """Tell the mirror that no script runs any more; one that was stopped ended by `stop`."""
        if self.shown:
            self.shown = None
            mirror.end(self.id, StopType.STOP if self.branch or self.stopping else stoptype)

    def _state(self) -> FullState | None:
        scripts = self.scripts
        if not scripts or self._domain is None:
            return None
        source, script = scripts[0], scripts[-1]
        nested = len(scripts) > 1 and not self.branch
        return FullState(
            id=self.id,
            domain=self._domain,
            type=script.rule.type,
            code=script.code,
            name=script.name,
            starttime=self.starttime,
            state=State.POST_PROCESSING if self.branch else State.RUNNING,
            stoptype=StopType.STOP if self.branch else None,
            stop_id=self.ids.last,
            rootcode=source.code if nested else None,
            rootname=source.name if nested else None,
            **self.numbers._asdict(),
        )
