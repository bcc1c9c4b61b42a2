"""The node's proof of life: the heartbeat that renews its lease.

Owns the node's row. Renews only while the engine answers its probe; ends the agent when another one runs for the
same node. Never touches runtimes' rows, but says by `ours` whether they are this agent's to write.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ivr_agent.aws import CONFIRMATIONS, Clock, Run, level_of
from ivr_agent.engine import Probe
from ivr_agent.lease.predecessor import IsGone, cannot_be_told
from ivr_agent.log import say
from ivr_agent.metrics import Metrics
from ivr_agent.process import SecondAgentError
from ivr_runtimes.errors import LeaseHeldError, StoreUnavailableError
from ivr_runtimes.lease import CLOCK_SKEW_S, HEARTBEAT_INTERVAL_S, LEASE_HANDOVER_S
from ivr_runtimes.model import Node
from ivr_runtimes.names import Session
from ivr_runtimes.ports import LeaseTable

RETRY_S: Final = 1.0
"""How soon a heartbeat that failed is repeated: several tries fit the lease."""

IDLE_S: Final = 0.5
"""How soon to look again for an engine that does not answer yet."""

LOOKS: Final = 2 * CONFIRMATIONS
"""How often the row is read at most before the first lease, so that the time is confirmed: enough for an odd one."""

STEP_S: Final = 0.002
"""By how much a lease that names another session ends later: the table, to the millisecond, tells the two apart."""

SOON_S: Final = 0.2
"""How soon to try again for a lease that is about to lapse: readers believe in it for the clock skew only."""

SWEEP_WITHIN_S: Final = 4.0
"""How long a lapsed lease waits for the sweep, so that what ended meanwhile does not show up again."""

READ_S: Final = 1.0
"""How long it waits after the sweep: a list that has read the rows before may read the nodes only now."""


@dataclass(frozen=True, slots=True)
class _Rival:
    """The other agent's row as last seen, and until when (monotonic) to wait for its lease's end.

    A lease beyond `alive_s` (epoch) was made after we first looked. An earlier one need not come from a living agent:
    the last renewal of a killed one may land late.
    """

    row: Node
    alive_s: float
    until_s: float


class Lease:
    """The heartbeat. `us` is our row as it is to be written, but for session and lease; `ttl_s` is the lease.

    `is_gone` tells of an agent that holds the lease whether it has certainly died (`predecessor`). `swept` tells
    whether the table holds nothing of this session any more that has ended.
    """

    def __init__(  # noqa: PLR0913  # the loop's collaborators; bundling them would only hide them
        self,
        *,
        us: Node,
        table: LeaseTable,
        service: Run,
        probe: Probe,
        clock: Clock,
        metrics: Metrics,
        ttl_s: float,
        is_gone: IsGone = cannot_be_told,
        swept: Callable[[], bool] = lambda: True,
    ) -> None:
        self._us = us
        self._table = table
        self._service = service
        self._probe = probe
        self._clock = clock
        self._metrics = metrics
        self._ttl_s = ttl_s
        self._is_gone = is_gone
        self._swept = swept
        self._begun_s = clock.monotonic()
        self._clean_s: float | None = None
        self._dead = ""
        self._seen: Node | None = None
        self._looked = False
        self._held = False
        self._ending = False
        self._doubted_s = 0.0
        self._until_s = 0.0
        """When (epoch) the lease ends that the table is known to have."""
        self._latest_s = 0.0
        """When the latest lease ends that it may have, and `_named`, which session that names."""
        self._named: Session | None = None
        self._rival: _Rival | None = None

    def ours(self) -> bool:
        """Tell whether this agent speaks for the node, as far as it knows.

        It does when it holds the lease, or when the row names the very session of its engine: whoever wrote that
        talks to the same engine, so both tell the same truth (an agent restarted after a crash).
        """
        return self._held or self._same_session()

    def surely_ours(self) -> bool:
        """Tell whether nobody else can speak for the node: a lease that has lapsed may be another agent's by now."""
        return self.count_down() > 0 or self._same_session()

    def _same_session(self) -> bool:
        seen, session = self._seen, self._probe.session
        return seen is not None and session is not None and seen.session == session

    async def step(self) -> float | None:
        """Renew the lease, if the engine is up; return an early time for the next try after a failure.

        Raises `SecondAgentError` when another agent keeps the lease.
        """
        try:
            if not self._looked:  # also sets the clock before the first lease is reckoned
                await self._look()
            if self._ending or not self._probe.up or self._probe.session is None:
                await self._doubt()
                return IDLE_S
            if self._sweep_first():
                return SOON_S
            await self._renew()
        except StoreUnavailableError as error:
            self._metrics.renewals.labels(result="unavailable").inc()
            say("lease_not_renewed", level=level_of(error), about=type(error), error=str(error))
            return RETRY_S
        except LeaseHeldError:
            return await self._contest()
        return None

    async def hand_over(self) -> None:
        """Leave a longer lease behind that the next agent may take at once; only while the engine is well.

        No heartbeat follows: it would take the lease back.
        """
        self._ending = True
        if not self._held or not self._probe.up:
            return
        row = self._row(self._clock.now_s() + LEASE_HANDOVER_S, agent_id="")
        await self._service(self._table.renew, row, now_s=self._clock.now_s(), held=self._us.agent_id)
        self._held = False
        say("lease_handed_over", lease_s=LEASE_HANDOVER_S)

    def count_down(self) -> float:
        """Return the seconds for which the lease still holds, at least 0."""
        return max(0.0, self._until_s - self._clock.now_s()) if self._held else 0.0

    async def _look(self) -> None:
        """Read the row; again while the answers contradict the host's clock and have yet to confirm each other."""
        for _ in range(LOOKS):
            self._seen = await self._read()
            if self._clock.synchronised:
                break
        self._looked = True

    async def _doubt(self) -> None:
        """Look whether a lease that has lapsed, because the engine is silent, was taken by another agent."""
        now_s = self._clock.monotonic()
        if not self._held or self.count_down() > 0 or now_s < self._doubted_s + HEARTBEAT_INTERVAL_S:
            return
        self._doubted_s = now_s
        row = await self._read()
        if row is not None and row.agent_id != self._us.agent_id:
            self._held, self._seen = False, row
            say("lease_lost", level=logging.WARNING, agent_id=row.agent_id)

    def _sweep_first(self) -> bool:
        """Tell whether readers have given the node up, so that its rows can be put right before they show again."""
        if self._held or self._seen is None or self._seen.session != self._probe.session:
            return False
        now_s = self._clock.monotonic()
        if self._seen.lease_until_s + CLOCK_SKEW_S >= self._clock.now_s() or now_s >= self._begun_s + SWEEP_WITHIN_S:
            return False
        if self._clean_s is None and self._swept():
            self._clean_s = now_s
        return self._clean_s is None or now_s < self._clean_s + READ_S

    async def _read(self) -> Node | None:
        return await self._service(self._table.read, self._us.site, self._us.node)

    async def _renew(self) -> None:
        silence_s = self._clock.monotonic() - self._probe.vouched_s  # we vouch for no more than the engine told
        row = self._row(self._clock.now_s() - silence_s + self._ttl_s, agent_id=self._us.agent_id)
        self._latest_s, self._named = row.lease_until_s, row.session
        held = self._us.agent_id if self._held else ""
        await self._service(self._table.renew, row, now_s=self._clock.now_s(), dead=self._dead, held=held)
        if not self._held:
            say("lease_taken", session=row.session, lease_s=self._ttl_s)
        self._held, self._rival, self._until_s = True, None, row.lease_until_s
        self._seen = None  # from now on the lease speaks for itself
        self._metrics.renewals.labels(result="renewed").inc()

    def _row(self, until_s: float, *, agent_id: str) -> Node:
        session = self._probe.session or self._us.session
        least_s = self._latest_s if session == self._named else self._latest_s + STEP_S
        forward_s = max(until_s, least_s)  # the table takes no step back from us
        return replace(self._us, session=session, lease_until_s=forward_s, agent_id=agent_id)

    async def _contest(self) -> float | None:
        """Take over from an agent that is gone, wait for one that may be, give way to a living one: it renews."""
        self._metrics.renewals.labels(result="held").inc()
        self._held = False
        try:
            row = self._seen = await self._read()
        except StoreUnavailableError as error:
            say("lease_not_renewed", level=logging.WARNING, about=type(error), error=str(error))
            return RETRY_S
        if row is None:
            return 0.0
        came_before_us = self._until_s == 0.0  # whoever has taken the lease from us is no predecessor, and no dead one
        if came_before_us and row.agent_id != self._dead and await self._is_gone(row):
            self._dead = row.agent_id
            return 0.0
        remaining_s = max(0.0, min(row.lease_until_s - self._clock.now_s(), LEASE_HANDOVER_S))
        rival = self._rival = self._watch(row, remaining_s)
        if row.lease_until_s > rival.alive_s or self._clock.monotonic() > rival.until_s:
            raise SecondAgentError(
                f"another agent ({row.agent_id}) runs for node {row.node} at site {row.site} and keeps its lease: "
                "stop one of the two, or give them different nodes"
            )
        return max(SOON_S, min(RETRY_S, remaining_s))

    def _watch(self, row: Node, remaining_s: float) -> _Rival:
        """Return what is known of the other agent, now that its row is this."""
        if self._rival is not None and self._rival.row == row:
            return self._rival
        until_s = self._clock.monotonic() + remaining_s + CLOCK_SKEW_S + 2 * RETRY_S
        if self._rival is not None and self._rival.row.agent_id == row.agent_id:
            return _Rival(row, self._rival.alive_s, until_s)
        say("lease_held", level=logging.WARNING, agent_id=row.agent_id, wait_s=round(remaining_s, 1))
        return _Rival(row, max(row.lease_until_s, self._clock.now_s() + self._ttl_s + CLOCK_SKEW_S), until_s)
