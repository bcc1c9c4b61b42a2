"""AWS as the agent meets it: its time, its credentials, its threads, its refusals."""

from ivr_agent.aws.clock import CONFIRMATIONS, DATE_RESOLUTION_S, Clock, rfc3339
from ivr_agent.aws.denial import Denials, level_of
from ivr_agent.aws.service import Run, Service
from ivr_agent.aws.sources import client_session

__all__ = [
    "CONFIRMATIONS",
    "DATE_RESOLUTION_S",
    "Clock",
    "Denials",
    "Run",
    "Service",
    "client_session",
    "level_of",
    "rfc3339",
]
