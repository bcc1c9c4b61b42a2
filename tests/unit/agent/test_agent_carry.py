from collections.abc import Callable

import pytest

from ivr_agent.aws.clock import CONFIRMATIONS, Clock
from ivr_agent.engine.memory import EPOCH_S, ManualTime, MemoryEngine, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.outcome import DeadlineInDoubtError, Outcome, UndeliveredError
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_agent.stops.carry import CONTRADICTION_S, Carrier
from ivr_runtimes.command import DEADLINE_S, Command
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Node, StopType, Verb
from ivr_runtimes.stores.memory import MemoryStore

State = Callable[..., RuntimeState]
MakeCommand = Callable[..., Command]
PEER = NodeName("site1_h8@192.168.0.12")


class Forwarded:
    """The way to peers: notes what is sent and tells the outcome that was set."""

    def __init__(self) -> None:
        self.sent: list[tuple[Command, Node]] = []

    async def __call__(self, command: Command, node: Node) -> Outcome:
        self.sent.append((command, node))
        return Outcome.ACTED


@pytest.fixture
def forwarded() -> Forwarded:
    return Forwarded()


@pytest.fixture
async def carrier(
    place: Place,
    engine: MemoryEngine,
    probe: Probe,
    registry: Registry,
    store: MemoryStore,
    clock: Clock,
    forwarded: Forwarded,
) -> Carrier:
    registry.adopt(await engine.snapshot())
    return Carrier(
        place=place,
        engine=engine,
        probe=probe,
        registry=registry,
        nodes=store,
        service=run_inline,
        clock=clock,
        forward=forwarded,
    )


def know_peer(store: MemoryStore, place: Place, *, name: NodeName = PEER, session: str = "s-8") -> Node:
    node = Node(
        site=place.site,
        node=name,
        session=Session(session),
        lease_until_s=0.0,
        agent_id="b",
        control_port=9471,
        agent_version="1",
        started_at="2019-11-05T08:36:40Z",
    )
    store.renew(node, now_s=0.0)
    return node


async def test_an_external_stop_starts_the_branch(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, state: State
) -> None:
    engine.put(state(6))
    assert await carrier.carry(command(6)) is Outcome.ACTED
    assert engine.runtimes[state(6).id].stoptype is StopType.STOP


async def test_the_same_stop_again_changes_nothing_whatever_its_verb(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, state: State
) -> None:
    engine.put(state(6))
    await carrier.carry(command(6))
    assert await carrier.carry(command(6, verb=Verb.TERMINATE)) is Outcome.ALREADY_STOPPING
    assert state(6).id in engine.runtimes


async def test_terminate_ends_the_branch(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, state: State
) -> None:
    engine.put(state(6))
    await carrier.carry(command(6))
    assert await carrier.carry(command(6, verb=Verb.TERMINATE, stop_id="second")) is Outcome.ACTED
    assert engine.runtimes == {}


async def test_a_runtime_that_its_own_session_does_not_know_has_ended(carrier: Carrier, command: MakeCommand) -> None:
    assert await carrier.carry(command(6)) is Outcome.ALREADY_ENDED


UPPER = RuntimeId("244F84AA-0624-e639-8061-A80000000006")


async def test_a_command_names_its_runtime_as_the_engine_does(
    carrier: Carrier, engine: MemoryEngine, registry: Registry, command: MakeCommand, state: State
) -> None:
    """Ids are folded in table and command, but an engine need not compare its ids without regard to letter case."""
    told = state(6, id=UPPER)
    engine.runtimes[UPPER] = told
    registry.put(engine.session, 1, told)
    assert await carrier.carry(command(6, runtime_id=UPPER.lower())) is Outcome.ACTED
    assert engine.commands == [(Verb.EXTERNAL_STOP, UPPER, "stop-6")]


async def test_no_runtime_has_ended_for_an_engine_that_has_not_told_how_it_writes_its_ids(
    carrier: Carrier, engine: MemoryEngine, registry: Registry, command: MakeCommand, state: State
) -> None:
    """An agent that has just come asks for the folded id: that the engine knows none such proves nothing yet."""
    registry.session = None
    engine.runtimes[UPPER] = state(6, id=UPPER)
    with pytest.raises(UndeliveredError, match="not told its runtimes"):
        await carrier.carry(command(6, runtime_id=UPPER.lower()))
    registry.adopt(Snapshot(engine.session, 1, {UPPER.lower(): engine.runtimes[UPPER]}, {}))
    assert await carrier.carry(command(6, runtime_id=UPPER.lower())) is Outcome.ACTED


async def test_a_command_for_an_earlier_life_of_the_engine_is_moot_and_betrays_the_new_one(
    carrier: Carrier, engine: MemoryEngine, probe: Probe, command: MakeCommand, store: MemoryStore, place: Place
) -> None:
    await probe.step()
    engine.restart("s-2")
    know_peer(store, place, name=place.node, session="s-1")
    with pytest.raises(UndeliveredError, match="session s-2"):
        await carrier.carry(command(6))
    assert probe.wake.is_set(), "so that the row soon names the new session"
    know_peer(store, place, name=place.node, session="s-2")
    assert await carrier.carry(command(6)) is Outcome.NODE_GONE


async def test_a_silent_engine_leaves_the_command_undelivered(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand
) -> None:
    engine.down = True
    with pytest.raises(UndeliveredError):
        await carrier.carry(command(6))


