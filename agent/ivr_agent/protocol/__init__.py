"""The bodies of the engine protocol, version 1, as the agent reads them, their schema, and the guard of its servers."""

from ivr_agent.protocol.origin import guard
from ivr_agent.protocol.wire import (
    AgentProblem,
    Answer,
    Batch,
    Changed,
    ChangedOne,
    Ended,
    FullSnapshot,
    Problem,
    RuntimeState,
    Snapshot,
    Status,
    Stop,
    read_snapshot,
    wrong_fields,
)

__all__ = [
    "AgentProblem",
    "Answer",
    "Batch",
    "Changed",
    "ChangedOne",
    "Ended",
    "FullSnapshot",
    "Problem",
    "RuntimeState",
    "Snapshot",
    "Status",
    "Stop",
    "guard",
    "read_snapshot",
    "wrong_fields",
]
