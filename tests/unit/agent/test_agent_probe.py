import logging
from collections.abc import Callable

import pytest

from ivr_agent.engine import EngineError
from ivr_agent.health import Health
from ivr_agent.memory import MemoryEngine
from ivr_agent.probe import RETRY_S, SETTLE_S, Probe
from ivr_agent.registry import Registry
from ivr_agent.wire import RuntimeState, Snapshot, Status
from ivr_runtimes.names import Session

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
