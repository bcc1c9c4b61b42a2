"""The node's lease: who may speak for the node, and until when."""

from ivr_agent.lease.lease import Lease
from ivr_agent.lease.predecessor import at_home, cannot_be_told

__all__ = ["Lease", "at_home", "cannot_be_told"]
