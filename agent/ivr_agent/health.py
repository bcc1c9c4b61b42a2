"""Which side answers: engine, AWS (DynamoDB and SQS), peers.

Owns what `/healthz` says. Fed by whoever calls a side; decides nothing, and no decision rests on it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HEALTH_PATH: Final = "/healthz"
"""The path where the control port tells the agent's health and identity."""

PEER_MEMORY_S: Final = 60.0
"""How long a peer that did not answer counts as down if nothing more is sent to it."""


@dataclass(slots=True)
class Health:
    """What is last known of each side. `monotonic` is the clock in seconds.

    `engine` says whether the probe was answered. SQS counts once it was asked: an agent that waits for its engine or
    its lease asks only DynamoDB.
    """

    monotonic: Callable[[], float]
    engine: bool = False
    aws: dict[str, bool] = field(default_factory=lambda: {"dynamodb": False})
    aws_faults: dict[str, str] = field(default_factory=dict)
    """What each service denies us, with the remedy."""
    lost_peers: dict[str, float] = field(default_factory=dict)
    unreadable_rows: int = 0
    """Running scripts that lists miss: unreadable rows of the engine's snapshot."""
    unlistable: bool = False
    """True while none of the engine's running scripts can be listed."""

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
    def engine_up(self) -> bool:
        """True when the engine answers and its scripts can be listed: callers need both."""
        return self.engine and not self.unlistable

    @property
    def peers_up(self) -> bool:
        """True unless a peer failed to answer within the last minute."""
        since_s = self.monotonic() - PEER_MEMORY_S
        self.lost_peers = {node: at_s for node, at_s in self.lost_peers.items() if at_s > since_s}
        return not self.lost_peers

    @property
    def ok(self) -> bool:
        """True when the agent can do its own node's job. A lost peer is reported but does not count."""
        return self.engine_up and self.aws_up

    def report(self) -> dict[str, str | int]:
        """Return what `/healthz` shows: the sides, how many scripts lists miss, what to mend for AWS."""
        sides = {"engine": self.engine_up, "aws": self.aws_up, "peers": self.peers_up}
        report: dict[str, str | int] = {side: "up" if up else "down" for side, up in sides.items()}
        report["unreadable_rows"] = self.unreadable_rows
        if self.aws_faults:
            report["aws_fault"] = "; ".join(sorted(set(self.aws_faults.values())))
        return report
