"""Liveness: a runtime is active iff its node's row carries the same session and an unexpired lease.

Owns the lease's numbers and the rule that judges by them, for readers and writers alike (docs/architecture.md).
"""

from collections.abc import Iterable
from typing import Final

from ivr_runtimes.model import Node

HEARTBEAT_INTERVAL_S: Final = 5.0
"""How often an agent renews its lease: three tries within one lease."""

LEASE_TTL_S: Final = 15.0
"""How long a heartbeat vouches for a node: a crashed node's runtimes vanish within this and the skew."""

LEASE_HANDOVER_S: Final = 60.0
"""The lease an agent leaves behind on an orderly stop while its engine is well, so that an upgrade does not flicker."""

CLOCK_SKEW_S: Final = 2.0
"""How far a reader's clock may be off before it misjudges a lease."""


def is_alive(node: Node, *, now_s: float) -> bool:
    """Tell whether a node's lease holds at `now_s` (epoch seconds).

    A lease further ahead than any agent may write is no proof of life, or one wrong clock would keep a dead node
    listed for ever (docs/decisions.md, "A lease from the future is no lease").
    """
    return -CLOCK_SKEW_S < node.lease_until_s - now_s <= LEASE_HANDOVER_S + CLOCK_SKEW_S


def vouched(nodes: Iterable[Node], *, now_s: float) -> frozenset[tuple[str, str, str]]:
    """Return what the living nodes vouch for, as (site, node, session): a row is active iff its three are among it."""
    return frozenset((node.site, node.node, node.session) for node in nodes if is_alive(node, now_s=now_s))
