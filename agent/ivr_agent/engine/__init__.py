"""The engine's side: the client that asks it, the server for its events, the probe that checks it."""

from ivr_agent.engine.client import (
    COMMAND_TIMEOUT_S,
    SNAPSHOT_TIMEOUT_S,
    STATUS_TIMEOUT_S,
    Engine,
    EngineError,
    EngineSide,
    Refusal,
)
from ivr_agent.engine.events import KEEP_ALIVE_S, MAX_BODY, Events
from ivr_agent.engine.probe import Probe

__all__ = [
    "COMMAND_TIMEOUT_S",
    "KEEP_ALIVE_S",
    "MAX_BODY",
    "SNAPSHOT_TIMEOUT_S",
    "STATUS_TIMEOUT_S",
    "Engine",
    "EngineError",
    "EngineSide",
    "Events",
    "Probe",
    "Refusal",
]
