"""Stop commands as they travel from the stop function through a site's queue to the node's agent.

Owns the message body: JSON, versioned by `v`. A command is for exactly one (site, node, session, id) and is absolute.
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from ivr_runtimes.errors import UnreadableCommandError
from ivr_runtimes.identifiers import (
    DOMAIN_PATTERN,
    NODE_PATTERN,
    RUNTIME_ID_PATTERN,
    SESSION_PATTERN,
    SITE_PATTERN,
    STOP_ID_PATTERN,
)
from ivr_runtimes.model import Verb

DEADLINE_S: Final = 3600
"""How long after its acceptance a command is still carried out. Later it counts as `expired`, and an alarm tells."""

REASON_LENGTH: Final = 256
"""The most characters of the reason that a caller may give."""


def _whole(pattern: str) -> msgspec.Meta:
    """Return a constraint on the whole text: `$` alone also matches before a final newline (Python's `re`)."""
    return msgspec.Meta(pattern=pattern + r"\Z")


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted stop. `accepted_at_s` and `deadline_s` are epoch seconds; `requested_by` is the token's subject.

    Members may be added with a default: agents ignore those that they do not know, and do without those that an older
    function does not send. `reason` is such a member: the caller's own words, for logs alone.
    """

    v: Literal[1] = 1
    stop_id: Annotated[str, _whole(STOP_ID_PATTERN)]
    verb: Verb
    site: Annotated[str, _whole(SITE_PATTERN)]
    node: Annotated[str, _whole(NODE_PATTERN)]
    session: Annotated[str, _whole(SESSION_PATTERN)]
    runtime_id: Annotated[str, _whole(RUNTIME_ID_PATTERN)]
    domain: Annotated[str, _whole(DOMAIN_PATTERN)]
    requested_by: Annotated[str, msgspec.Meta(max_length=256)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LENGTH)] = ""
    accepted_at_s: float
    deadline_s: float

    def to_body(self) -> str:
        """Serialise for the queue."""
        return _ENCODER.encode(self).decode()

    @classmethod
    def from_body(cls, body: str) -> "Command":
        """Read a message body; raises `UnreadableCommandError`, which names the first wrong field, never its value."""
        try:
            return _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeError) as error:
            wrong = re.sub("(?s)^Invalid enum value .* - at", "Invalid enum value - at", str(error))
            raise UnreadableCommandError(f"not a stop command of version 1: {wrong}") from None


_DECODER: Final = msgspec.json.Decoder(Command)
_ENCODER: Final = msgspec.json.Encoder()
