from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.engine.memory import ManualTime, MemoryEngine
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.ledger import LINGER_S, Ledger
from ivr_agent.rows.registry import MAX_AHEAD, Reception, Registry
from ivr_runtimes.identifiers import RuntimeId, Session

S1, S2 = Session("s-1"), Session("s-2")
State = Callable[..., RuntimeState]
Event = Callable[[Registry], Reception]


def snapshot(seq: int, *states: RuntimeState, session: Session = S1, unreadable: str | None = None) -> Snapshot:
    """Return a snapshot; `unreadable` is the id of a skipped row."""
    return Snapshot(session, seq, {state.id: state for state in states}, {unreadable: "wrong"} if unreadable else {})


def owed(ledger: Ledger, time: ManualTime) -> list[RuntimeId]:
    """Pay everything that is owed, as deletions of what does not live would be paid."""
    time.pass_s(LINGER_S)
    ids = ledger.take()
    for runtime_id in ids:
        ledger.paid(runtime_id, deleted=False)
    return ids


def test_events_before_the_first_snapshot_are_foreign(registry: Registry, state: State) -> None:
    assert registry.put(S1, 1, state()) is Reception.FOREIGN
    assert len(registry) == 0


def test_events_in_order_change_the_set_and_are_owed(
    registry: Registry, ledger: Ledger, time: ManualTime, state: State
) -> None:
    registry.adopt(snapshot(0))
    assert registry.put(S1, 1, state(1)) is Reception.APPLIED
    assert registry.put(S1, 2, state(2)) is Reception.APPLIED
    assert registry.end(S1, 3, state(2).id) is Reception.APPLIED
    assert registry.seq == 3
    assert owed(ledger, time) == [state(1).id], "what came and went unwritten leaves no debt"


def test_an_event_told_twice_is_old(registry: Registry, ledger: Ledger, time: ManualTime, state: State) -> None:
    registry.adopt(snapshot(0))
    registry.put(S1, 1, state(1))
    owed(ledger, time)
    assert registry.put(S1, 1, state(1, code="other")) is Reception.OLD
    assert registry.end(S1, 1, state(1).id) is Reception.OLD
    assert registry.get(state(1).id) == state(1)
    assert owed(ledger, time) == []


def test_a_late_start_does_not_revive_an_ended_runtime(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(0))
    registry.end(S1, 2, state(1).id)
    assert registry.put(S1, 1, state(1)) is Reception.OLD
    assert registry.get(state(1).id) is None
    assert registry.seq == 2, "the late event closed the gap"


def test_a_gap_stays_open_until_a_snapshot_closes_it(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(0))
    registry.put(S1, 2, state(2))
    registry.put(S1, 3, state(3))
    assert registry.seq == 0
    registry.adopt(snapshot(1, state(1)))
    assert registry.seq == 3, "what came after the snapshot is known already"
    assert {state(n).id for n in (1, 2, 3)} == {id_ for n in (1, 2, 3) if (id_ := state(n).id) and registry.get(id_)}


def test_a_snapshot_removes_what_it_does_not_show_unless_it_is_newer(
    registry: Registry, ledger: Ledger, time: ManualTime, state: State
) -> None:
    registry.adopt(snapshot(5, state(1), state(2)))
    owed(ledger, time)
    registry.put(S1, 9, state(3))
    registry.adopt(snapshot(8, state(2)))
    assert registry.get(state(1).id) is None
    assert registry.get(state(3).id) is not None, "it started after the snapshot"
    assert owed(ledger, time) == [state(3).id, state(1).id], "the unchanged one is not written again"


def test_a_snapshot_does_not_undo_a_newer_event(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(5, state(1), state(2)))
    registry.put(S1, 9, state(1, code="nested"))
    registry.end(S1, 10, state(2).id)
    registry.adopt(snapshot(8, state(1), state(2)))
    assert registry.get(state(1).id) == state(1, code="nested")
    assert registry.get(state(2).id) is None


def test_a_snapshot_older_than_what_is_known_changes_nothing(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(5, state(1)))
    registry.end(S1, 6, state(1).id)
    registry.adopt(snapshot(5, state(1)))
    assert registry.get(state(1).id) is None
    assert registry.seq == 6


def test_an_unreadable_row_of_a_snapshot_leaves_the_known_state(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(1, state(1)))
    registry.adopt(snapshot(2, unreadable=state(1).id))
    assert registry.get(state(1).id) == state(1)


def test_a_new_session_replaces_the_set_and_owes_only_its_own(
    registry: Registry, ledger: Ledger, time: ManualTime, state: State
) -> None:
    registry.adopt(snapshot(7, state(1)))
    registry.adopt(snapshot(0, state(2), session=S2))
    assert (registry.session, registry.seq) == (S2, 0)
    assert registry.get(state(1).id) is None
    assert owed(ledger, time) == [state(2).id]
    assert registry.put(S1, 8, state(1)) is Reception.FOREIGN


