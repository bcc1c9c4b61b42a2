"""How the program ends: its exit codes and the errors that end it.

Owns nothing but the table. All other failures are retried; only these reach `__main__`.
"""

from enum import IntEnum
from typing import ClassVar

from ivr_runtimes.errors import IvrRuntimesError


class Exit(IntEnum):
    """An exit code; docs/agent.md says what to do about each."""

    OK = 0
    DEFECT = 1
    SETTINGS = 2
    LISTEN = 3
    LEASE_HELD = 4
    FORCED = 5

    @property
    def meaning(self) -> str:
        """What happened, for people."""
        return MEANINGS[self]


MEANINGS = {
    Exit.OK: "orderly stop after SIGTERM or SIGINT",
    Exit.DEFECT: "a defect of the agent; the log holds the traceback",
    Exit.SETTINGS: "wrong settings; each is named with its remedy",
    Exit.LISTEN: "an address to listen on is taken or not ours",
    Exit.LEASE_HELD: "another agent runs for this node and keeps its lease",
    Exit.FORCED: "a second signal cut the orderly stop short",
}


class FatalError(IvrRuntimesError):
    """The agent cannot go on."""

    exit_code: ClassVar[Exit] = Exit.DEFECT


class ListenError(FatalError):
    """An address cannot be listened on."""

    exit_code = Exit.LISTEN


class SecondAgentError(FatalError):
    """Another agent runs for this node."""

    exit_code = Exit.LEASE_HELD
