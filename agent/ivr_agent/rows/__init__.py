"""The node's runtimes: the set the engine tells, the rows owed to the table, the writes and the sweep."""

from ivr_agent.rows.flush import Flush
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Reception, Registry
from ivr_agent.rows.sweep import Sweep

__all__ = ["Flush", "Ledger", "Reception", "Registry", "Sweep"]
