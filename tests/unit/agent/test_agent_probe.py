import itertools
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from ivr_agent.engine.client import EngineError
from ivr_agent.engine.falls import MAX_LAG
from ivr_agent.engine.memory import ManualTime, MemoryEngine
from ivr_agent.engine.probe import MAX_EXAMPLES, RETRY_S, SETTLE_S, Probe
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.protocol.wire import RuntimeState, Snapshot, Status
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Registry
from ivr_runtimes.identifiers import Session
from ivr_runtimes.lease import LEASE_TTL_S

State = Callable[..., RuntimeState]


async def test_the_first_answer_brings_the_set_and_wakes_lease_and_sweep(
    probe: Probe, engine: MemoryEngine, registry: Registry, health: Health, state: State
) -> None:
    engine.put(state(1))
    assert await probe.step() is None
    assert (registry.session, registry.seq, len(registry)) == ("s-1", 1, 1)
    assert probe.renewed.is_set()
    assert probe.resynced.is_set()
    assert health.engine


async def test_an_engine_that_is_not_there_yet_is_asked_again_soon(
    probe: Probe, engine: MemoryEngine, health: Health
) -> None:
    engine.down = True
    assert await probe.step() == RETRY_S
    assert not health.engine
    engine.down = False
    await probe.step()
    assert health.engine


async def test_without_a_gap_no_snapshot_is_taken(
    probe: Probe, engine: MemoryEngine, registry: Registry, state: State
) -> None:
    await probe.step()
    registry.put(engine.session, engine.put(state(1)), state(1))
    await probe.step()
    assert engine.snapshots == 1


async def test_a_lost_event_is_noticed_and_repaired_by_a_snapshot(
    probe: Probe, engine: MemoryEngine, registry: Registry, state: State
) -> None:
    await probe.step()
    engine.put(state(1))
    assert await probe.step() == SETTLE_S, "it may be on its way"
    await probe.step()
    assert registry.get(state(1).id) is not None
    assert engine.snapshots == 2


async def test_an_event_on_its_way_costs_no_snapshot(
    probe: Probe, engine: MemoryEngine, registry: Registry, state: State
) -> None:
    await probe.step()
    seq = engine.put(state(1))
    await probe.step()
    registry.put(engine.session, seq, state(1))
    await probe.step()
    assert engine.snapshots == 1


async def test_a_restarted_engine_replaces_the_set(
    probe: Probe, engine: MemoryEngine, registry: Registry, state: State
) -> None:
    engine.put(state(1))
    await probe.step()
    engine.restart("s-2")
    await probe.step()
    assert (registry.session, len(registry)) == ("s-2", 0)


async def test_a_session_nobody_knows_makes_the_probe_come_early(probe: Probe) -> None:
    await probe.step()
    probe.suspect(Session("s-1"))
    assert not probe.wake.is_set()
    probe.suspect(Session("s-2"))
    assert probe.wake.is_set()


class WithoutSnapshot(MemoryEngine):
    """An engine whose status is well, but whose snapshot cannot be used."""

    async def snapshot(self) -> Snapshot:
        raise EngineError("the engine's snapshot is unreadable")


