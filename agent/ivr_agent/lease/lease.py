"""The node's proof of life: the heartbeat that renews its lease.

Owns the node's row. Renews only while the engine answers its probe; ends the agent when another one runs for the
same node. Never touches runtimes' rows, but `ours` says whether this agent may write them. `states` holds the states
and their transitions; here the probe, the clock and the table are asked.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ivr_agent.aws import CONFIRMATIONS, Clock, Run, level_of
from ivr_agent.engine import Probe
from ivr_agent.lease import states
from ivr_agent.lease.predecessor import IsGone, cannot_be_told
from ivr_agent.lease.rival import RETRY_S, SOON_S, Now, remaining_s, watch
from ivr_agent.lease.states import EngineDown, Promise, State, Waiting
from ivr_agent.metrics import Metrics
from ivr_agent.process import SecondAgentError, say
from ivr_runtimes.errors import LeaseHeldError, StoreUnavailableError
from ivr_runtimes.lease import CLOCK_SKEW_S, HEARTBEAT_INTERVAL_S, LEASE_HANDOVER_S
from ivr_runtimes.model import Node
from ivr_runtimes.ports import LeaseTable

IDLE_S: Final = 0.5
"""How soon to look again for an engine that does not answer yet."""

LOOKS: Final = 2 * CONFIRMATIONS
"""How often the row is read at most before the first lease, to confirm the time even after one wrong `Date`."""

SWEEP_WITHIN_S: Final = 4.0
"""How long a lapsed lease waits for the sweep, so that ended runtimes do not show up again."""

READ_S: Final = 1.0
"""How long it waits after the sweep: a list may have read the rows before it and read the nodes now."""


class Lease:
    """The heartbeat. `us` is our row without session and lease; `ttl_s` is the lease's length.

    `is_gone` tells whether another agent that holds the lease has certainly died (`predecessor`). `swept` tells
    whether the table holds no ended runtime of this session any more.
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
        self._promise = Promise()
        self.state: State = Waiting()

    def ours(self) -> bool:
        """Tell whether this agent may write for the node, as far as it knows.

        It may when it holds the lease, or when the row names its engine's session: then the row's writer has the same
        engine, and both write the same (an agent restarted after a crash).
        """
        return states.held_until_s(self.state) is not None or self._same_session()

    def surely_ours(self) -> bool:
        """Tell whether no other agent can write for the node: another may have taken a lapsed lease."""
        return self.count_down() > 0 or self._same_session()

    def count_down(self) -> float:
        """Return how many seconds the lease still holds, at least 0."""
        return max(0.0, (states.held_until_s(self.state) or 0.0) - self._clock.now_s())

    async def step(self) -> float | None:
        """Renew the lease, if the engine is up; return an early time for the next try after a failure.

        Raises `SecondAgentError` when another agent keeps the lease.
        """
        try:
            if states.is_new(self.state):  # also sets the clock for the first lease
                await self._look()
            if states.is_over(self.state):
                return IDLE_S
            if not self._is_vouched():
                self._become(states.engine_silent(self.state))
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
        """Leave a longer lease that the next agent may take at once; only while the engine is up.

        No heartbeat follows: it would take the lease back.
        """
        self._become(states.told_to_end(self.state))
        if states.held_until_s(self.state) is not None and self._is_vouched():
            row = self._row(LEASE_HANDOVER_S, agent_id="")
            await self._service(self._table.renew, row, now_s=self._clock.now_s(), held=self._us.agent_id)
            say("lease_handed_over", lease_s=LEASE_HANDOVER_S)
        self._become(states.left(self.state))

    def _become(self, state: State) -> None:
        before, now = type(self.state).__name__, type(state).__name__
        self.state = state
        if now != before:
            say("lease_state", about=now, state=now, before=before)

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.now_s())

    def _same_session(self) -> bool:
        return states.names_session(self.state, self._probe.session)

    def _is_vouched(self) -> bool:
        return self._probe.up and self._probe.session is not None

    async def _look(self) -> None:
        """Read the row; repeat while AWS's time contradicts the host's and is not confirmed."""
        for _ in range(LOOKS):
            row = await self._read()
            if self._clock.synchronised:
                break
        self._become(states.read(self.state, row))

    async def _doubt(self) -> None:
        """Look whether another agent took the lease, which lapsed because the engine is down."""
        state, now = self.state, self._now()
        if not isinstance(state, EngineDown) or state.until_s > now.epoch_s:
            return
        if now.monotonic_s < state.doubted_s + HEARTBEAT_INTERVAL_S:
            return
        self._become(replace(state, doubted_s=now.monotonic_s))
        row = await self._read()
        if row is not None and row.agent_id != self._us.agent_id:
            self._become(states.read(states.held_by_another(self.state), row))
            say("lease_lost", level=logging.WARNING, agent_id=row.agent_id)

    def _sweep_first(self) -> bool:
        """Tell whether lists hide the node, so that its rows can be corrected before they show again."""
        state, now = self.state, self._now()
        if not isinstance(state, Waiting) or state.row is None or not self._same_session():
            return False
        believed = state.row.lease_until_s + CLOCK_SKEW_S >= now.epoch_s
        if believed or now.monotonic_s >= self._begun_s + SWEEP_WITHIN_S:
            return False
        if state.swept_s is None and self._swept():
            state = replace(state, swept_s=now.monotonic_s)
            self._become(state)
        return state.swept_s is None or now.monotonic_s < state.swept_s + READ_S

    async def _read(self) -> Node | None:
        return await self._service(self._table.read, self._us.site, self._us.node)

    async def _renew(self) -> None:
        row = self._row(self._ttl_s, agent_id=self._us.agent_id)
        held = self._us.agent_id if states.held_until_s(self.state) is not None else ""
        dead = self.state.dead if isinstance(self.state, Waiting) else ""
        try:
            await self._service(self._table.renew, row, now_s=self._clock.now_s(), dead=dead, held=held)
        except StoreUnavailableError:
            self._become(states.aws_silent(self.state))
            raise
        self._become(states.renewed(self.state, row.lease_until_s))
        if not held:
            say("lease_taken", session=row.session, lease_s=self._ttl_s)
        self._metrics.renewals.labels(result="renewed").inc()

    def _row(self, lease_s: float, *, agent_id: str) -> Node:
        """Return our row with a lease of `lease_s` from when the engine last answered."""
        silence_s = self._clock.monotonic() - self._probe.vouched_s  # a lease counts from the engine's last answer
        session = self._probe.session or self._us.session
        self._promise = self._promise.next(session, self._clock.now_s() - silence_s + lease_s)
        return replace(self._us, session=session, lease_until_s=self._promise.until_s, agent_id=agent_id)

    async def _contest(self) -> float | None:
        """Take over from an agent that is gone, wait while unsure, give way to one that renews."""
        self._metrics.renewals.labels(result="held").inc()
        self._become(states.held_by_another(self.state))
        try:
            row = await self._read()
        except StoreUnavailableError as error:
            say("lease_not_renewed", level=logging.WARNING, about=type(error), error=str(error))
            return RETRY_S
        self._become(states.read(self.state, row))
        if row is None:
            return 0.0
        if states.may_be_dead(self.state, row) and await self._is_gone(row):
            self._become(states.found_dead(self.state, row))
            return 0.0
        return self._wait_for(row)

    def _wait_for(self, row: Node) -> float:
        """Return how long to wait for an agent that may live; raises `SecondAgentError` when it does."""
        state, now = self.state, self._now()
        if not isinstance(state, Waiting):
            return IDLE_S
        rival = watch(state.rival, row, now, ttl_s=self._ttl_s)
        if state.rival is None or state.rival.row.agent_id != row.agent_id:
            wait_s = round(remaining_s(row, now), 1)
            say("lease_held", level=logging.WARNING, agent_id=row.agent_id, wait_s=wait_s)
        self._become(replace(state, rival=rival))
        if rival.keeps(now):
            self._become(states.kept_by_another(self.state))
            raise SecondAgentError(
                f"another agent ({row.agent_id}) runs for node {row.node} at site {row.site} and keeps its lease: "
                "stop one of the two, or give them different nodes"
            )
        return rival.wait_s(now)
