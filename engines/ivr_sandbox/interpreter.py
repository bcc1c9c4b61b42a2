"""Runs one script for one call: its steps, its branches and the scripts nested in it.

Owns what runs now and what comes next. It never waits and never ends anything itself: `run` yields the seconds until
its next step, and the engine sets a timer. So a branch can take over between any two steps, and a trial run in virtual
time is a plain loop.
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Final

from ivr_engine.model import State, StopType
from ivr_sandbox.library import Library
from ivr_sandbox.script import Branch, Menu, Pause, Play, Repeat, RunScript, Script, Set, Span, Step, Steps, Stop

Course = Generator[float, None, StopType]
"""Yields waits in seconds; returns the termination type at its end."""

Waits = Generator[float, None, None]
"""A part of a course."""

PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable's placeholder in a prompt or a value."""


class TerminationError(Exception):
    """The executing script terminates with this type; its branch for the type runs next."""

    def __init__(self, stoptype: StopType) -> None:
        super().__init__(stoptype)
        self.stoptype = stoptype


class RuntimeEndedError(Exception):
    """The runtime ends with this type: control returns to no script."""

    def __init__(self, stoptype: StopType) -> None:
        super().__init__(stoptype)
        self.stoptype = stoptype


@dataclass(frozen=True, slots=True)
class Limits:
    """The last second and the last step of the runtime's life at which a script may run."""

    until_s: float = inf
    until_step: float = inf


class Interpreter:
    """Runs one call's script. `changed` is called after every change of script or state."""

    def __init__(self, script: Script, *, library: Library, rng: Random, changed: Callable[[], None]) -> None:
        self._library = library
        self._rng = rng
        self._changed = changed
        self._scripts = [script]
        self._variables: dict[str, str] = {}
        self._waited_s = 0.0
        self._steps_done = 0
        self.stoptype: StopType | None = None

    @property
    def script(self) -> Script:
        """The script that executes now."""
        return self._scripts[-1]

    @property
    def source(self) -> Script | None:
        """The source script while a nested one executes, else None."""
        return self._scripts[0] if len(self._scripts) > 1 else None

    @property
    def state(self) -> State:
        """Post-processing while such a branch runs, else running."""
        return State.RUNNING if self.stoptype is None else State.POST_PROCESSING

    @property
    def has_stop_branch(self) -> bool:
        """Whether the script that executes now has an External Stop branch."""
        return StopType.STOP in self.script.post_processing

    def run(self) -> Course:
        """Run the source script, to the end of the runtime."""
        try:
            return (yield from self._execute(self.script, within=Limits()))
        except RuntimeEndedError as end:
            return end.stoptype

    def external_stop(self) -> Course:
        """Hand control to the External Stop branch of the script that executes now; the course of `run` is over."""
        self.stoptype = StopType.STOP
        self._changed()
        try:
            yield from self._branch(self.script, StopType.STOP)
        except RuntimeEndedError as end:
            return end.stoptype
        return StopType.STOP

    def _execute(self, script: Script, *, within: Limits) -> Course:
        stoptype = yield from self._until_termination(script.steps, self._limits(script, within=within))
        if stoptype in script.post_processing:
            # Within a branch the state stays that of the outermost branch: an External Stop branch shows as one until
            # its end, whatever scripts are nested in it.
            if self.stoptype is None:
                self.stoptype = stoptype
                self._changed()
            yield from self._branch(script, stoptype)
        return stoptype

    def _branch(self, script: Script, stoptype: StopType) -> Waits:
        ended = yield from self._until_termination(script.post_processing[stoptype], self._limits(script))
        if ended is not StopType.NORMAL:
            raise RuntimeEndedError(ended)

    def _until_termination(self, steps: Steps, limits: Limits) -> Course:
        try:
            yield from self._carry_out(steps, limits)
        except TerminationError as termination:
            return termination.stoptype
        return StopType.NORMAL

    def _limits(self, script: Script, *, within: Limits = Limits()) -> Limits:
        """Return a script's limits, counted from now and at most those of its caller."""
        return Limits(
            min(within.until_s, self._waited_s + script.start.max_duration_s),
            min(within.until_step, self._steps_done + script.start.max_steps),
        )

    def _carry_out(self, steps: Steps, limits: Limits) -> Waits:
        for step in steps:
            if self._steps_done >= limits.until_step:
                raise TerminationError(StopType.MAXCOUNT)
            self._steps_done += 1
            yield from self._step(step, limits)

    def _step(self, step: Step, limits: Limits) -> Waits:
        match step:
            case Play():
                self._fill(step.prompt)
                yield from self._wait(self._draw(step.duration_s), limits)
            case Pause():
                yield from self._wait(self._draw(step.duration_s), limits)
            case Menu():
                yield from self._menu(step, limits)
            case Set():
                self._variables[step.variable] = self._fill(step.value)
            case Branch():
                yield from self._carry_out(step.cases.get(self._value(step.variable), step.otherwise), limits)
            case Repeat():
                for _ in range(step.times):
                    yield from self._carry_out(step.steps, limits)
            case RunScript():
                yield from self._nest(self._library[step.code], limits)
            case Stop():
                raise TerminationError(StopType.NORMAL)

    def _nest(self, script: Script, limits: Limits) -> Waits:
        outer = self.stoptype
        self._scripts.append(script)
        self._changed()
        stoptype = yield from self._execute(script, within=limits)
        if stoptype is not StopType.NORMAL:
            raise RuntimeEndedError(stoptype)
        self._scripts.pop()
        self.stoptype = outer
        self._changed()

    def _menu(self, menu: Menu, limits: Limits) -> Waits:
        if self._rng.random() >= menu.timeout_probability:
            yield from self._wait(self._draw(menu.wait_s), limits)
            [self._variables[menu.variable]] = self._rng.choices(list(menu.choices), list(menu.choices.values()))
            return
        yield from self._wait(menu.wait_s[1], limits)
        if menu.timeout is None:
            raise TerminationError(StopType.TIMEOUT)
        yield from self._carry_out(menu.timeout, limits)

    def _wait(self, wait_s: float, limits: Limits) -> Waits:
        left_s = limits.until_s - self._waited_s
        yield min(wait_s, left_s)
        self._waited_s += min(wait_s, left_s)
        if wait_s > left_s:
            raise TerminationError(StopType.MAXDURATION)

    def _draw(self, span: Span) -> float:
        return self._rng.uniform(*span)

    def _value(self, variable: str) -> str:
        if variable not in self._variables:
            raise TerminationError(StopType.ERROR)
        return self._variables[variable]

    def _fill(self, text: str) -> str:
        return PLACEHOLDER.sub(lambda found: self._value(found[1]), text)
