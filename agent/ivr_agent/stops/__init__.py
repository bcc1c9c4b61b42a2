"""Stop commands: taken from the queue, carried out, acknowledged."""

from ivr_agent.stops.carry import Carrier
from ivr_agent.stops.drain import EXTEND_INTERVAL_S, POLL_WAIT_S, Drain

__all__ = ["EXTEND_INTERVAL_S", "POLL_WAIT_S", "Carrier", "Drain"]
