"""The bodies of the engine protocol, version 1 (docs/engine-protocol.md), checked at the border.

Owns what the engine may say: an unreadable event is refused, an unreadable row of a snapshot is skipped. Of tables
it knows only how a state becomes a row.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from ivr_runtimes.identifiers import (
    ANY_CASE_DOMAIN_PATTERN,
    RUNTIME_ID_PATTERN,
    SESSION_PATTERN,
    STOP_ID_PATTERN,
    Domain,
    NodeName,
    RuntimeId,
    Session,
    Site,
    StopId,
    fold_domain,
)
from ivr_runtimes.model import Runtime, State, StopType

MAX_EVENTS: Final = 500
"""Events in one request at most: some 200 KB, and a few milliseconds of the agent's time."""

MAX_AGE_S: Final = 1e9
"""Seconds of a status's age at most, thirty years: more is a time since 1970 sent by mistake."""

MAX_FAULTS: Final = 5
"""Wrong fields that are named per body: a batch may have thousands."""


def _folded(name: object) -> Domain:
    domain = fold_domain(name) if isinstance(name, str) else None
    if domain is None:
        raise ValueError("not the name of a domain")
    return domain


def _number(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,18}", text):  # `int` also takes "1_0", " 1" and "+1"
        raise ValueError("not a decimal number")
    return text


def _known(name: object) -> object:
    return StopType.known(name) if isinstance(name, str) else name


def _is_time(text: str) -> str:
    try:
        datetime.fromisoformat(text)  # the pattern has checked the form
    except ValueError:
        raise ValueError("not a time of the form 2019-11-05T08:36:40Z") from None
    return text


def _is_text(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("not Unicode text: a lone surrogate")
    return text


MAX_TEXT: Final = 256
"""Characters of a type, code or name at most, so that a list of some thousand runtimes fits one answer."""

MAX_NUMBER: Final = 128
"""Characters of a caller, a called number or a call id at most. SIP's Call-ID is the longest: some eighty as a rule."""

Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_is_text)]
Number = Annotated[str, Field(max_length=MAX_NUMBER), AfterValidator(_is_text)]
Seq = Annotated[int, Field(ge=0, strict=True)]
SessionName = Annotated[Session, StringConstraints(pattern=SESSION_PATTERN)]
Id = Annotated[RuntimeId, StringConstraints(pattern=RUNTIME_ID_PATTERN), AfterValidator(str.lower)]
"""Lowercased after the check: ids are compared without regard to case (RFC 9562 section 4)."""

StopName = Annotated[StopId, StringConstraints(pattern=STOP_ID_PATTERN)]
TimePattern = StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
StartTime = Annotated[str, TimePattern, AfterValidator(_is_time)]
STOPTYPES: Final = {
    "type": "string",
    "description": "One of the examples: the list is closed. Another, of a later platform, counts as none.",
    "examples": [stoptype.value for stoptype in StopType],
}
"""The schema of termination types: any text is read, since version 1 may get more of them."""

AnyStopType = Annotated[
    StopType | None, BeforeValidator(_known), WithJsonSchema({"anyOf": [STOPTYPES, {"type": "null"}]})
]
AnyCaseDomain = WithJsonSchema({"type": "string", "pattern": ANY_CASE_DOMAIN_PATTERN})


class RuntimeState(BaseModel):
    """The full state of a runtime as the engine tells it. `caller`, `called` and `call_id` are personal data."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id
    domain: Annotated[Domain, BeforeValidator(_folded), AnyCaseDomain]
    type: Annotated[Text, Field(min_length=1)]
    code: Text
    name: Text
    starttime: StartTime
    state: State
    stoptype: AnyStopType = None
    stop_id: StopName | None = None
    rootcode: Text | None = None
    rootname: Text | None = None
    caller: Number | None = Field(default=None, repr=False)  # no log may show it, nor the next two
    called: Number | None = Field(default=None, repr=False)
    call_id: Number | None = Field(default=None, repr=False)
    _spelling: str | None = PrivateAttr(None)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_spelling(cls, told: Any, read: ModelWrapValidatorHandler["RuntimeState"]) -> "RuntimeState":
        state = read(told)
        if isinstance(told, dict) and told["id"] != state.id:
            state._spelling = told["id"]  # noqa: SLF001  # our own
        return state

    @property
    def spelling(self) -> RuntimeId:
        """The id in the engine's own letter case, which commands to it repeat."""
        return RuntimeId(self._spelling or self.id)

    def row(self, site: Site, node: NodeName, session: Session, *, lwt: str) -> Runtime:
        """Return the table's row of this state, last written at `lwt` (RFC 3339)."""
        return Runtime(site=site, node=node, session=session, lwt=lwt, **dict(self))


