"""Where engine and agent of a node meet over loopback TCP: a pair of ports, and the node's token.

Owns the variables that lay these doors over the sockets that the stack gives a node, and their exchange. Ports change
hands, tokens never: whoever knocks at its old port is a stranger there. `run` makes them, `havoc` exchanges them.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ivr_local.emulator import HOST
from ivr_local.nodes import Part


@dataclass(slots=True, kw_only=True)
class Doors:
    """The doors of one node: the engine listens at one port, the agent at the other."""

    engine_port: int
    agent_port: int
    token: str

    def environment(self, part: Part) -> dict[str, str]:
        """Return a part's settings of its doors."""
        engine, agent = (f"http://{HOST}:{port}" for port in (self.engine_port, self.agent_port))
        if part is Part.ENGINE:
            return {"IVR_SANDBOX_LISTEN": engine, "IVR_SANDBOX_AGENT": agent, "IVR_SANDBOX_TOKEN": self.token}
        return {"IVR_AGENT_ENGINE": engine, "IVR_AGENT_LISTEN": agent, "IVR_AGENT_ENGINE_TOKEN": self.token}


def of(nodes: Sequence[str], ports: Iterable[int]) -> dict[str, Doors]:
    """Return doors at two of these ports, with a token of its own, for each of these nodes."""
    numbers = iter(ports)
    return {
        name: Doors(engine_port=next(numbers), agent_port=next(numbers), token=secrets.token_urlsafe(32))
        for name in nodes
    }


def exchange(one: Doors, other: Doors) -> None:
    """Let two nodes exchange their ports; each keeps its token."""
    one.engine_port, other.engine_port = other.engine_port, one.engine_port
    one.agent_port, other.agent_port = other.agent_port, one.agent_port