def test_runtimes_of_the_first_snapshot_may_be_in_the_table_so_their_end_is_owed(
    registry: Registry, ledger: Ledger, time: ManualTime, state: State
) -> None:
    registry.adopt(snapshot(0, state(1)))
    registry.end(S1, 1, state(1).id)
    assert owed(ledger, time) == [state(1).id]


def test_ended_runtimes_leave_nothing_in_memory(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(0))
    for number in range(200):
        registry.put(S1, 2 * number + 1, state(number))
        registry.end(S1, 2 * number + 2, state(number).id)
    assert registry._seqs == {}
    assert registry._ahead == set()


def test_a_gap_that_never_closes_does_not_fill_the_memory(registry: Registry, state: State) -> None:
    registry.adopt(snapshot(0))
    for seq in range(2, MAX_AHEAD + 4):
        registry.end(S1, seq, RuntimeId(f"r{seq}"))
    assert len(registry._ahead) <= MAX_AHEAD
    assert len(registry._seqs) <= MAX_AHEAD


def history(
    choices: list[tuple[int, bool]],
) -> tuple[MemoryEngine, list[Callable[[Registry], Reception]], list[Snapshot]]:
    """Run an engine; return it, its events (by seq from 1) and the snapshots it would have given (by seq from 0)."""
    engine = MemoryEngine()
    events: list[Event] = []
    snapshots = [Snapshot(engine.session, 0, {}, {})]
    for number, wants_end in choices:
        values = {"domain": "d", "type": "ivr", "name": "n", "starttime": "2019-11-05T08:36:40Z", "state": "running"}
        runtime_id = f"244f84aa-0624-e639-8061-{number:012x}"
        runtime = RuntimeState.model_validate({**values, "id": runtime_id, "code": f"c{engine.seq}"})
        if wants_end and runtime.id in engine.runtimes:
            seq = engine.end(runtime.id)
            events.append(lambda registry, seq=seq, id_=runtime.id: registry.end(S1, seq, id_))  # type: ignore[misc]  # bound now
        else:
            seq = engine.put(runtime)
            events.append(lambda registry, seq=seq, it=runtime: registry.put(S1, seq, it))  # type: ignore[misc]  # bound now
        snapshots.append(Snapshot(engine.session, seq, dict(engine.runtimes), {}))
    return engine, events, snapshots


@given(choices=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30), data=st.data())
def test_whatever_is_lost_doubled_or_late_one_snapshot_makes_the_set_the_engines(
    choices: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """The promise of level, not edge: events up to a snapshot may be lost, all may come doubled and in any order."""
    engine, events, snapshots = history(choices)
    registry = Registry(Ledger(ManualTime()))
    registry.adopt(snapshots[0])
    taken = data.draw(st.integers(0, engine.seq))
    lossy = data.draw(st.lists(st.sampled_from(events), max_size=40)) if events else []
    told = data.draw(st.permutations([*lossy, *events[taken:]]))
    cut = data.draw(st.integers(0, len(told)))
    for event in told[:cut]:
        event(registry)
    registry.adopt(snapshots[taken])
    for event in told[cut:]:
        event(registry)
    assert {id_: registry.get(id_) for id_ in engine.runtimes} == engine.runtimes
    assert len(registry) == len(engine.runtimes)
    assert registry.seq == engine.seq


@given(
    before=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30),
    choices=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=20),
    data=st.data(),
)
def test_after_a_fall_one_snapshot_makes_the_set_the_engines_and_owes_what_is_gone(
    before: list[tuple[int, bool]], choices: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """The session counts anew: events of the new count may come before the snapshot, after it, doubled, never."""
    past, old_events, old_snapshots = history(before)
    engine, events, snapshots = history(choices)
    time = ManualTime()
    ledger = Ledger(time)
    registry = Registry(ledger)
    registry.adopt(old_snapshots[data.draw(st.integers(0, past.seq))])
    for event in data.draw(st.lists(st.sampled_from(old_events), max_size=20)) if old_events else []:
        event(registry)
    in_table = set(registry.ids())
    while owed(ledger, time):
        pass
    registry.renumber()
    taken = data.draw(st.integers(0, engine.seq))
    lossy = data.draw(st.lists(st.sampled_from(events), max_size=20)) if events else []
    told = data.draw(st.permutations([*lossy, *events[taken:]]))
    cut = data.draw(st.integers(0, len(told)))
    for event in told[:cut]:
        event(registry)
    registry.adopt(snapshots[taken])
    for event in told[cut:]:
        event(registry)
    assert {id_: registry.get(id_) for id_ in registry.ids()} == engine.runtimes
    assert registry.seq == registry.latest == engine.seq
    assert in_table - engine.runtimes.keys() <= set(owed(ledger, time))
    assert registry._ahead == set()
    assert registry._seqs.keys() == engine.runtimes.keys()
