import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.aws.clock import Clock
from ivr_agent.engine.memory import ManualTime, MemoryEngine, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.lease.lease import Lease
from ivr_agent.lease.states import (
    EVENTS,
    STEP_S,
    AwsDown,
    Ended,
    Ending,
    EngineDown,
    Promise,
    Serving,
    State,
    Waiting,
    held_until_s,
    is_over,
    read,
)
from ivr_agent.metrics import Metrics
from ivr_agent.settings import Place
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import Session
from ivr_runtimes.lease import HEARTBEAT_INTERVAL_S, LEASE_TTL_S
from ivr_runtimes.model import Node
from ivr_runtimes.stores.memory import MemoryStore

A_ROW = Node(
    site="SITE1",
    node="n@h",
    session=Session("s-1"),
    lease_until_s=1.0,
    agent_id="b",
    control_port=1,
    agent_version="1",
    started_at="2019-11-05T08:36:40Z",
)


class AwayNodes(MemoryStore):
    """A table of nodes that does not answer while it is away."""

    away = False

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        if self.away:
            raise StoreUnavailableError("away")
        super().renew(node, now_s=now_s, dead=dead, held=held)


async def test_a_lease_goes_through_its_states_and_tells_each_one(
    place: Place,
    probe: Probe,
    engine: MemoryEngine,
    time: ManualTime,
    clock: Clock,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ivr_agent")
    nodes = AwayNodes()
    us = replace(A_ROW, site=place.site, node=place.node, agent_id="a", session=Session(""))
    lease = Lease(us=us, table=nodes, service=run_inline, probe=probe, clock=clock, metrics=metrics, ttl_s=LEASE_TTL_S)

    async def beat() -> State:
        time.pass_s(HEARTBEAT_INTERVAL_S)
        await probe.step()
        await lease.step()
        return lease.state

    engine.down = True
    assert isinstance(await beat(), Waiting)
    engine.down = False
    assert await beat() == Serving(clock.now_s() + LEASE_TTL_S)
    nodes.away = True
    until_s = clock.now_s() + LEASE_TTL_S
    assert await beat() == AwsDown(until_s), "the lease that the table is known to have"
    engine.down = True
    assert await beat() == EngineDown(until_s)
    engine.down = False
    assert await beat() == AwsDown(until_s)
    nodes.away = False
    assert isinstance(await beat(), Serving)
    engine.down = True
    assert isinstance(await beat(), EngineDown)
    time.pass_s(LEASE_TTL_S)
    other = replace(us, agent_id="b", session=Session("s-9"), lease_until_s=clock.now_s() + LEASE_TTL_S)
    nodes.renew(other, now_s=clock.now_s())
    assert await beat() == Waiting(row=other, looked=True, lost=True)
    engine.down = False
    time.pass_s(LEASE_TTL_S)
    assert isinstance(await beat(), Serving)
    await lease.hand_over()
    assert isinstance(await beat(), Ended)
    told = [r.__dict__["fields"]["state"] for r in caplog.records if r.getMessage() == "lease_state"]
    assert told == [
        *("Serving", "AwsDown", "EngineDown", "AwsDown", "Serving", "EngineDown", "Waiting", "Serving"),
        *("Ending", "Ended"),
    ]


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=20))
def test_whatever_happens_the_end_is_final_and_a_lost_lease_is_no_longer_held(events: list[str]) -> None:
    state: State = Waiting()
    for event in events:
        before, state = state, EVENTS[event](state)
        if is_over(before):
            assert is_over(state), "no heartbeat follows"
        if event == "lease held by another agent":
            assert held_until_s(state) is None
        if event == "lease renewed" and not is_over(before):
            assert isinstance(state, Serving)
        if held_until_s(state) is not None and held_until_s(before) is None:
            assert event == "lease renewed", "nothing else gives us the lease"
        if isinstance(before, Ended):
            assert state is before


def test_what_a_lease_in_another_state_knows_is_not_changed_by_a_row_that_comes_late() -> None:
    for state in (Serving(1.0), EngineDown(1.0), AwsDown(1.0), Ending(Serving(1.0)), Ended()):
        assert read(state, A_ROW) is state


@given(
    st.lists(st.tuples(st.sampled_from(["s-1", "s-2"]), st.floats(0, 1e6, allow_nan=False)), min_size=1, max_size=20)
)
def test_a_promise_never_goes_back_and_a_new_session_goes_on(leases: list[tuple[str, float]]) -> None:
    promise = Promise()
    for name, until_s in leases:
        before, promise = promise, promise.next(Session(name), until_s)
        assert promise.until_s >= max(before.until_s, until_s)
        if before.session != promise.session:
            assert promise.until_s - before.until_s >= STEP_S * (1 - 1e-6)