async def test_an_agent_whose_node_has_moved_calls_no_stop_of_the_living_session_moot(
    carrier: Carrier, command: MakeCommand, store: MemoryStore, place: Place
) -> None:
    """Its engine was silent for longer than its lease, and the node's name went to another host with another engine.

    It still believed in its lease, so it called stops for the living session moot and deleted them. A second agent
    that was given the node's name by mistake would do the same.
    """
    know_peer(store, place, name=place.node, session="s-9")
    with pytest.raises(UndeliveredError, match="session s-1"):
        await carrier.carry(command(6, session="s-9"))


async def test_without_the_nodes_row_no_command_of_our_own_node_is_called_moot(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand
) -> None:
    engine.restart("s-2")
    with pytest.raises(UndeliveredError, match="not known"):
        await carrier.carry(command(6))


@pytest.mark.parametrize(("after_s", "expired"), [(DEADLINE_S, False), (DEADLINE_S + 1, True)])
async def test_a_command_expires_at_its_deadline(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, time: ManualTime, after_s: float, *, expired: bool
) -> None:
    stop = command(6)
    time.pass_s(after_s)
    assert (await carrier.carry(stop) is Outcome.EXPIRED) is expired
    assert (engine.commands == []) is expired


async def test_a_host_clock_that_runs_ahead_drops_nothing_before_aws_has_told_the_time(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, state: State, time: ManualTime
) -> None:
    """SQS answered before DynamoDB had told the time: on a host two hours ahead a fresh stop was called expired.

    Its message was deleted, and the caller stayed where it was.
    """
    carrier._clock = clock = Clock(monotonic=time, wall=lambda: EPOCH_S + 2 * DEADLINE_S)
    engine.put(state(6))
    with pytest.raises(UndeliveredError, match="time"):
        await carrier.carry(command(6))
    for _ in range(CONFIRMATIONS):
        clock.observe(EPOCH_S)
    assert await carrier.carry(command(6)) is Outcome.ACTED


async def test_a_stop_is_carried_out_though_aws_never_tells_the_time(
    carrier: Carrier, engine: MemoryEngine, command: MakeCommand, state: State, time: ManualTime
) -> None:
    """A gateway on the way took the `Date` out of all answers: every stop of the site waited for it, in vain."""
    carrier._clock = Clock(monotonic=time, wall=lambda: EPOCH_S)
    engine.put(state(6))
    assert await carrier.carry(command(6)) is Outcome.ACTED


@pytest.mark.parametrize(
    ("host_s", "queue_s", "final"),
    [
        (0, 0, True),
        (0, -2 * DEADLINE_S, True),
        (-2 * DEADLINE_S, 0, True),
        (-CONTRADICTION_S + 2, -2 * DEADLINE_S, True),
        (0, None, True),
        (-2 * DEADLINE_S, -2 * DEADLINE_S, False),
        (2 * DEADLINE_S, -2 * DEADLINE_S, False),
        (-CONTRADICTION_S - 2, -CONTRADICTION_S - 2, False),
        (-2 * DEADLINE_S, None, False),
    ],
)
async def test_a_deadline_is_final_by_no_clock_that_stands_alone(
    carrier: Carrier, command: MakeCommand, time: ManualTime, host_s: float, queue_s: float | None, *, final: bool
) -> None:
    """All answers came with a `Date` two hours ahead: stops of healthy nodes were called expired and deleted.

    `host_s` and `queue_s` are how far the host's and the queue's clock are ahead of AWS's.
    """
    stop = command(6)
    time.pass_s(DEADLINE_S + 1)
    now_s = EPOCH_S + time.at_s
    carrier._clock = clock = Clock(monotonic=time, wall=lambda: now_s + host_s)
    for _ in range(CONFIRMATIONS):
        clock.observe(now_s)
    told_s = None if queue_s is None else now_s + queue_s
    if final:
        assert await carrier.carry(stop, queue_s=told_s) is Outcome.EXPIRED
    else:
        with pytest.raises(DeadlineInDoubtError, match="host"):
            await carrier.carry(stop, queue_s=told_s)


async def test_a_command_for_another_node_is_forwarded_to_its_agent(
    carrier: Carrier, store: MemoryStore, place: Place, forwarded: Forwarded, command: MakeCommand
) -> None:
    """Its lease lapsed long ago: that alone drops nothing, the node may only have lost its link to AWS."""
    peer = know_peer(store, place)
    stop = command(6, node=PEER, session="s-8")
    assert await carrier.carry(stop) is Outcome.ACTED
    assert forwarded.sent == [(stop, peer)]


async def test_a_command_for_a_replaced_session_of_another_node_is_moot(
    carrier: Carrier, store: MemoryStore, place: Place, forwarded: Forwarded, command: MakeCommand
) -> None:
    know_peer(store, place, session="s-9")
    assert await carrier.carry(command(6, node=PEER, session="s-8")) is Outcome.NODE_GONE
    assert forwarded.sent == []


async def test_a_command_for_an_unknown_node_comes_back(carrier: Carrier, command: MakeCommand) -> None:
    with pytest.raises(UndeliveredError, match="not known"):
        await carrier.carry(command(6, node=PEER))


async def test_a_command_for_another_node_comes_back_while_the_table_is_away(
    carrier: Carrier, command: MakeCommand
) -> None:
    class Away(MemoryStore):
        def read(self, site: Site, node: NodeName) -> Node | None:
            raise StoreUnavailableError(f"away: {site} {node}")

    carrier._nodes = Away()
    with pytest.raises(UndeliveredError, match="away"):
        await carrier.carry(command(6, node=PEER))


async def test_a_single_node_site_forwards_nothing(
    carrier: Carrier, store: MemoryStore, place: Place, command: MakeCommand
) -> None:
    carrier._forward = None
    know_peer(store, place)
    with pytest.raises(UndeliveredError, match="single-node"):
        await carrier.carry(command(6, node=PEER, session="s-8"))
