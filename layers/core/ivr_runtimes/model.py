"""The data model: runtimes, nodes, and the words for their states.

Owns types only. The stores read and write them; `lease` judges liveness.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site, StopId


class State(StrEnum):
    """What a runtime is doing: its script, or a post-processing branch of it."""

    RUNNING = "running"
    POST_PROCESSING = "post_processing"


class StopType(StrEnum):
    """The platform's termination types. `STOP` is the external stop, which this API asks for."""

    NORMAL = "normal"
    ERROR = "error"
    STOP = "stop"
    OWNER_DOWN = "owner_down"
    TIMEOUT = "timeout"
    TRANSFER_NOT_SET = "transfer_not_set"
    MAXCOUNT = "maxcount"
    MAXDURATION = "maxduration"

    @classmethod
    def known(cls, name: str | None) -> "StopType | None":
        """Return the type of that name; None for one that a later platform has added (engine protocol, "Versions")."""
        return next((stoptype for stoptype in cls if stoptype == name), None)


class Verb(StrEnum):
    """What a command asks the engine to do. Each names a final state, so a repeat changes nothing."""

    EXTERNAL_STOP = "external_stop"
    TERMINATE = "terminate"


class Row(Protocol):
    """A runtime as the list reads it: a `Runtime`, or a row as `stores` decoded it. None means not set."""

    @property
    def id(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def starttime(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def stoptype(self) -> str | None: ...
    @property
    def stop_id(self) -> str | None: ...
    @property
    def rootcode(self) -> str | None: ...
    @property
    def rootname(self) -> str | None: ...
    @property
    def lwt(self) -> str: ...


class NumberedRow(Row, Protocol):
    """A row with who calls whom in which call: personal data, read only for a query that names one of them."""

    @property
    def caller(self) -> str | None: ...
    @property
    def called(self) -> str | None: ...
    @property
    def call_id(self) -> str | None: ...


def start_key(row: Row) -> str:
    """Return a row's sort key in index `by_domain`, `<starttime>#<id>`, which sorts by start time.

    A leap second, `:60`, counts as the next minute's `:00`, as everywhere in the list.
    """
    starttime = row.starttime
    if starttime[17:19] == "60":
        starttime = _next_minute(starttime)
    return f"{starttime}#{row.id}"


def _next_minute(leap: str) -> str:
    try:
        instant = datetime.fromisoformat(leap[:17] + "59+00:00") + timedelta(seconds=1)
    except (ValueError, OverflowError):  # no date, or the end of the year 9999: it sorts as it is written
        return leap
    return instant.isoformat()[:19] + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A running instance of an IVR script, as its node's agent wrote it.

    `starttime` and `lwt` (last write time) are RFC 3339, UTC, whole seconds, `Z`. `code` and `name` are those of the
    script that runs now. While it is a nested one, `rootcode` and `rootname` are those of the source script.
    `caller`, `called` and `call_id` are personal data: `repr` leaves them out, and no log may show them.
    """

    id: RuntimeId
    site: Site
    node: NodeName
    domain: Domain
    session: Session
    type: str
    code: str
    name: str
    starttime: str
    state: State = State.RUNNING
    stoptype: StopType | None = None
    stop_id: StopId | None = None
    rootcode: str | None = None
    rootname: str | None = None
    caller: str | None = field(default=None, repr=False)
    called: str | None = field(default=None, repr=False)
    call_id: str | None = field(default=None, repr=False)
    lwt: str

    @property
    def start_key(self) -> str:
        """The sort key of index `by_domain`: by start time, then by id. It never changes."""
        return start_key(self)

    @property
    def in_external_stop(self) -> bool:
        """True while the External Stop branch runs, as the engine has reported."""
        return self.state is State.POST_PROCESSING and self.stoptype is StopType.STOP


UNKNOWN_PORT: Final = 0
"""The control port of a node whose row names none. Nothing is sent there, so no answer from there means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node's row: the session of its engine, and until when its agent's lease holds.

    `lease_until_s` is in epoch seconds with fraction. Its agent listens for peers on `control_port`.
    """

    site: Site
    node: NodeName
    session: Session
    lease_until_s: float
    agent_id: str
    control_port: int
    agent_version: str
    started_at: str