class Changed(BaseModel):
    """Body of `PUT /v1/runtimes/{id}`: the runtime started or changed."""

    session: SessionName
    seq: Seq
    runtime: RuntimeState


class Ended(BaseModel):
    """`DELETE /v1/runtimes/{id}?session=…&seq=…&stoptype=…`: the runtime ended."""

    id: Id
    session: SessionName
    seq: Annotated[int, BeforeValidator(_number), Field(ge=0)]
    stoptype: AnyStopType = None


class ChangedOne(BaseModel):
    """One event of a batch: the runtime started or changed."""

    seq: Seq
    runtime: RuntimeState


class EndedOne(BaseModel):
    """One event of a batch: the runtime ended."""

    seq: Seq
    id: Id
    stoptype: AnyStopType = None


class Batch(BaseModel):
    """Body of `POST /v1/events`: several events of one session, in order of `seq`."""

    session: SessionName
    events: Annotated[list[ChangedOne | EndedOne], Field(min_length=1, max_length=MAX_EVENTS)]


class Status(BaseModel):
    """Answer of `GET /v1/status`. `age_s` is for bridges: how long ago the engine behind one answered it."""

    session: SessionName
    seq: Seq
    age_s: Annotated[float, Field(ge=0, le=MAX_AGE_S, strict=True, allow_inf_nan=False)] | None = None


class Stop(BaseModel):
    """Body of `external_stop` and `terminate`."""

    session: SessionName
    stop_id: StopName


class Answer(BaseModel):
    """Answer of `external_stop` and `terminate`."""

    session: SessionName
    state: Literal["running", "post_processing", "ended"]
    result: Literal["acted", "already_stopping"]


class Problem(BaseModel):
    """An error of the engine."""

    error: str
    session: SessionName
    detail: str = ""


class AgentProblem(BaseModel):
    """An error of the agent. `session` is the engine's as the agent knows it; left out while it knows none."""

    error: str
    session: SessionName | None = None
    detail: str


class FullSnapshot(BaseModel):
    """Answer of `GET /v1/runtimes`, as the protocol wants it: every row readable."""

    session: SessionName
    seq: Seq
    runtimes: list[RuntimeState]


class _RawSnapshot(BaseModel):
    session: SessionName
    seq: Seq
    runtimes: list[Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All runtimes of an engine as of `seq`. `unreadable` maps the ids of skipped rows to what is wrong with them."""

    session: Session
    seq: int
    runtimes: Mapping[RuntimeId, RuntimeState]
    unreadable: Mapping[str, str]


def read_snapshot(body: bytes) -> Snapshot:
    """Read the answer of `GET /v1/runtimes`; raises `ValueError` when it is no such answer.

    Lenient about text on purpose: invalid Unicode costs only its own row.
    """
    raw = _RawSnapshot.model_validate(json.loads(body.decode(errors="surrogateescape")))
    rows: dict[RuntimeId, RuntimeState] = {}
    unreadable: dict[str, str] = {}
    for number, value in enumerate(raw.runtimes):
        try:
            row = RuntimeState.model_validate(value)
            rows[row.id] = row
        except ValidationError as error:
            unreadable[_name(value, number)] = wrong_fields(error)
    return Snapshot(raw.session, raw.seq, rows, unreadable)


def _name(row: object, number: int) -> str:
    """Return what to call an unreadable row: its id, if that can be read."""
    name = row.get("id") if isinstance(row, dict) else None
    is_id = isinstance(name, str) and re.fullmatch(RUNTIME_ID_PATTERN, name)
    return str(name).lower() if is_id else f"row {number}"


def wrong_fields(error: ValidationError) -> str:
    """Name the first few wrong fields and what is wrong with each, never its value."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:MAX_FAULTS]]
    rest = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
    return "; ".join(told + rest)
