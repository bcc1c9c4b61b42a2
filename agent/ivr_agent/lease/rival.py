"""The other agent whose lease is in our node's row: how long to wait for it, and when it surely lives.

Decides from rows and times alone. Called by `lease` while it waits.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from ivr_runtimes.lease import CLOCK_SKEW_S, LEASE_HANDOVER_S
from ivr_runtimes.model import Node

RETRY_S: Final = 1.0
"""How soon a failed heartbeat is repeated: several tries fit one lease."""

SOON_S: Final = 0.2
"""How soon to try again for a lease about to lapse: lists accept it after its end only for the clock skew."""


class Now(NamedTuple):
    """One moment on both clocks, in seconds: for waits, and for leases (AWS's time)."""

    monotonic_s: float
    epoch_s: float


@dataclass(frozen=True, slots=True)
class Rival:
    """The other agent's row as last seen, and until when (monotonic) to wait for its lease to end.

    A lease that ends after `alive_s` (epoch) was made after we first looked. One that ends earlier proves no living
    agent: the last renewal of a killed one may arrive late.
    """

    row: Node
    alive_s: float
    until_s: float

    def keeps(self, now: Now) -> bool:
        """Tell whether it lives, or its lease lasts longer than a dead agent's could."""
        return self.row.lease_until_s > self.alive_s or now.monotonic_s > self.until_s

    def wait_s(self, now: Now) -> float:
        """Return how soon to try for the lease again."""
        return max(SOON_S, min(RETRY_S, remaining_s(self.row, now)))


def watch(known: Rival | None, row: Node, now: Now, *, ttl_s: float) -> Rival:
    """Return what is known of the agent now that its row is `row`. `ttl_s` is a lease's length."""
    if known is not None and known.row == row:
        return known
    until_s = now.monotonic_s + remaining_s(row, now) + CLOCK_SKEW_S + 2 * RETRY_S
    if known is not None and known.row.agent_id == row.agent_id:
        return Rival(row, known.alive_s, until_s)
    return Rival(row, max(row.lease_until_s, now.epoch_s + ttl_s + CLOCK_SKEW_S), until_s)


def remaining_s(row: Node, now: Now) -> float:
    """Return how long the row's lease holds, at most the longest lease."""
    return max(0.0, min(row.lease_until_s - now.epoch_s, LEASE_HANDOVER_S))
