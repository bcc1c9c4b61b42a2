"""The ledger and the writer together: what the table ends up with, whatever it answers."""

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from ivr_agent.aws.clock import Clock, rfc3339
from ivr_agent.aws.denial import Denials
from ivr_agent.aws.service import Service
from ivr_agent.engine.memory import EPOCH_S, ManualTime, run_inline
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.process.loop import Backoff
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.flush import RETRY_MOST_S, SET_ASIDE_S, Flush
from ivr_agent.rows.ledger import LINGER_S, REFRESH_S, Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_runtimes.errors import AmbiguousWriteError, RefusedWriteError, StoreUnavailableError
from ivr_runtimes.identifiers import Domain, RuntimeId, Session
from ivr_runtimes.model import Runtime
from ivr_runtimes.ports import MAX_WRITES, WriteBatch
from ivr_runtimes.stores.memory import MemoryStore

S1 = Session("s-1")
LIFETIME_S = 10.0
State = Callable[..., RuntimeState]


class FaultyTable(MemoryStore):
    """A table whose next answers can be set: an error, or ids to leave unwritten; and one that refuses bad rows."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception | set[RuntimeId]] = []
        self.down: Exception | None = None
        self.batches: list[WriteBatch] = []
        self.bad: set[RuntimeId] = set()

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        self.batches.append(batch)
        fault = self.faults.pop(0) if self.faults else self.down or set()
        if isinstance(fault, Exception):
            raise fault
        if self.bad & {row.id for row in batch.puts}:
            raise RefusedWriteError("an item is too large")
        kept = [row for row in batch.puts if row.id not in fault]
        super().write(WriteBatch(site=batch.site, puts=kept, deletes=[i for i in batch.deletes if i not in fault]))
        return fault & batch.ids

    def rows(self) -> dict[RuntimeId, Runtime]:
        return {row.id: row for row in self.of_domain(Domain("test.rootdomain.ru"))}


@pytest.fixture
def table() -> FaultyTable:
    return FaultyTable()


@pytest.fixture
def flush(
    place: Place, registry: Registry, ledger: Ledger, table: FaultyTable, clock: Clock, metrics: Metrics
) -> Flush:
    registry.adopt(Snapshot(S1, 0, {}, {}))
    return Flush(
        place=place,
        registry=registry,
        ledger=ledger,
        table=table,
        service=run_inline,
        clock=clock,
        metrics=metrics,
        may_write=lambda: True,
        lifetime_s=LIFETIME_S,
        backoff=Backoff(first_s=0.1, most_s=RETRY_MOST_S, chance=lambda: 0.0),
    )


async def settle(flush: Flush, time: ManualTime, *, for_s: float) -> None:
    """Step as the driver would, on manual time."""
    until_s = time() + for_s
    while time() < until_s:
        wait_s = await flush.step()
        time.pass_s(max(0.005, min(until_s - time(), 1.0 if wait_s is None else wait_s)))


async def test_a_change_is_in_the_table_within_50_ms_with_the_time_of_its_write(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State, place: Place
) -> None:
    time.pass_s(7)
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=0.05)
    assert table.rows() == {state(1).id: state(1).row(place.site, place.node, S1, lwt=rfc3339(EPOCH_S + 7))}


async def test_changes_of_one_runtime_become_one_write_of_the_latest(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    registry.put(S1, 1, state(1))
    registry.put(S1, 2, state(1, code="nested"))
    await settle(flush, time, for_s=0.05)
    assert [[row.code for row in batch.puts] for batch in table.batches] == [["nested"]]


async def test_many_changes_go_at_once_in_full_batches(
    flush: Flush, registry: Registry, table: FaultyTable, state: State
) -> None:
    for number in range(60):
        registry.put(S1, number + 1, state(number))
    assert await flush.step() == 0.0
    assert await flush.step() == pytest.approx(LINGER_S), "the rest may wait for company"
    assert [len(batch.ids) for batch in table.batches] == [MAX_WRITES, MAX_WRITES]


async def test_an_end_deletes_the_row(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=0.1)
    registry.end(S1, 2, state(1).id)
    await settle(flush, time, for_s=0.1)
    assert table.rows() == {}
    assert list(table.batches[-1].deletes) == [state(1).id]


async def test_nothing_is_written_while_the_node_is_not_ours(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    flush._may_write = lambda: False
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=5)
    assert table.batches == []


async def test_what_the_table_leaves_unwritten_is_written_next(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    table.faults = [{state(1).id}]
    registry.put(S1, 1, state(1))
    registry.put(S1, 2, state(2))
    await settle(flush, time, for_s=0.05)
    assert set(table.rows()) == {state(2).id}
    await settle(flush, time, for_s=1)
    assert set(table.rows()) == {state(1).id, state(2).id}


async def test_a_table_that_takes_most_of_each_batch_is_not_taken_for_one_that_is_away(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    """The table took 23 of every 25 rows, and the writer slowed to a batch every 5 s: 500 of 2,000 in a minute."""
    write = table.write

    def throttling(batch: WriteBatch) -> set[RuntimeId]:
        table.faults = [set(sorted(batch.ids)[:2])]
        return write(batch)

    table.write = throttling  # type: ignore[method-assign]  # two of each batch are throttled
    for number in range(2000):
        registry.put(S1, number + 1, state(number))
    await settle(flush, time, for_s=30)
    assert len(table.rows()) > 1990


async def test_a_refusal_is_an_answer_of_a_table_that_is_there(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    """The first row written after an outage was one that the table refuses: nothing was written for 10 s more."""
    table.faults = [StoreUnavailableError("away")]
    table.bad = {state(0).id}
    registry.put(S1, 1, state(0))
    await settle(flush, time, for_s=1)
    registry.put(S1, 2, state(1))
    await settle(flush, time, for_s=1)
    assert set(table.rows()) == {state(1).id}


async def test_a_table_that_is_away_is_tried_again_within_five_seconds_and_converges(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    table.down = StoreUnavailableError("away")
    for number in range(100):
        registry.put(S1, number + 1, state(number))
    await settle(flush, time, for_s=600)
    assert 120 <= len(table.batches) <= 135, "one request at a time, every 5 s"
    table.down = None
    await settle(flush, time, for_s=RETRY_MOST_S + 1)
    assert len(table.rows()) == 100


async def test_the_lag_is_that_of_the_change_however_often_its_write_failed(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State, metrics: Metrics
) -> None:
    """It was measured from the last failed try: after a minute without AWS the metric told of a few seconds."""
    table.down = StoreUnavailableError("away")
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=60)
    table.down = None
    await settle(flush, time, for_s=RETRY_MOST_S + 1)
    assert metrics.registry.get_sample_value("ivr_agent_flush_lag_seconds_sum") >= 60


async def test_hours_without_aws_keep_only_what_lives(
    flush: Flush, registry: Registry, ledger: Ledger, table: FaultyTable, time: ManualTime, state: State
) -> None:
    table.down = AmbiguousWriteError("no answer")
    seq = 0
    for number in range(3000):
        registry.put(S1, (seq := seq + 1), state(number))
        if number >= 10:
            registry.end(S1, (seq := seq + 1), state(number - 10).id)
        await settle(flush, time, for_s=2)
    assert len(ledger) <= 10 + 2 * MAX_WRITES
    assert len(ledger._tried) + len(ledger._due) <= 4 * MAX_WRITES
    table.down = None
    await settle(flush, time, for_s=60)
    assert set(table.rows()) == {state(number).id for number in range(2990, 3000)}
    assert len(ledger) == 0


async def test_an_ambiguous_write_is_repeated_at_once_and_again_when_it_can_no_longer_land(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State, place: Place
) -> None:
    """A put gave no answer; the runtime ended and its row was deleted; then the put landed after all."""
    table.faults = [AmbiguousWriteError("no answer")]
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=0.05)
    registry.end(S1, 2, state(1).id)
    await settle(flush, time, for_s=1)
    assert list(table.batches[-1].deletes) == [state(1).id]
    late = state(1).row(place.site, place.node, S1, lwt="2019-11-05T08:36:40Z")
    MemoryStore.write(table, WriteBatch(site=place.site, puts=[late]))
    await settle(flush, time, for_s=LIFETIME_S + 1)
    assert table.rows() == {}


async def test_a_refused_row_is_set_aside_and_never_blocks_the_others(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State, metrics: Metrics
) -> None:
    table.bad = {state(13).id}
    for number in range(MAX_WRITES):
        registry.put(S1, number + 1, state(number))
    await settle(flush, time, for_s=1)
    assert len(table.rows()) == MAX_WRITES - 1
    assert b"ivr_agent_refused_rows 1.0" in metrics.text()
    asked = len(table.batches)
    await settle(flush, time, for_s=SET_ASIDE_S / 2)
    assert len(table.batches) == asked, "a refused row rests"


@pytest.mark.parametrize("mended", ["changed", "rested"])
async def test_a_refused_row_is_tried_again_when_it_changed_or_rested(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State, mended: str
) -> None:
    table.bad = {state(1).id}
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=1)
    table.bad = set()
    if mended == "changed":
        registry.put(S1, 2, state(1, name="shorter"))
    await settle(flush, time, for_s=1 if mended == "changed" else SET_ASIDE_S + 1)
    assert set(table.rows()) == {state(1).id}
    assert not flush._refused


async def test_a_live_row_is_written_again_at_half_its_life(
    flush: Flush, registry: Registry, table: FaultyTable, time: ManualTime, state: State
) -> None:
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=1)
    time.pass_s(REFRESH_S - 60)
    await flush.refresh()
    await settle(flush, time, for_s=1)
    assert len(table.batches) == 1
    time.pass_s(60)
    await flush.refresh()
    await settle(flush, time, for_s=1)
    assert len(table.batches) == 2


async def test_one_runtime_is_never_in_two_requests_at_once(
    flush: Flush,
    registry: Registry,
    ledger: Ledger,
    table: FaultyTable,
    time: ManualTime,
    state: State,
    denials: Denials,
) -> None:
    """The runtime ends while its put is under way: the deletion must not overtake it."""
    answered, asked = Event(), Event()

    class Slow(MemoryStore):
        def write(self, batch: WriteBatch) -> set[RuntimeId]:
            asked.set()
            assert answered.wait(20)
            return table.write(batch)

    flush._table = Slow()
    flush._service = service = Service("dynamodb", size=2, health=Health(time), denials=denials, purpose="test")
    registry.put(S1, 1, state(1))
    time.pass_s(LINGER_S)
    first = asyncio.create_task(flush.step())
    await asyncio.to_thread(asked.wait, 20)
    registry.end(S1, 2, state(1).id)
    time.pass_s(LINGER_S)
    assert ledger.take() == [], "its deletion waits"
    answered.set()
    await first
    await settle(flush, time, for_s=0.1)
    service.close()
    assert [len(batch.puts) for batch in table.batches] == [1, 0]
    assert table.rows() == {}


async def test_a_defect_in_making_rows_leaves_them_owed(
    flush: Flush,
    registry: Registry,
    table: FaultyTable,
    time: ManualTime,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They counted as being written for ever, and no later change of them was."""
    registry.put(S1, 1, state(1))
    time.pass_s(LINGER_S)
    with monkeypatch.context() as broken:
        broken.setattr("ivr_agent.rows.flush.rfc3339", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            await flush.step()
    await settle(flush, time, for_s=1)
    assert set(table.rows()) == {state(1).id}


async def test_a_write_that_is_cancelled_is_owed_again(
    flush: Flush, registry: Registry, ledger: Ledger, time: ManualTime, state: State, table: FaultyTable
) -> None:
    async def hang(*_: object, **__: object) -> set[RuntimeId]:
        await asyncio.sleep(60)
        return set()

    flush._service = hang  # type: ignore[assignment]  # a store that never answers
    registry.put(S1, 1, state(1))
    time.pass_s(LINGER_S)
    step = asyncio.create_task(flush.step())
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    flush._service = run_inline
    await settle(flush, time, for_s=1)
    assert set(table.rows()) == {state(1).id}


async def test_a_session_that_is_replaced_leaves_no_debt(
    flush: Flush, registry: Registry, ledger: Ledger, table: FaultyTable, time: ManualTime, state: State
) -> None:
    table.down = StoreUnavailableError("away")
    registry.put(S1, 1, state(1))
    await settle(flush, time, for_s=1)
    registry.adopt(Snapshot(Session("s-2"), 0, {state(2).id: state(2)}, {}))
    table.down = None
    await settle(flush, time, for_s=RETRY_MOST_S + 1)
    assert {row.session for row in table.rows().values()} == {"s-2"}
    assert len(ledger) == 0
