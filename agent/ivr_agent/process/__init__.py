"""The process: its loops, its log, its exit codes, its supervisor."""

from ivr_agent.process.exits import Exit, FatalError, ListenError, SecondAgentError
from ivr_agent.process.log import REMIND_INTERVAL_S, remind, say, start_log
from ivr_agent.process.loop import NOT_OURS_S, Backoff, Chance, Step, backoff_s, every, pause
from ivr_agent.process.supervisor import ALIVE_INTERVAL_S, READY, STOPPING, alive, notify

__all__ = [
    "ALIVE_INTERVAL_S",
    "NOT_OURS_S",
    "READY",
    "REMIND_INTERVAL_S",
    "STOPPING",
    "Backoff",
    "Chance",
    "Exit",
    "FatalError",
    "ListenError",
    "SecondAgentError",
    "Step",
    "alive",
    "backoff_s",
    "every",
    "notify",
    "pause",
    "remind",
    "say",
    "start_log",
]
