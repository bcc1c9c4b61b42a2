"""The bodies of the engine protocol as the kit reads them: strictly, by the published schema.

Owns what a valid body is. Written apart from the agent's own models on purpose: the two share only
docs/engine-protocol.schema.json, and a test checks both against it.
"""

import re
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
    model_validator,
)

from ivr_engine.model import MAX_AGE_S, StopType

MAX_EVENTS: Final = 500
"""Events in one request at most."""

MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of a request with events at most."""

MAX_TEXT: Final = 256
"""Characters of a type, code or name at most."""

MAX_NUMBER: Final = 128
"""Characters of a caller, a called number or a call id at most."""

ID: Final = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
DOMAIN: Final = r"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$"
SESSION: Final = r"^[A-Za-z0-9_.-]{1,64}$"
STOP_ID: Final = r"^[\x21-\x7e]{1,64}$"
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


def _is_time(text: str) -> str:
    try:
        datetime.fromisoformat(text)  # the pattern has checked the form
    except ValueError:
        raise ValueError("not a time of the form 2019-11-05T08:36:40Z") from None
    return text


def _known(stoptype: str | None) -> str | None:
    return stoptype if stoptype in set(StopType) else None


def _digits(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,18}", text):  # `int` also takes "1_0", " 1" and "+1"
        raise ValueError("not a decimal number")
    return text


Text = Annotated[str, Field(max_length=MAX_TEXT)]
Number = Annotated[str, Field(max_length=MAX_NUMBER)]
Seq = Annotated[int, Field(ge=0, strict=True)]
Session = Annotated[str, StringConstraints(pattern=SESSION)]
StopId = Annotated[str, StringConstraints(pattern=STOP_ID)]
Id = Annotated[str, StringConstraints(pattern=ID), AfterValidator(str.lower)]
"""Lowercased: ids are compared without regard to letter case."""

Type = Annotated[str | None, AfterValidator(_known)]
"""A termination type; one that is not listed (of a later platform) counts as none."""


class RuntimeState(BaseModel):
    """The full state of a runtime."""

    model_config = ConfigDict(frozen=True)

    id: Id
    domain: Annotated[str, StringConstraints(pattern=DOMAIN), AfterValidator(str.lower)]
    type: Annotated[Text, Field(min_length=1)]
    code: Text
    name: Text
    starttime: Annotated[str, StringConstraints(pattern=TIME), AfterValidator(_is_time)]
    state: Literal["running", "post_processing"]
    stoptype: Type = None
    stop_id: StopId | None = None
    rootcode: Text | None = None
    rootname: Text | None = None
    caller: Number | None = Field(default=None, repr=False)
    called: Number | None = Field(default=None, repr=False)
    call_id: Number | None = Field(default=None, repr=False)
    _spelling: str = PrivateAttr("")

    @model_validator(mode="wrap")
    @classmethod
    def _keep_spelling(cls, told: Any, read: ModelWrapValidatorHandler["RuntimeState"]) -> "RuntimeState":
        state = read(told)
        if isinstance(told, dict) and told["id"] != state.id:
            state._spelling = told["id"]  # noqa: SLF001  # our own
        return state

    @property
    def spelling(self) -> str:
        """The id in the engine's own letter case, which commands to it repeat."""
        return self._spelling or self.id


class Changed(BaseModel):
    """Body of `PUT /v1/runtimes/{id}`."""

    session: Session
    seq: Seq
    runtime: RuntimeState


class Ended(BaseModel):
    """Path and query of `DELETE /v1/runtimes/{id}`."""

    id: Id
    session: Session
    seq: Annotated[int, BeforeValidator(_digits), Field(ge=0)]
    stoptype: Type = None


class ChangedOne(BaseModel):
    """One event of a batch: the runtime started or changed."""

    seq: Seq
    runtime: RuntimeState


class EndedOne(BaseModel):
    """One event of a batch: the runtime ended."""

    seq: Seq
    id: Id
    stoptype: Type = None


class Batch(BaseModel):
    """Body of `POST /v1/events`."""

    session: Session
    events: Annotated[list[ChangedOne | EndedOne], Field(min_length=1, max_length=MAX_EVENTS)]


class Status(BaseModel):
    """Answer of `GET /v1/status`."""

    session: Session
    seq: Seq
    age_s: Annotated[float, Field(ge=0, le=MAX_AGE_S, strict=True, allow_inf_nan=False)] | None = None


class FullSnapshot(BaseModel):
    """Answer of `GET /v1/runtimes`."""

    session: Session
    seq: Seq
    runtimes: list[RuntimeState]


class Answer(BaseModel):
    """Answer of `external_stop` and `terminate`."""

    session: Session
    state: Literal["running", "post_processing", "ended"]
    result: Literal["acted", "already_stopping"]


class Problem(BaseModel):
    """An error of the engine."""

    error: str
    session: Session
    detail: str = ""