async def test_a_snapshot_that_fails_does_not_make_an_engine_that_answers_look_down(
    probe: Probe, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine was up with every status and down with every snapshot, every second, and so were health and lease."""
    caplog.set_level(logging.INFO, "ivr_agent")
    probe._engine = WithoutSnapshot()
    for _ in range(3):
        assert await probe.step() == RETRY_S
        assert health.engine
    told = [record.getMessage() for record in caplog.records]
    assert told == ["engine_up", "session_new", *["snapshot_failed"] * 3]


class RestartsInBetween(MemoryEngine):
    """An engine that is restarted once, right after it told its status."""

    async def status(self) -> Status:
        status = await super().status()
        if self.session == "s-1":
            self.restart("s-2")
        return status


async def test_a_restart_between_status_and_snapshot_is_asked_about_anew(probe: Probe, registry: Registry) -> None:
    """The lease must name the new session before the set is of it."""
    probe._engine = RestartsInBetween()
    await probe.step()
    assert registry.session is None
    assert probe.wake.is_set()
    await probe.step()
    assert registry.session == "s-2"


def wrong_rows(number: int) -> dict[str, str]:
    """The unreadable rows of a snapshot, two faults among them."""
    return {f"row {n}": ("starttime: Field required", "type: Field required")[n % 2] for n in range(number)}


class WithWrongRows(MemoryEngine):
    """An engine of whose snapshot some rows cannot be read."""

    wrong = 2000

    async def snapshot(self) -> Snapshot:
        return replace(await super().snapshot(), unreadable=wrong_rows(self.wrong))


@pytest.fixture
def wrong_probe(registry: Registry, health: Health, metrics: Metrics) -> Probe:
    return Probe(engine=WithWrongRows(), registry=registry, health=health, metrics=metrics)


async def test_rows_that_cannot_be_read_are_one_line_of_a_snapshot(
    wrong_probe: Probe, caplog: pytest.LogCaptureFixture
) -> None:
    """2,000 of them made 12,181 lines in 30 s."""
    await wrong_probe.step()
    (line,) = [r.__dict__ for r in caplog.records if r.getMessage() == "row_unreadable"]
    assert (line["fields"]["rows"], line["fields"]["readable"]) == (2000, 0)
    assert [example["row"] for example in line["fields"]["examples"]] == [f"row {n}" for n in range(MAX_EXAMPLES)]
    assert line["about"] == str(["starttime: Field required", "type: Field required"]), "a new fault is news"


async def test_an_engine_of_which_nothing_can_be_listed_is_not_healthy_but_keeps_its_lease(
    wrong_probe: Probe, health: Health, registry: Registry, state: State
) -> None:
    """/healthz said that all was fine while 2,000 scripts ran and every list was empty."""
    health.aws = {"dynamodb": True}
    await wrong_probe.step()
    assert (health.ok, health.report()["engine"], health.report()["unreadable_rows"]) == (False, "down", 2000)
    assert wrong_probe.up, "it carries out commands"
    registry.put(Session("s-1"), 1, state(1))
    await wrong_probe.step()
    assert (health.ok, health.report()["unreadable_rows"]) == (True, 2000)


async def test_an_engine_that_runs_nothing_is_healthy(probe: Probe, health: Health) -> None:
    health.aws = {"dynamodb": True}
    await probe.step()
    assert health.ok


async def test_a_script_that_could_not_be_read_counts_until_it_is_told_well_or_ends(
    probe: Probe, engine: MemoryEngine, registry: Registry, health: Health, state: State
) -> None:
    unreadable = {state(1).id: "code: Field required", state(2).id: "code: Field required"}
    registry.adopt(Snapshot(engine.session, 0, {}, unreadable))
    await probe.step()
    assert health.unreadable_rows == 2
    registry.put(engine.session, engine.put(state(1)), state(1))
    await probe.step()
    assert health.unreadable_rows == 1
    engine.seq += 1
    registry.end(engine.session, engine.seq, state(2).id)
    await probe.step()
    assert (health.unreadable_rows, health.unlistable) == (0, False)


async def test_an_engine_whose_first_snapshot_fails_is_not_healthy_until_one_is_read(
    probe: Probe, engine: MemoryEngine, health: Health
) -> None:
    """Its status answers, so health said that all was well, and nothing of it was ever listed."""
    health.aws = {"dynamodb": True}
    probe._engine = WithoutSnapshot()
    await probe.step()
    assert (health.ok, probe.up) == (False, True)
    probe._engine = engine
    await probe.step()
    assert health.ok


async def test_a_later_snapshot_that_fails_leaves_what_was_listed(
    probe: Probe, engine: MemoryEngine, health: Health, state: State
) -> None:
    health.aws = {"dynamodb": True}
    await probe.step()
    probe._engine = failing = WithoutSnapshot()
    failing.put(state(1))
    await probe.step()
    assert await probe.step() == RETRY_S
    assert health.ok


async def test_what_an_engine_fails_with_is_told_anew_when_it_changes(
    probe: Probe, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that no longer fitted looked like the connection that was refused a minute before."""
    engine.down = True
    for _ in range(3):
        await probe.step()
    probe._engine = RefusesToken()
    await probe.step()
    told = [record.__dict__["fields"]["error"] for record in caplog.records if record.getMessage() == "engine_down"]
    assert told == ["the engine is down", "status 401"]


class RefusesToken(MemoryEngine):
    """An engine that was given another token."""

    async def status(self) -> Status:
        raise EngineError("status 401")


def falls(metrics: Metrics) -> float:
    return metrics.seq_falls._value.get()


async def test_a_seq_that_falls_within_a_session_is_told_and_healed_by_the_next_probe(
    probe: Probe,
    engine: MemoryEngine,
    registry: Registry,
    ledger: Ledger,
    metrics: Metrics,
    state: State,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A node that knew 50 runtimes and now runs 1 still showed 50 five probes later, `up` all the while."""
    for number in range(50):
        engine.put(state(number))
    await probe.step()
    engine.seq, engine.runtimes = 0, {}
    engine.put(state(7))
    ledger.take(), ledger.take()
    await probe.step()
    assert registry.ids() == [state(7).id]
    assert registry.seq == 1
    assert falls(metrics) == 1
    (line,) = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "seq_fell"]
    assert line == {"session": "s-1", "seq": 1, "before": 50}
    assert state(8).id in ledger, "the rows of what is gone must be deleted: they name the living session"
    registry.put(engine.session, engine.put(state(8)), state(8))
    await probe.step()
    assert {state(7).id, state(8).id} == set(registry.ids())
    assert (falls(metrics), engine.snapshots) == (1, 2), "the new count goes on from there"


async def test_a_fall_below_what_events_alone_have_told_is_healed_when_the_next_answer_confirms_it(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    """A few events since the last status: one lower answer may come from an engine that counts after it sends."""
    await probe.step()
    for number in range(MAX_LAG):
        registry.put(engine.session, engine.put(state(number)), state(number))
    engine.seq, engine.runtimes = 0, {}
    assert await probe.step() == SETTLE_S
    assert falls(metrics) == 0
    await probe.step()
    assert (len(registry), falls(metrics)) == (0, 1)
    assert await probe.step() is None


async def test_a_fall_far_below_what_events_alone_have_told_is_healed_at_once(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    """50 events since the last status: no engine counts so much later than it sends."""
    await probe.step()
    for number in range(50):
        registry.put(engine.session, engine.put(state(number)), state(number))
    engine.seq, engine.runtimes = 0, {}
    engine.put(state(7))
    await probe.step()
    assert (registry.ids(), falls(metrics)) == ([state(7).id], 1)


async def test_an_engine_that_counts_a_moment_after_it_sends_has_not_fallen(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    """Under load its status is behind its events at every probe, by a few, and goes up all the same."""
    await probe.step()
    for number in range(20):
        registry.put(engine.session, engine.seq + 1, state(number))
        await probe.step()
        engine.put(state(number))
    assert (falls(metrics), engine.snapshots, len(registry)) == (0, 1, 20)


class TellsMeanwhile(MemoryEngine):
    """An engine that sends an event after it has made an answer, and the event is there first."""

    tell: Callable[[], object] = staticmethod(lambda: None)

    async def status(self) -> Status:
        status = await super().status()
        self.tell()
        return status

    async def snapshot(self) -> Snapshot:
        snapshot = await super().snapshot()
        self.tell()
        return snapshot


async def test_an_answer_that_is_overtaken_by_events_is_no_fall(
    registry: Registry, health: Health, metrics: Metrics, state: State
) -> None:
    engine = TellsMeanwhile()
    numbers = itertools.count()

    def tell() -> None:
        runtime = state(next(numbers))
        registry.put(engine.session, engine.put(runtime), runtime)

    probe = Probe(engine=engine, registry=registry, health=health, metrics=metrics)
    await probe.step()
    engine.tell = tell
    for _ in range(10):
        await probe.step()
    engine.put(state(2000))  # lost
    await probe.step()
    await probe.step()
    assert falls(metrics) == 0
    assert set(registry.ids()) >= {state(2000).id}
    assert len(registry) == len(engine.runtimes)


async def test_a_restart_is_no_fall(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    for number in range(50):
        engine.put(state(number))
    await probe.step()
    registry.put(engine.session, engine.put(state(50)), state(50))
    engine.restart("s-2")
    for _ in range(3):
        await probe.step()
    assert (falls(metrics), len(registry)) == (0, 0)


async def test_a_seq_that_jumps_forward_is_a_gap(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    """A bridge that restarted goes on far above every earlier number."""
    engine.put(state(1))
    await probe.step()
    engine.seq, engine.runtimes = 1_572_943_000_000_000, {}
    registry.put(engine.session, engine.put(state(2)), state(2))
    await probe.step()
    await probe.step()
    assert registry.ids() == [state(2).id]
    assert (falls(metrics), registry.seq) == (0, engine.seq)


async def test_a_fall_is_healed_also_when_the_first_snapshot_after_it_fails(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, state: State
) -> None:
    for number in range(50):
        engine.put(state(number))
    await probe.step()
    probe._engine = fallen = WithoutSnapshot()
    fallen.put(state(1))
    assert await probe.step() == RETRY_S
    assert len(registry) == 50, "nothing better is known yet"
    engine.seq, engine.runtimes = fallen.seq, fallen.runtimes
    probe._engine = engine
    await probe.step()
    assert (registry.ids(), falls(metrics)) == ([state(1).id], 1)


@pytest.mark.parametrize("age_s", [None, 0, 0.0, LEASE_TTL_S - 0.1])
async def test_an_engine_is_vouched_for_as_of_when_its_bridge_last_heard_it(
    probe: Probe, engine: MemoryEngine, time: ManualTime, age_s: float | None
) -> None:
    time.pass_s(100)
    engine.age_s = age_s
    await probe.step()
    assert probe.up
    assert probe.vouched_s == 100 - (age_s or 0)


async def test_a_bridge_that_has_lost_its_engine_is_told_from_one_that_has_it(
    probe: Probe, engine: MemoryEngine, health: Health, time: ManualTime, caplog: pytest.LogCaptureFixture
) -> None:
    """The bridge answers every status from its memory, and no script of the dead engine may stay in the lists."""
    await probe.step()
    for _ in range(10):
        time.pass_s(5)
        engine.age_s = time.at_s
        await probe.step()
    assert (probe.up, health.engine) == (False, False)
    assert probe.vouched_s == pytest.approx(0)
    assert [record.getMessage() for record in caplog.records].count("engine_down") == 1
    engine.age_s = 0.2
    await probe.step()
    assert (probe.up, health.engine) == (True, True)


async def test_a_fall_that_is_overtaken_before_the_next_probe_betrays_itself_by_its_events(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, time: ManualTime, state: State
) -> None:
    """The count was back above the earlier number when the agent asked: nothing seemed to be missing, and 50 stayed."""
    for number in range(50):
        engine.put(state(number))
    for _ in range(8):
        await probe.step()
        time.pass_s(5)
    engine.seq, engine.runtimes = 0, {}
    for number in range(100, 160):
        registry.put(engine.session, engine.put(state(number)), state(number))
    await probe.step()
    assert set(registry.ids()) == set(engine.runtimes)
    assert (falls(metrics), registry.seq) == (1, 60)
    for _ in range(20):
        time.pass_s(5)
        await probe.step()
    assert (falls(metrics), engine.snapshots) == (1, 2)


async def test_an_event_told_again_within_half_a_minute_is_no_fall(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, time: ManualTime, state: State
) -> None:
    await probe.step()
    for number in range(100):
        seq = engine.put(state(number))
        registry.put(engine.session, seq, state(number))
        time.pass_s(5)
        await probe.step()
        for late in range(max(1, seq - 4), seq + 1):
            registry.put(engine.session, late, state(late))
    assert (falls(metrics), engine.snapshots) == (0, 1)


async def test_what_was_known_of_an_earlier_session_makes_no_fall_of_a_later_one(
    probe: Probe, engine: MemoryEngine, registry: Registry, metrics: Metrics, time: ManualTime, state: State
) -> None:
    for number in range(50):
        engine.put(state(number))
    for _ in range(20):
        await probe.step()
        time.pass_s(5)
    engine.restart("s-2")
    failing = WithoutSnapshot(session=engine.session)
    probe._engine = failing
    for _ in range(20):
        await probe.step()
        time.pass_s(5)
    probe._engine = engine
    for number in range(60, 70):
        await probe.step()
        registry.put(engine.session, engine.put(state(number)), state(number))
    await probe.step()
    assert (falls(metrics), len(registry)) == (0, 10)
