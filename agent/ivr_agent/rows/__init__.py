"""The node's runtimes: the set the engine reports, the rows to write, the writer and the sweep."""

from ivr_agent.rows.flush import Flush
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Reception, Registry
from ivr_agent.rows.sweep import Sweep

__all__ = ["Flush", "Ledger", "Reception", "Registry", "Sweep"]
