"""The bodies of the engine protocol, version 1, as the agent reads them, and their schema."""

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
    "read_snapshot",
    "wrong_fields",
]
