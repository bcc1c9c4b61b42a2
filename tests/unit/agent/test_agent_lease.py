from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ivr_agent.aws.clock import CONFIRMATIONS, Clock
from ivr_agent.engine.memory import EPOCH_S, ManualTime, MemoryEngine, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.lease.lease import READ_S, SWEEP_WITHIN_S, Lease
from ivr_agent.lease.predecessor import IsGone
from ivr_agent.lease.rival import RETRY_S, SOON_S
from ivr_agent.metrics import Metrics
from ivr_agent.process.exits import SecondAgentError
from ivr_agent.settings import Place
from ivr_runtimes.errors import AmbiguousWriteError, LeaseHeldError, StoreUnavailableError
from ivr_runtimes.identifiers import Session
from ivr_runtimes.lease import CLOCK_SKEW_S, HEARTBEAT_INTERVAL_S, LEASE_HANDOVER_S, LEASE_TTL_S, is_alive
from ivr_runtimes.model import Node
from ivr_runtimes.stores.memory import MemoryStore


class FaultyNodes(MemoryStore):
    """A table of nodes that raises `fault` while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        if self.fault:
            raise self.fault
        super().renew(node, now_s=now_s, dead=dead, held=held)


MakeLease = Callable[..., Lease]


@pytest.fixture
def nodes() -> FaultyNodes:
    return FaultyNodes()


@pytest.fixture
def make(place: Place, nodes: FaultyNodes, probe: Probe, clock: Clock, metrics: Metrics) -> MakeLease:
    """Make the lease of an agent of that id; all agents of a test speak for the same node and share its probe."""

    def make(agent_id: str, *, control_port: int = 9470, **changes: Any) -> Lease:
        us = Node(
            site=place.site,
            node=place.node,
            session=Session(""),
            lease_until_s=0.0,
            agent_id=agent_id,
            control_port=control_port,
            agent_version="1",
            started_at="2019-11-05T08:36:40Z",
        )
        parts = {"table": nodes, "service": run_inline, "probe": probe, "clock": clock, "metrics": metrics}
        return Lease(us=us, ttl_s=LEASE_TTL_S, **{**parts, **changes})  # type: ignore[arg-type]  # a dict's values

    return make


def gone(*agent_ids: str) -> IsGone:
    async def is_gone(row: Node) -> bool:
        return row.agent_id in agent_ids

    return is_gone


def row(nodes: MemoryStore) -> Node:
    (node,) = nodes.all_nodes()
    return node


async def test_a_heartbeat_vouches_for_the_session_that_the_engine_tells(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, clock: Clock
) -> None:
    lease = make("a")
    await probe.step()
    assert await lease.step() is None
    assert (row(nodes).session, row(nodes).agent_id) == ("s-1", "a")
    assert row(nodes).lease_until_s == clock.now_s() + LEASE_TTL_S
    assert lease.ours()
    assert lease.count_down() == LEASE_TTL_S


@pytest.mark.parametrize(("host_off_s", "looks"), [(0.0, 1), (-7200.0, CONFIRMATIONS), (7200.0, CONFIRMATIONS)])
async def test_on_a_host_with_a_wrong_clock_the_first_lease_goes_by_awss_time_all_the_same(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime, host_off_s: float, looks: int
) -> None:
    """One answer that contradicts the host's clock proves nothing, so the row is read until others confirm it."""
    reads: list[str] = []
    clock = Clock(monotonic=time, wall=lambda: EPOCH_S + time.at_s + host_off_s)

    async def service(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        reads.append(call.__name__)
        clock.observe(EPOCH_S + time.at_s)
        return call(*args, **kwargs)

    lease = make("a", clock=clock, service=service)
    await probe.step()
    await lease.step()
    assert reads == ["read"] * looks + ["renew"]
    assert row(nodes).lease_until_s == pytest.approx(EPOCH_S + LEASE_TTL_S, abs=2)


async def test_without_any_time_of_aws_the_lease_goes_by_the_hosts(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    """A gateway takes the `Date` out of every answer: the row is read a few times in vain, and then it must do."""
    lease = make("a", clock=Clock(monotonic=time, wall=lambda: EPOCH_S + time.at_s))
    await probe.step()
    assert await lease.step() is None
    assert row(nodes).lease_until_s == pytest.approx(EPOCH_S + LEASE_TTL_S, abs=0.01)


async def test_a_lease_is_reckoned_from_when_the_engine_last_answered(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime, clock: Clock
) -> None:
    """A heartbeat between the engine's death and the next probe vouched for the dead for another whole lease."""
    lease = make("a")
    await probe.step()
    answered_s = clock.now_s()
    time.pass_s(HEARTBEAT_INTERVAL_S - 0.1)
    engine.down = True
    await lease.step()
    assert row(nodes).lease_until_s == pytest.approx(answered_s + LEASE_TTL_S, abs=0.01)


async def test_nothing_is_vouched_for_until_the_engine_answers(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    engine.down = True
    lease = make("a")
    await probe.step()
    await lease.step()
    assert nodes.all_nodes() == []
    assert not lease.ours()


async def test_an_engine_that_falls_silent_lets_the_lease_lapse(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime, clock: Clock
) -> None:
    lease = make("a")
    await probe.step()
    await lease.step()
    engine.down = True
    for _ in range(4):
        time.pass_s(HEARTBEAT_INTERVAL_S)
        await probe.step()
        await lease.step()
    assert not is_alive(row(nodes), now_s=clock.now_s())


async def test_a_restarted_engine_is_in_the_row_with_the_next_heartbeat(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    lease = make("a")
    await probe.step()
    await lease.step()
    probe.renewed.clear()
    engine.restart("s-2")
    await probe.step()
    assert probe.renewed.is_set(), "which comes at once"
    await lease.step()
    assert row(nodes).session == "s-2"


@pytest.mark.parametrize("fault", [StoreUnavailableError("away"), AmbiguousWriteError("no answer")])
async def test_a_heartbeat_that_fails_is_repeated_soon(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, fault: Exception
) -> None:
    lease = make("a")
    await probe.step()
    nodes.fault = fault
    assert await lease.step() == RETRY_S
    nodes.fault = None
    assert await lease.step() is None
    assert lease.ours()


async def test_an_agent_restarted_after_a_crash_waits_out_the_lease_of_the_dead_one(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime
) -> None:
    await probe.step()
    await make("dead").step()
    engine.restart("s-2")
    await probe.step()
    lease = make("new")
    for _ in range(int(LEASE_TTL_S)):
        assert await lease.step() == RETRY_S
        assert not lease.ours()
        time.pass_s(RETRY_S)
    # The next try comes while readers still trust the dead agent's lease, which they do for the clock skew longer.
    assert RETRY_S < CLOCK_SKEW_S
    time.pass_s(RETRY_S)
    assert await lease.step() is None
    assert row(nodes).agent_id == "new"


async def test_it_takes_over_before_readers_give_the_node_up(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime, clock: Clock
) -> None:
    """A killed agent's successor waited until readers' allowance for skew was over, and all runtimes left the list."""
    await probe.step()
    await make("dead").step()
    lease = make("new")
    while (wait_s := await lease.step()) is not None:
        assert is_alive(row(nodes), now_s=clock.now_s())
        time.pass_s(wait_s)
        await probe.step()
    assert row(nodes).agent_id == "new"
    assert time.at_s <= LEASE_TTL_S + CLOCK_SKEW_S / 2
    assert clock.now_s() - (row(nodes).lease_until_s - LEASE_TTL_S) < CLOCK_SKEW_S


async def test_a_killed_agents_last_renewal_that_lands_late_does_not_end_its_successor(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    """The dead agent's heartbeat was still under way: it looked like a living agent's, and the new one exited."""
    await probe.step()
    await make("dead").step()
    first = row(nodes)
    time.pass_s(HEARTBEAT_INTERVAL_S)
    lease = make("new")
    assert await lease.step() is not None
    nodes._nodes[first.site, first.node] = replace(first, lease_until_s=first.lease_until_s + HEARTBEAT_INTERVAL_S)
    while (wait_s := await lease.step()) is not None:
        time.pass_s(wait_s)
    assert row(nodes).agent_id == "new"


async def test_an_agent_that_is_certainly_gone_is_not_waited_for(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    """Agent and engine were killed and started again, and the new session's runtimes were not listed for 15 s."""
    await probe.step()
    await make("dead").step()
    engine.restart("s-2")
    await probe.step()
    lease = make("new", is_gone=gone("dead"))
    assert await lease.step() == 0.0
    assert await lease.step() is None
    assert (row(nodes).agent_id, row(nodes).session) == ("new", "s-2")


async def test_whoever_took_the_lease_from_us_is_no_predecessor(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    """It came after us, so it lives, whatever its row's port seems to say."""
    await probe.step()
    lease = make("first", is_gone=gone("second"))
    await lease.step()
    time.pass_s(LEASE_TTL_S + 0.1)
    await probe.step()
    await make("second").step()
    assert await lease.step() == RETRY_S
    assert row(nodes).agent_id == "second"


async def test_an_agent_that_may_live_is_waited_for(make: MakeLease, nodes: FaultyNodes, probe: Probe) -> None:
    await probe.step()
    await make("living").step()
    lease = make("second", is_gone=gone("another"))
    assert await lease.step() == RETRY_S
    assert row(nodes).agent_id == "living"


async def test_a_lease_that_somebody_else_took_first_is_not_asked_about_for_ever(
    make: MakeLease, nodes: FaultyNodes, probe: Probe
) -> None:
    """Two successors: the one that comes second sees another agent in the row, and asks about that one anew."""
    await probe.step()
    await make("dead").step()
    second, third = make("second", is_gone=gone("dead")), make("third", is_gone=gone("dead"))
    assert await second.step() == 0.0
    assert await third.step() == 0.0
    assert await second.step() is None
    assert await third.step() == RETRY_S
    assert row(nodes).agent_id == "second"


async def test_a_lapsed_lease_waits_until_the_table_is_swept(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    """An agent that was away for longer than its lease showed runtimes for a moment that had ended meanwhile."""
    await probe.step()
    await make("dead").step()
    time.pass_s(LEASE_TTL_S + CLOCK_SKEW_S + 0.1)
    swept: list[bool] = []
    lease = make("new", swept=lambda: bool(swept))
    assert await lease.step() == SOON_S
    assert lease.ours()  # so the sweep may begin
    swept.append(True)
    assert await lease.step() == SOON_S  # a list under way has read the rows as they were
    time.pass_s(READ_S)
    assert await lease.step() is None
    assert row(nodes).agent_id == "new"


async def test_it_does_not_wait_for_the_sweep_for_ever(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    await probe.step()
    await make("dead").step()
    time.pass_s(LEASE_TTL_S + CLOCK_SKEW_S + 0.1)
    lease = make("new", swept=lambda: False)
    await lease.step()
    time.pass_s(SWEEP_WITHIN_S)
    assert await lease.step() is None


async def test_meanwhile_it_may_write_what_the_same_engine_runs(make: MakeLease, probe: Probe) -> None:
    """The row names the session of our own engine: the dead agent and we tell the same truth."""
    await probe.step()
    await make("dead").step()
    lease = make("new")
    await lease.step()
    assert lease.ours()


async def test_a_second_agent_of_a_node_gives_way_to_the_living_one(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime
) -> None:
    await probe.step()
    first, second = make("first"), make("second")
    await first.step()
    await second.step()
    time.pass_s(HEARTBEAT_INTERVAL_S)
    await probe.step()
    await first.step()
    with pytest.raises(SecondAgentError, match=r"first.*site1_h6@192\.168\.0\.12.*stop one of the two"):
        await second.step()
    assert row(nodes).agent_id == "first"


async def test_an_agent_whose_node_was_taken_over_gives_way(make: MakeLease, probe: Probe, time: ManualTime) -> None:
    await probe.step()
    first, second = make("first"), make("second")
    await first.step()
    time.pass_s(LEASE_TTL_S + CLOCK_SKEW_S + 0.1)
    await probe.step()
    await second.step()
    await first.step()
    time.pass_s(HEARTBEAT_INTERVAL_S)
    await probe.step()
    await second.step()
    with pytest.raises(SecondAgentError):
        await first.step()


async def test_a_lease_from_the_future_is_not_waited_for_without_end(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime, clock: Clock
) -> None:
    await probe.step()
    await make("odd").step()
    future = row(nodes)
    nodes._nodes[future.site, future.node] = replace(future, lease_until_s=clock.now_s() + 1e6)
    lease = make("new")
    for _ in range(int(LEASE_HANDOVER_S + CLOCK_SKEW_S)):
        assert await lease.step() == RETRY_S
        time.pass_s(RETRY_S)
    time.pass_s(5)
    with pytest.raises(SecondAgentError):
        await lease.step()


async def test_an_orderly_end_leaves_a_longer_lease_that_the_next_agent_takes_at_once(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, clock: Clock
) -> None:
    lease, following = make("a"), make("b")
    await probe.step()
    await lease.step()
    await lease.hand_over()
    assert row(nodes).lease_until_s == clock.now_s() + LEASE_HANDOVER_S
    assert not lease.count_down()
    assert await following.step() is None
    assert row(nodes).agent_id == "b"


async def test_a_lapsed_lease_is_no_proof_that_the_node_is_still_ours(
    make: MakeLease, probe: Probe, engine: MemoryEngine, time: ManualTime
) -> None:
    """An agent whose node had moved meanwhile swept the rows of the living session when its engine came back anew."""
    lease = make("a")
    await probe.step()
    await lease.step()
    assert lease.surely_ours()
    time.pass_s(LEASE_TTL_S)
    engine.restart("s-2")
    await probe.step()
    assert not lease.surely_ours()
    await lease.step()
    assert lease.surely_ours()


async def test_an_agent_with_a_silent_engine_notices_that_its_node_has_moved(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime, clock: Clock
) -> None:
    """It took the node's stops from the queue for as long as its engine was silent, and could only put them back."""
    lease = make("a")
    await probe.step()
    await lease.step()
    engine.down = True
    await probe.step()
    time.pass_s(LEASE_TTL_S + 1)
    await lease.step()
    assert lease.ours(), "nobody else has it"
    moved = replace(row(nodes), agent_id="b", session=Session("s-9"), lease_until_s=clock.now_s() + LEASE_TTL_S)
    nodes.renew(moved, now_s=clock.now_s())
    time.pass_s(HEARTBEAT_INTERVAL_S)
    await lease.step()
    assert not lease.ours()


async def test_no_heartbeat_takes_back_a_lease_that_was_handed_over(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime, clock: Clock
) -> None:
    """Its loop still ran: 15 s of lease were left to the next agent in place of 60, and it had to wait for them.

    At an upgrade that took longer, all runtimes of the node left the list.
    """
    lease = make("a")
    await probe.step()
    await lease.step()
    await lease.hand_over()
    time.pass_s(0.1)
    await lease.step()
    assert row(nodes).agent_id == ""
    assert row(nodes).lease_until_s == pytest.approx(clock.now_s() + LEASE_HANDOVER_S, abs=0.2)


async def test_leases_of_two_sessions_never_end_at_the_same_moment(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    """The table lets our lease only move forward, and takes an equal one: of two sessions' the late one would win."""
    lease = make("a")
    await probe.step()
    await lease.step()
    before = row(nodes)
    engine.restart("s-2")
    await probe.step()
    await lease.step()
    assert row(nodes).session == "s-2"
    assert f"{row(nodes).lease_until_s:.3f}" > f"{before.lease_until_s:.3f}"
    with pytest.raises(LeaseHeldError):
        nodes.renew(before, now_s=before.lease_until_s - LEASE_TTL_S, held="a")


async def test_a_renewal_without_an_answer_does_not_count_as_a_lease(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    lease = make("a")
    await probe.step()
    await lease.step()
    nodes.fault = StoreUnavailableError("away")
    time.pass_s(HEARTBEAT_INTERVAL_S)
    await probe.step()
    await lease.step()
    assert lease.count_down() == LEASE_TTL_S - HEARTBEAT_INTERVAL_S


async def test_a_late_end_does_not_take_the_node_from_its_successor(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, time: ManualTime
) -> None:
    lease, following = make("a"), make("b")
    await probe.step()
    await lease.step()
    time.pass_s(LEASE_TTL_S + CLOCK_SKEW_S + 0.1)
    await probe.step()
    await following.step()
    with pytest.raises(LeaseHeldError):
        await lease.hand_over()
    assert row(nodes).agent_id == "b"


async def test_a_node_without_an_engine_is_not_handed_over(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    lease = make("a")
    await probe.step()
    await lease.step()
    engine.down = True
    await probe.step()
    await lease.hand_over()
    assert row(nodes).agent_id == "a"


async def test_an_age_that_grows_renews_no_lease(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, time: ManualTime, clock: Clock
) -> None:
    """The bridge answers every probe, and its engine has been dead for a while: a memory must not vouch for it."""
    lease = make("a")
    await probe.step()
    await lease.step()
    lived_s, died_s = clock.now_s(), time.at_s
    for _ in range(80):
        time.pass_s(0.5)
        engine.age_s = time.at_s - died_s
        await probe.step()
        await lease.step()
        assert row(nodes).lease_until_s == pytest.approx(lived_s + LEASE_TTL_S, abs=0.01)
    assert lease.count_down() == 0
    await lease.hand_over()
    assert row(nodes).lease_until_s == pytest.approx(lived_s + LEASE_TTL_S, abs=0.01)


async def test_a_bridge_without_its_engine_takes_no_lease(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine
) -> None:
    engine.age_s = LEASE_TTL_S
    lease = make("a")
    await probe.step()
    await lease.step()
    assert nodes.all_nodes() == []


async def test_what_a_lease_is_handed_over_for_is_reckoned_from_when_the_engine_last_answered(
    make: MakeLease, nodes: FaultyNodes, probe: Probe, engine: MemoryEngine, clock: Clock
) -> None:
    engine.age_s = 3.0
    lease = make("a")
    await probe.step()
    await lease.step()
    await lease.hand_over()
    assert row(nodes).lease_until_s == pytest.approx(clock.now_s() - 3.0 + LEASE_HANDOVER_S, abs=0.01)
