"""Liveness: a runtime is active if its node's row has the same session and a lease that has not expired.

Owns this rule and its durations, for those who read leases and those who write them (docs/architecture.md).
"""

from collections.abc import Iterable
from typing import Final

from ivr_runtimes.model import Node

HEARTBEAT_INTERVAL_S: Final = 5.0
"""How often an agent renews its lease: three tries before it expires."""

LEASE_TTL_S: Final = 15.0
"""How long a heartbeat keeps a lease valid. A crashed node's runtimes leave the list after this plus the skew."""

LEASE_HANDOVER_S: Final = 60.0
"""The lease that an agent leaves at an orderly stop while its engine is well: during an upgrade the list stays full."""

CLOCK_SKEW_S: Final = 2.0
"""How far a reader's clock may be off without harm."""


def is_alive(node: Node, *, now_s: float) -> bool:
    """Tell whether a node's lease holds at `now_s` (epoch seconds).

    A lease that ends later than any agent may write does not hold: one wrong clock would keep a dead node listed for
    ever (docs/decisions.md, "A lease from the future is no lease").
    """
    return -CLOCK_SKEW_S < node.lease_until_s - now_s <= LEASE_HANDOVER_S + CLOCK_SKEW_S


def live_sessions(nodes: Iterable[Node], *, now_s: float) -> frozenset[tuple[str, str, str]]:
    """Return (site, node, session) of each living node. A row is active if its own three are among them."""
    return frozenset((node.site, node.node, node.session) for node in nodes if is_alive(node, now_s=now_s))
