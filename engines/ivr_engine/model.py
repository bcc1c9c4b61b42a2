"""What the engine tells its agent about: runtimes, their changes and their ends (docs/engine-protocol.md).

Owns shapes only. Engines make them, `reporter` and `server` put them on the wire.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

MAX_NUMBER: Final = 128
"""Characters of a caller, a called number or a call id at most: longer ones are cut, because they come from outside."""

MAX_AGE_S: Final = 1e9
"""The greatest age in a status, some thirty years: greater ones are cut to it."""


class State(StrEnum):
    """What a runtime is doing. `ENDED` occurs in answers to commands only."""

    RUNNING = "running"
    POST_PROCESSING = "post_processing"
    ENDED = "ended"


class StopType(StrEnum):
    """The platform's termination types; `STOP` is the external stop."""

    NORMAL = "normal"
    ERROR = "error"
    STOP = "stop"
    TIMEOUT = "timeout"
    MAXCOUNT = "maxcount"
    MAXDURATION = "maxduration"
    OWNER_DOWN = "owner_down"
    TRANSFER_NOT_SET = "transfer_not_set"


class Result(StrEnum):
    """Whether a command changed a runtime's fate."""

    ACTED = "acted"
    ALREADY_STOPPING = "already_stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullState:
    """A runtime as the protocol shows it; `starttime` is RFC 3339, UTC, whole seconds, `Z`.

    `caller`, `called` and `call_id` are the engine's own words for who calls whom in which call; None if it knows none.
    They are personal data, so `repr` leaves them out. Callers can choose them, so they are cut to `MAX_NUMBER`
    characters and lone surrogates are replaced: the agent would refuse the runtime for a longer one.
    """

    id: str
    domain: str
    type: str
    code: str
    name: str
    starttime: str
    state: State
    stoptype: StopType | None = None
    stop_id: str | None = None
    rootcode: str | None = None
    rootname: str | None = None
    caller: str | None = field(default=None, repr=False)
    called: str | None = field(default=None, repr=False)
    call_id: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make what callers can choose acceptable to the agent."""
        for name in ("caller", "called", "call_id"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, _acceptable(text))

    def as_json(self) -> dict[str, str | None]:
        """Return the protocol's object, fields in its order (`asdict` copies deeply: slow for a snapshot)."""
        return {name: getattr(self, name) for name in self.__slots__}


def _acceptable(text: str) -> str:
    return text[:MAX_NUMBER].encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Changed:
    """A runtime started or changed; `state` is its state as of `seq`."""

    seq: int
    state: FullState


@dataclass(frozen=True, slots=True)
class Ended:
    """A runtime ended with that termination type."""

    seq: int
    id: str
    stoptype: StopType


Event = Changed | Ended


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every runtime of the session, as of `seq`."""

    session: str
    seq: int
    runtimes: tuple[FullState, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a command: the state after it, and whether it changed anything."""

    state: State
    result: Result


class UnknownRuntimeError(Exception):
    """No such runtime in this session: it has ended or never was."""


class AwayError(Exception):
    """The engine behind a bridge does not answer: nobody knows what runs, and no command can be carried out."""


class Commands(Protocol):
    """The two commands of the engine protocol. `AwayError` may be raised by either."""

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Hand control to the External Stop branch, or end the runtime; raises `UnknownRuntimeError`."""
        ...

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """End the runtime; raises `UnknownRuntimeError`."""
        ...
