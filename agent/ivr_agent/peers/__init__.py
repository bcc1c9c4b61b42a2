"""The other agents of the site: commands forwarded to them and taken from them, signed."""

from ivr_agent.peers.control import Control
from ivr_agent.peers.peers import Peers
from ivr_agent.peers.signature import Signer

__all__ = ["Control", "Peers", "Signer"]
