"""Which side answers: engine, AWS (DynamoDB and SQS), peers.

Owns what `/healthz` says. Fed by whoever calls a side; decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HEALTH_PATH: Final = "/healthz"
"""Where the control port tells how the agent is, and which one it is."""

PEER_MEMORY_S: Final = 60.0
"""How long a peer that did not answer counts as down when nothing is sent to it any more."""


@dataclass(slots=True)
class Health:
    """The last thing known of each side. `monotonic` is the clock in seconds.

    SQS counts once it was asked: an agent that waits for its engine or its lease asks DynamoDB alone.
    """

    monotonic: Callable[[], float]
    engine: bool = False
    aws: dict[str, bool] = field(default_factory=lambda: {"dynamodb": False})
    aws_faults: dict[str, str] = field(default_factory=dict)
    """What each service denies us, with the remedy."""
    lost_peers: dict[str, float] = field(default_factory=dict)

    def peer(self, node: str, *, answered: bool) -> None:
        """Note whether a peer answered."""
        if answered:
            self.lost_peers.pop(node, None)
        else:
            self.lost_peers[node] = self.monotonic()

    @property
    def aws_up(self) -> bool:
        """True when every service of AWS answered its last request."""
        return all(self.aws.values())

    @property
    def peers_up(self) -> bool:
        """True unless a peer failed to answer within the last minute."""
        since_s = self.monotonic() - PEER_MEMORY_S
        self.lost_peers = {node: at_s for node, at_s in self.lost_peers.items() if at_s > since_s}
        return not self.lost_peers

    @property
    def ok(self) -> bool:
        """True when the agent can do its own node's job. A lost peer is told but is the peer's fault."""
        return self.engine and self.aws_up

    def report(self) -> dict[str, str]:
        """Return the sides as `/healthz` shows them, up or down, and what somebody must mend before AWS is up."""
        sides = {"engine": self.engine, "aws": self.aws_up, "peers": self.peers_up}
        report = {side: "up" if up else "down" for side, up in sides.items()}
        return (
            {**report, "aws_fault": "; ".join(sorted(set(faults)))} if (faults := self.aws_faults.values()) else report
        )
