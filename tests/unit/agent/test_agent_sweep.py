from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ivr_agent.engine.memory import ManualTime, run_inline
from ivr_agent.process.loop import NOT_OURS_S
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.ledger import LINGER_S, Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.rows.sweep import FASTEST_S, PACE_S, RETRY_S, Sweep
from ivr_agent.settings import Place
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import NodeName, RuntimeId, Session, Site
from ivr_runtimes.ports import MAX_WRITES, RowRef, WriteBatch
from ivr_runtimes.stores.memory import MemoryStore

S1, S0 = Session("s-1"), Session("s-0")
LIFETIME_S = 10.0
State = Callable[..., RuntimeState]


class FaultyTable(MemoryStore):
    """A table that cannot be read while `down`."""

    down = False

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        if self.down:
            raise StoreUnavailableError("away")
        return super().rows_of_node(site, node)


@pytest.fixture
def table() -> FaultyTable:
    return FaultyTable()


@pytest.fixture
def sweep(place: Place, registry: Registry, ledger: Ledger, table: FaultyTable, time: ManualTime) -> Sweep:
    return Sweep(
        place=place,
        registry=registry,
        ledger=ledger,
        table=table,
        service=run_inline,
        may_write=lambda: True,
        monotonic=time,
        lifetime_s=LIFETIME_S,
    )


@pytest.fixture
def flush(ledger: Ledger, time: ManualTime) -> Callable[[], None]:
    """Settle what is owed, as if the table had taken it."""

    def flush() -> None:
        time.pass_s(LINGER_S)
        for runtime_id in ledger.take():
            ledger.paid(runtime_id, deleted=True)

    return flush


@pytest.fixture
def fill(table: FaultyTable, place: Place, state: State) -> Callable[..., None]:
    """Put rows of numbered runtimes, of a session and a node, into the table."""

    def fill(*numbers: int, session: Session, node: NodeName = place.node) -> None:
        rows = [state(number).row(place.site, node, session, lwt="2019-11-05T08:36:40Z") for number in numbers]
        table.write(WriteBatch(site=place.site, puts=rows))

    return fill


def owed(ledger: Ledger, time: ManualTime) -> set[RuntimeId]:
    time.pass_s(LINGER_S)
    ids = ledger.take()
    for runtime_id in ids:
        ledger.paid(runtime_id, deleted=True)
    return set(ids)


async def test_rows_of_this_session_that_nobody_runs_are_owed_at_once(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, fill: Callable[..., None], state: State
) -> None:
    registry.adopt(Snapshot(S1, 0, {state(1).id: state(1)}, {}))
    owed(ledger, time)
    fill(1, 2, session=S1)
    await sweep.step()
    assert owed(ledger, time) == {state(2).id}


async def test_a_row_under_an_id_that_is_not_folded_makes_way_for_the_folded_one(
    sweep: Sweep, registry: Registry, ledger: Ledger, table: FaultyTable, place: Place, state: State
) -> None:
    """An agent of before kept an engine's upper-case ids as they were: nobody who folds ids would find those rows."""
    told = state(1, id=state(1).id.upper())
    row = replace(told.row(place.site, place.node, S1, lwt="2019-11-05T08:36:40Z"), id=told.spelling)
    table.write(WriteBatch(site=place.site, puts=[row]))
    registry.adopt(Snapshot(S1, 1, {told.id: told}, {}))
    await sweep.step()
    assert (told.id in ledger, told.spelling in ledger) == (True, True)
    assert registry.get(told.spelling) is None, "so its row is deleted, and that of the folded id is written"


async def test_rows_of_dead_sessions_are_owed_one_batch_at_a_time_when_nothing_else_is(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, fill: Callable[..., None], state: State
) -> None:
    fill(*range(MAX_WRITES + 5), session=S0)
    registry.adopt(Snapshot(S1, 0, {}, {}))
    await sweep.step()
    assert ledger.leisure == 0
    assert await sweep.step() == PACE_S
    await sweep.step()
    assert len(owed(ledger, time)) == MAX_WRITES, "the second batch waited for the first"
    await sweep.step()
    assert len(owed(ledger, time)) == 5
    assert await sweep.step() is None


async def test_other_nodes_rows_are_left_alone(
    sweep: Sweep, registry: Registry, ledger: Ledger, fill: Callable[..., None]
) -> None:
    fill(1, session=S0, node=NodeName("site1_h8@192.168.0.12"))
    registry.adopt(Snapshot(S1, 0, {}, {}))
    for _ in range(3):
        await sweep.step()
    assert len(ledger) == 0


