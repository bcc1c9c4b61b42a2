"""The states of the lease and their transitions (drawn in docs/agent.md, "Life").

Owns what each state knows and every transition, as functions from a state to a state. No clock, no table, no engine:
`lease` asks those and passes on the results. An event that changes nothing returns the same state.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ivr_agent.lease.rival import Rival
from ivr_runtimes.identifiers import Session
from ivr_runtimes.model import Node

STEP_S: Final = 0.002
"""A lease that names a new session must end at least this much later, so that a late write naming the old one fails
its condition: the table keeps milliseconds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """We hold no lease: there was no engine yet, or another agent's lease holds."""

    row: Node | None = None
    """The node's row as last read."""
    looked: bool = False
    """True once it was read at all."""
    lost: bool = False
    """True when we held the lease before: the agent that has it came after us, and lives."""
    dead: str = ""
    """The agent in the row if it is certainly gone: its lease need not lapse."""
    rival: Rival | None = None
    """The agent in the row if it may live."""
    swept_s: float | None = None
    """When (monotonic) the table was seen swept for our first lease."""


@dataclass(frozen=True, slots=True)
class Serving:
    """We hold the lease and renew it. It ends at `until_s` (epoch), by the table's last answer."""

    until_s: float


@dataclass(frozen=True, slots=True)
class EngineDown:
    """We hold the lease and let it lapse, for the engine is down. Then another agent may take it."""

    until_s: float
    doubted_s: float = -math.inf
    """When (monotonic) the row was last read to see whether one took it."""


@dataclass(frozen=True, slots=True)
class AwsDown:
    """We hold the lease and cannot renew it: the table does not answer."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """The agent ends: no heartbeat follows. `last` is the state it ends in."""

    last: "Waiting | Serving | EngineDown | AwsDown"


@dataclass(frozen=True, slots=True)
class Ended:
    """Over: the lease is left to the next agent, or another agent keeps it."""


State: TypeAlias = Waiting | Serving | EngineDown | AwsDown | Ending | Ended
STATES: Final = (Waiting, Serving, EngineDown, AwsDown, Ending)
"""Every state but `Ended`."""


def renewed(state: State, until_s: float) -> State:
    """The table took our lease."""
    match state:
        case Waiting() | Serving() | EngineDown() | AwsDown():
            return Serving(until_s)
        case _:
            return state


def engine_silent(state: State) -> State:
    """The engine is down."""
    match state:
        case Serving(until_s) | AwsDown(until_s):
            return EngineDown(until_s)
        case _:
            return state


def aws_silent(state: State) -> State:
    """A renewal had no usable answer. The table may have taken it, but it counts as not taken."""
    match state:
        case Serving(until_s) | EngineDown(until_s):
            return AwsDown(until_s)
        case _:
            return state


def held_by_another(state: State) -> State:
    """Another agent's lease is in the row."""
    match state:
        case Serving() | EngineDown() | AwsDown():
            return Waiting(looked=True, lost=True)
        case Ending(Serving() | EngineDown() | AwsDown()):
            return Ending(Waiting(looked=True, lost=True))
        case _:
            return state


def kept_by_another(state: State) -> State:
    """The other agent was seen alive after its lease should have ended."""
    return Ended() if isinstance(state, Waiting) else state


def told_to_end(state: State) -> State:
    """SIGTERM or SIGINT: the commands are done and the rows written; only the lease is left."""
    match state:
        case Waiting() | Serving() | EngineDown() | AwsDown():
            return Ending(state)
        case _:
            return state


def left(state: State) -> State:
    """The lease was handed over, or there was none to hand over."""
    return Ended() if isinstance(state, Ending) else state


EVENTS: Final[Mapping[str, Callable[[State], State]]] = {
    "lease renewed": lambda state: renewed(state, 0.0),
    "engine silent": engine_silent,
    "AWS silent": aws_silent,
    "lease held by another agent": held_by_another,
    "lease kept by another agent": kept_by_another,
    "told to end": told_to_end,
    "lease left": left,
}
"""Every event that can change the state, by its name in the diagram."""


def read(state: State, row: Node | None) -> State:
    """The row was read while we hold no lease."""
    return replace(state, row=row, looked=True) if isinstance(state, Waiting) else state


def is_new(state: State) -> bool:
    """Tell whether the row has yet to be read for the first time."""
    return isinstance(state, Waiting) and not state.looked


def is_over(state: State) -> bool:
    """Tell whether no heartbeat may follow."""
    return isinstance(state, Ending | Ended)


def may_be_dead(state: State, row: Node) -> bool:
    """Tell whether to ask if the agent in the row is gone: only once, and not if it took the lease from us."""
    return isinstance(state, Waiting) and not state.lost and row.agent_id != state.dead


def found_dead(state: State, row: Node) -> State:
    """The agent in the row is certainly gone: its lease may be taken."""
    return replace(state, dead=row.agent_id) if isinstance(state, Waiting) else state


def held_until_s(state: State) -> float | None:
    """Return when (epoch) our lease ends, None when we hold none."""
    match state:
        case Serving(until_s) | EngineDown(until_s) | AwsDown(until_s):
            return until_s
        case Ending(last):
            return held_until_s(last)
        case _:
            return None


def names_session(state: State, session: Session | None) -> bool:
    """Tell whether the row that another agent wrote names this session."""
    row = state.row if isinstance(state, Waiting) else None
    return row is not None and session is not None and row.session == session


@dataclass(frozen=True, slots=True)
class Promise:
    """The latest lease that we sent to the table, answered or not: the next must not end earlier."""

    session: Session | None = None
    until_s: float = 0.0

    def next(self, session: Session, until_s: float) -> "Promise":
        """Return the lease to send now, which is to end at `until_s`."""
        least_s = self.until_s if session == self.session else self.until_s + STEP_S
        return Promise(session, max(until_s, least_s))
