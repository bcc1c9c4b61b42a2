"""What can become of a stop command: the closed list of outcomes, and the one error for everything else.

Owns the names that drain, peers, logs, metrics and docs share.
"""

from enum import StrEnum
from typing import Any

from ivr_runtimes.command import Command
from ivr_runtimes.errors import IvrRuntimesError


class Outcome(StrEnum):
    """A command's fate, known for certain: its message is deleted."""

    ACTED = "acted"
    ALREADY_STOPPING = "already_stopping"
    ALREADY_ENDED = "already_ended"
    NODE_GONE = "node_gone"
    EXPIRED = "expired"

    @property
    def meaning(self) -> str:
        """What happened, for people."""
        return MEANINGS[self]


MEANINGS = {
    Outcome.ACTED: "the engine ended the runtime or started its External Stop branch",
    Outcome.ALREADY_STOPPING: "the engine had accepted this stop, or its branch runs already: nothing changed",
    Outcome.ALREADY_ENDED: "the engine of that very session no longer runs it",
    Outcome.NODE_GONE: "the session was replaced: the runtime ended with it",
    Outcome.EXPIRED: "the deadline passed before the node could be reached (alarmed)",
}


class UndeliveredError(IvrRuntimesError):
    """The command's fate is not known; it comes back after a backoff."""


class DeadlineInDoubtError(UndeliveredError):
    """The deadline has passed, but only by a clock that contradicts all others."""


def described(command: Command) -> dict[str, Any]:
    """Return what the log tells about a command: always who asked for it and why, never a token: none is in it."""
    fields = ("stop_id", "runtime_id", "domain", "requested_by", "reason", "verb", "site", "node")
    return {name: str(getattr(command, name)) for name in fields}