async def test_nothing_is_swept_before_the_node_is_ours(
    sweep: Sweep, registry: Registry, ledger: Ledger, fill: Callable[..., None]
) -> None:
    """A second agent with another engine must not take the first one's rows for garbage."""
    sweep._may_write = lambda: False
    fill(1, session=S0)
    registry.adopt(Snapshot(S1, 0, {}, {}))
    assert await sweep.step() == NOT_OURS_S
    assert len(ledger) == 0


async def test_a_table_that_is_away_is_read_later(
    sweep: Sweep, registry: Registry, ledger: Ledger, table: FaultyTable, fill: Callable[..., None]
) -> None:
    fill(1, session=S1)
    registry.adopt(Snapshot(S1, 0, {}, {}))
    table.down = True
    assert await sweep.step() == RETRY_S
    table.down = False
    await sweep.step()
    assert len(ledger) == 1


async def test_each_session_is_swept_once(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, fill: Callable[..., None], state: State
) -> None:
    registry.adopt(Snapshot(S1, 0, {}, {}))
    await sweep.step()
    assert await sweep.step() is None
    fill(1, session=S1)
    assert await sweep.step() is None
    registry.adopt(Snapshot(Session("s-2"), 0, {}, {}))
    await sweep.step()
    await sweep.step()
    assert owed(ledger, time) == {state(1).id}


async def test_what_a_killed_predecessor_wrote_late_is_put_right_when_nothing_of_it_can_land_any_more(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, fill: Callable[..., None], state: State
) -> None:
    """An agent was killed with a put under way; its successor swept and deleted the row; then the put landed.

    The script had ended, and stayed in the list until its engine was restarted, or for six hours. A put of one that
    lives may land late as well, over the row that the successor has written since.
    """
    registry.adopt(Snapshot(S1, 0, {state(1).id: state(1)}, {}))
    await sweep.step()
    owed(ledger, time)
    fill(1, 2, session=S1)
    time.pass_s(LIFETIME_S - 1)
    await sweep.step()
    assert len(ledger) == 0, "more may land"
    time.pass_s(1)
    await sweep.step()
    await sweep.step()
    assert owed(ledger, time) | owed(ledger, time) == {state(1).id, state(2).id}
    time.pass_s(10 * LIFETIME_S)
    assert await sweep.step() is None, "once per life"


async def test_live_rows_are_written_once_more_without_holding_up_what_is_new(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, state: State
) -> None:
    live = [state(number) for number in range(MAX_WRITES + 5)]
    registry.adopt(Snapshot(S1, 0, {each.id: each for each in live}, {}))
    await sweep.step()
    while owed(ledger, time):
        pass
    time.pass_s(LIFETIME_S)
    await sweep.step()
    assert await sweep.step() == FASTEST_S
    await sweep.step()
    assert ledger.leisure == MAX_WRITES, "the second batch waits for the first"
    written = owed(ledger, time)
    await sweep.step()
    assert written | owed(ledger, time) == {each.id for each in live}


async def test_it_is_done_when_no_visible_row_is_left_that_should_not_be_there(
    sweep: Sweep, registry: Registry, fill: Callable[..., None], flush: Callable[[], None]
) -> None:
    fill(1, session=S1)
    fill(2, session=S0)
    assert not sweep.done  # nothing is known yet, not even the session
    registry.adopt(Snapshot(S1, 0, {}, {}))
    assert not sweep.done
    await sweep.step()
    assert not sweep.done
    flush()
    assert sweep.done


async def test_the_second_look_does_not_slow_the_sweep_down(
    sweep: Sweep, registry: Registry, ledger: Ledger, time: ManualTime, fill: Callable[..., None], table: FaultyTable
) -> None:
    """With each look the rows that were left got another 90 s, and 20,000 took more than two minutes."""
    fill(*range(4_500), session=S0)
    registry.adopt(Snapshot(S1, 0, {}, {}))
    await sweep.step()
    assert await sweep.step() == pytest.approx(0.5)
    owed(ledger, time)
    gone = [row.id for row in table.rows_of_node(sweep._place.site, sweep._place.node)][2_000:]
    table.write(WriteBatch(site=sweep._place.site, puts=[], deletes=gone))
    time.pass_s(LIFETIME_S)
    await sweep.step()
    assert await sweep.step() == pytest.approx(0.5)
