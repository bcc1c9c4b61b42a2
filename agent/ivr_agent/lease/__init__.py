"""The node's lease: which agent may write for the node, and until when."""

from ivr_agent.lease.lease import Lease
from ivr_agent.lease.predecessor import at_home, cannot_be_told
from ivr_agent.lease.states import STATES

__all__ = ["STATES", "Lease", "at_home", "cannot_be_told"]
