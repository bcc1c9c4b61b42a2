"""What a run leaves behind for the verdict: shapes only, all times in epoch seconds of the machine's one clock.

`recorder` writes the engine's side, `client` stops and samples, `proxy` and `havoc` what was broken; `verdict` reads.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Before(StrEnum):
    """What a runtime was doing when a command reached it."""

    RUNNING = "running"
    STOPPING = "stopping"  # its External Stop branch is due but has not begun
    BRANCH = "branch"  # its External Stop branch runs
    UNKNOWN = "unknown"  # it has ended or never was


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One command that reached the engine. `branch`: the executing script has an External Stop branch."""

    at: float
    runtime: str
    stop_id: str
    verb: str
    before: Before
    branch: bool = False
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class Life:
    """A runtime as the recorder saw it. `ended_at`: when it ended by itself or by a command, None if neither.

    `branch_at`: when control was handed to its External Stop branch, None if it was not.
    """

    runtime: str
    session: str
    domain: str
    began_at: float
    branch_at: float | None = None
    ended_at: float | None = None
    told: list[Told] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One life of an engine process. `killed_at` is None when it outlived the run."""

    session: str
    node: str
    pid: int
    began_at: float
    killed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer said of a stop (`Stop-Outcome`), and when it was there."""

    outcome: str
    at: float


@dataclass(slots=True, kw_only=True)
class Stop:
    """One stop request with all its repeats. `accepted_at` is the instant of the first 204, None if there was none.

    `wait_s` is how long its answers may wait for the effect, None if they do not; `claims` is what they said then.
    """

    stop_id: str
    runtime: str
    sent_at: float
    wait_s: int | None = None
    claims: list[Claim] = field(default_factory=list)
    accepted_at: float | None = None
    attempts: int = 0
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One list: asked at `asked_at`, answered at `answered_at`."""

    domain: str
    asked_at: float
    answered_at: float
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """From `since` to `until` something of `node` ("" = of all) was broken: `what` is process, link, slow or queue."""

    node: str
    what: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """A fault kept the message of this stop from everybody from `since` to `until`."""

    stop_id: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """The agent of `node` was handed the message of this stop."""

    stop_id: str
    node: str
    at: float


@dataclass(slots=True, kw_only=True)
class History:
    """Everything the verdict is made of. `sites` maps nodes to their sites; `ended_at` is when the run was over."""

    sites: dict[str, str]
    ended_at: float
    sessions: dict[str, Session] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    kills: int = 0
    faults: int = 0
