"""Stop commands as they travel from the stop function through a site's queue to the node's agent.

Owns the message body: JSON, versioned by `v`. A command is for exactly one (site, node, session, id) and is absolute.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ivr_runtimes.errors import UnreadableCommandError
from ivr_runtimes.model import Verb
from ivr_runtimes.names import (
    DOMAIN_PATTERN,
    NODE_PATTERN,
    RUNTIME_ID_PATTERN,
    SESSION_PATTERN,
    SITE_PATTERN,
    STOP_ID_PATTERN,
)

DEADLINE_S: Final = 3600
"""A command is worth carrying out for this long after it was accepted; later it is `expired` and alarmed."""


class Command(BaseModel):
    """One accepted stop. `accepted_at_s` and `deadline_s` are epoch seconds; `requested_by` is the token's subject."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    stop_id: Annotated[str, StringConstraints(pattern=STOP_ID_PATTERN)]
    verb: Verb
    site: Annotated[str, StringConstraints(pattern=SITE_PATTERN)]
    node: Annotated[str, StringConstraints(pattern=NODE_PATTERN)]
    session: Annotated[str, StringConstraints(pattern=SESSION_PATTERN)]
    runtime_id: Annotated[str, StringConstraints(pattern=RUNTIME_ID_PATTERN)]
    domain: Annotated[str, StringConstraints(pattern=DOMAIN_PATTERN)]
    requested_by: Annotated[str, Field(max_length=256)] = ""
    accepted_at_s: float
    deadline_s: float

    def to_body(self) -> str:
        """Serialise for the queue."""
        return self.model_dump_json()

    @classmethod
    def from_body(cls, body: str) -> "Command":
        """Read a message body; raises `UnreadableCommandError` that names every wrong field, not its value."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
            raise UnreadableCommandError(f"not a stop command of version 1: {wrong}") from None
