import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random

import pytest

from ivr_engine.model import Ack, Changed, Ended, Event, FullState, Result, State, StopType, UnknownRuntimeError
from ivr_sandbox.clock import VirtualTime
from ivr_sandbox.engine import Engine
from ivr_sandbox.numbers import draw

PLAIN = "{code: plain, name: Plain, main: [start, pause: {duration_s: 60}]}"
GOODBYE = """
code: goodbye
name: Goodbye
main: [start, pause: {duration_s: 60}]
post_processing:
  stop: [pause: {duration_s: 20}]
"""
NO_ANSWER = """
code: no_answer
name: No answer
main:
  - start
  - menu: {variable: v, choices: {1: 1}, wait_s: 5, timeout_probability: 1}
post_processing:
  timeout: [pause: {duration_s: 60}]
"""
CALLER = "{code: caller, name: Caller, main: [start, pause: {duration_s: 5}, run_script: {code: plain}]}"
AT_ONCE = "{code: at_once, name: At once, main: [start, pause: {duration_s: 60}], post_processing: {stop: [stop]}}"

MakeEngine = Callable[..., Engine]


def states(events: list[Event]) -> list[FullState]:
    return [event.state for event in events if isinstance(event, Changed)]


def ends(events: list[Event]) -> list[StopType]:
    return [event.stoptype for event in events if isinstance(event, Ended)]


def test_a_start_is_reported_in_full(make_engine: MakeEngine, events: list[Event], rng: Random) -> None:
    engine, drawn = make_engine(PLAIN), draw(deepcopy(rng), domain="test.rootdomain.ru", code="plain")
    runtime_id = engine.start("plain", domain="test.rootdomain.ru", rng=rng)
    assert runtime_id[8:] == "-0624-e639-8061-a80000000006"
    [event] = events
    assert isinstance(event, Changed)
    assert event.seq == 1
    assert event.state.as_json() == {
        "id": runtime_id,
        "domain": "test.rootdomain.ru",
        "type": "ivr",
        "code": "plain",
        "name": "Plain",
        "starttime": "2019-11-05T08:36:40Z",
        "state": "running",
        "stoptype": None,
        "stop_id": None,
        "rootcode": None,
        "rootname": None,
        "caller": drawn.caller,
        "called": drawn.called,
        "call_id": drawn.call_id,
    }


def test_a_runtime_that_comes_to_its_end_is_reported_and_gone(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(PLAIN)
    runtime_id = engine.start("plain", domain="d", rng=rng)
    time.pass_s(59.9)
    assert len(engine.snapshot().runtimes) == 1
    time.pass_s(0.2)
    assert events[-1] == Ended(2, runtime_id, StopType.NORMAL)
    assert engine.snapshot().runtimes == ()


def test_scripts_change_under_their_source(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(CALLER, PLAIN)
    engine.start("caller", domain="d", rng=rng)
    time.pass_s(100)
    shown = [(state.code, state.name, state.rootcode, state.rootname) for state in states(events)]
    assert shown == [
        ("caller", "Caller", None, None),
        ("plain", "Plain", "caller", "Caller"),
        ("caller", "Caller", None, None),
    ]


def test_the_root_is_the_source_script_at_every_depth(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    """Not the script that called: an operator looks for the menu that the call has dialled, however deep it is in."""
    outer = "{code: outer, name: Outer, main: [start, run_script: {code: caller}]}"
    make_engine(outer, CALLER, PLAIN).start("outer", domain="d", rng=rng)
    time.pass_s(100)
    shown = [(state.code, state.rootcode, state.rootname) for state in states(events)]
    inner = [("caller", "outer", "Outer"), ("plain", "outer", "Outer"), ("caller", "outer", "Outer")]
    assert shown == [("outer", None, None), *inner, ("outer", None, None)]


async def test_an_external_stop_without_a_branch_ends_the_runtime(
    make_engine: MakeEngine, events: list[Event], rng: Random
) -> None:
    engine = make_engine(PLAIN)
    runtime_id = engine.start("plain", domain="d", rng=rng)
    assert await engine.external_stop(runtime_id, stop_id="s1") == Ack(State.ENDED, Result.ACTED)
    assert events[-1] == Ended(2, runtime_id, StopType.STOP)
    with pytest.raises(UnknownRuntimeError):
        await engine.external_stop(runtime_id, stop_id="s1")


async def test_an_external_stop_hands_control_to_the_branch_which_lasts_to_the_end(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(GOODBYE)
    runtime_id = engine.start("goodbye", domain="d", rng=rng)
    assert await engine.external_stop(runtime_id, stop_id="s1") == Ack(State.POST_PROCESSING, Result.ACTED)
    shown = states(events)[-1]
    assert (events[-1].seq, shown.state, shown.stoptype, shown.stop_id) == (2, "post_processing", "stop", "s1")
    time.pass_s(19.9)
    assert ends(events) == []
    time.pass_s(0.2)
    assert ends(events) == [StopType.STOP]


async def test_a_branch_of_no_duration_is_acknowledged_as_ended(make_engine: MakeEngine, rng: Random) -> None:
    engine = make_engine(AT_ONCE)
    runtime_id = engine.start("at_once", domain="d", rng=rng)
    assert await engine.external_stop(runtime_id, stop_id="s1") == Ack(State.ENDED, Result.ACTED)


async def test_the_branch_is_that_of_the_executing_script_not_of_its_caller(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    outer = "{code: outer, name: O, main: [start, run_script: {code: plain}], post_processing: {stop: [stop]}}"
    engine = make_engine(outer, PLAIN)
    runtime_id = engine.start("outer", domain="d", rng=rng)
    assert (await engine.external_stop(runtime_id, stop_id="s1")).state is State.ENDED
    assert ends(events) == [StopType.STOP]


async def test_another_external_stop_during_the_branch_is_remembered_and_changes_nothing_else(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(GOODBYE)
    runtime_id = engine.start("goodbye", domain="d", rng=rng)
    await engine.external_stop(runtime_id, stop_id="s1")
    time.pass_s(10)
    assert await engine.external_stop(runtime_id, stop_id="s2") == Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
    assert states(events)[-1].stop_id == "s2"
    time.pass_s(10.1)
    assert ends(events) == [StopType.STOP]


@pytest.mark.parametrize("verb", ["external_stop", "terminate"])
@pytest.mark.parametrize("repeated", ["s1", "s2"])
async def test_a_command_with_a_known_id_is_a_no_op_whatever_its_verb(
    make_engine: MakeEngine, events: list[Event], rng: Random, verb: str, repeated: str
) -> None:
    """A client that repeats with the same key must never kill a goodbye, not even after another client's stop."""
    engine = make_engine(GOODBYE)
    runtime_id = engine.start("goodbye", domain="d", rng=rng)
    await engine.external_stop(runtime_id, stop_id="s1")
    await engine.external_stop(runtime_id, stop_id="s2")
    before = engine.seq, len(events)
    ack = await getattr(engine, verb)(runtime_id, stop_id=repeated)
    assert ack == Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
    assert (engine.seq, len(events)) == before
    assert engine.snapshot().runtimes[0].stop_id == "s2"


async def test_terminate_ends_the_branch_too(make_engine: MakeEngine, events: list[Event], rng: Random) -> None:
    engine = make_engine(GOODBYE)
    runtime_id = engine.start("goodbye", domain="d", rng=rng)
    await engine.external_stop(runtime_id, stop_id="s1")
    assert await engine.terminate(runtime_id, stop_id="s2") == Ack(State.ENDED, Result.ACTED)
    assert ends(events) == [StopType.STOP]
    with pytest.raises(UnknownRuntimeError):
        await engine.terminate(runtime_id, stop_id="s2")


async def test_terminate_ends_a_running_script_without_its_branch(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(GOODBYE)
    runtime_id = engine.start("goodbye", domain="d", rng=rng)
    assert await engine.terminate(runtime_id, stop_id="s1") == Ack(State.ENDED, Result.ACTED)
    assert time.waiting == 0
    assert len(states(events)) == 1


async def test_an_external_stop_ends_a_runtime_in_another_branch(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(NO_ANSWER)
    runtime_id = engine.start("no_answer", domain="d", rng=rng)
    time.pass_s(6)
    assert states(events)[-1].stoptype is StopType.TIMEOUT
    assert await engine.external_stop(runtime_id, stop_id="s1") == Ack(State.ENDED, Result.ACTED)


async def test_an_external_stop_switches_from_another_branch_to_its_own(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(NO_ANSWER + "  stop: [pause: {duration_s: 20}]\n")
    runtime_id = engine.start("no_answer", domain="d", rng=rng)
    time.pass_s(6)
    assert await engine.external_stop(runtime_id, stop_id="s1") == Ack(State.POST_PROCESSING, Result.ACTED)
    assert states(events)[-1].stoptype is StopType.STOP
    time.pass_s(20.1)
    assert ends(events) == [StopType.STOP]


@pytest.fixture
def delayed(make_engine: MakeEngine) -> Engine:
    return make_engine(GOODBYE, PLAIN, external_stop_delay_s=3.0)


async def test_a_delayed_branch_leaves_the_runtime_running_until_it_starts(
    delayed: Engine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    runtime_id = delayed.start("goodbye", domain="d", rng=rng)
    assert await delayed.external_stop(runtime_id, stop_id="s1") == Ack(State.RUNNING, Result.ACTED)
    assert [(s.state, s.stop_id) for s in states(events)] == [("running", None), ("running", "s1")]
    assert await delayed.external_stop(runtime_id, stop_id="s2") == Ack(State.RUNNING, Result.ALREADY_STOPPING)
    time.pass_s(3.1)
    assert (states(events)[-1].state, states(events)[-1].stop_id) == ("post_processing", "s2")
    time.pass_s(20)
    assert ends(events) == [StopType.STOP]


async def test_a_script_about_to_be_stopped_does_not_go_on(
    delayed: Engine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    """The acknowledgement promised the branch: the script must not come to its own end in the meantime."""
    runtime_id = delayed.start("goodbye", domain="d", rng=rng)
    time.pass_s(59)
    await delayed.external_stop(runtime_id, stop_id="s1")
    time.pass_s(3.1)
    assert states(events)[-1].stoptype is StopType.STOP


async def test_terminate_does_not_wait_for_a_delayed_branch(
    delayed: Engine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    runtime_id = delayed.start("goodbye", domain="d", rng=rng)
    await delayed.external_stop(runtime_id, stop_id="s1")
    assert (await delayed.terminate(runtime_id, stop_id="s2")).state is State.ENDED
    time.pass_s(100)
    assert ends(events) == [StopType.STOP]


async def test_the_delay_is_of_branches_only(delayed: Engine, rng: Random) -> None:
    runtime_id = delayed.start("plain", domain="d", rng=rng)
    assert (await delayed.external_stop(runtime_id, stop_id="s1")).state is State.ENDED


async def test_the_events_up_to_a_snapshots_seq_make_up_the_snapshot(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random
) -> None:
    engine = make_engine(CALLER, PLAIN, GOODBYE, NO_ANSWER)
    for step in range(200):
        engine.start(rng.choice(["caller", "plain", "goodbye", "no_answer"]), domain="d", rng=Random(step))  # noqa: S311  # a caller
        time.pass_s(rng.uniform(0, 3))
        known = engine.snapshot().runtimes
        if step % 2:
            await rng.choice([engine.external_stop, engine.terminate])(rng.choice(known).id, stop_id=f"s{step}")
        snapshot = engine.snapshot()
        assert [event.seq for event in events] == list(range(1, snapshot.seq + 1))
        assert {state.id: state for state in snapshot.runtimes} == replay(events)


def replay(events: list[Event]) -> dict[str, FullState]:
    rows: dict[str, FullState] = {}
    for event in events:
        if isinstance(event, Changed):
            rows[event.state.id] = event.state
        else:
            rows.pop(event.id)
    return rows


def test_calls_of_the_same_microsecond_get_ids_of_their_own(make_engine: MakeEngine, rng: Random) -> None:
    """Of 10,000 calls that begin at once, two had the same 32 random bits in one run of a hundred."""
    bits = iter([7, 7, 7, 8])
    engine = make_engine(PLAIN, random_bits=lambda _: next(bits))
    ids = [engine.start("plain", domain="d", rng=rng) for _ in range(2)]
    assert ids[0] != ids[1]
    assert len(engine.snapshot().runtimes) == 2


async def test_ten_thousand_runtimes_leave_nothing_behind(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, no_collection: None
) -> None:
    engine = make_engine(CALLER, PLAIN, GOODBYE)
    for number in range(10_000):
        engine.start(("caller", "goodbye")[number % 2], domain="d", rng=Random(number))  # noqa: S311  # a caller
    assert len({state.id for state in engine.snapshot().runtimes}) == 10_000
    interpreters = [weakref.ref(runtime.interpreter) for runtime in engine._runtimes.values()]
    for number, runtime in enumerate(engine.snapshot().runtimes):
        if number % 3 == 0:
            await engine.external_stop(runtime.id, stop_id="s")
        elif number % 3 == 1:
            await engine.terminate(runtime.id, stop_id="s")
    time.pass_s(70)
    assert engine.snapshot().runtimes == ()
    assert time.waiting == 0
    assert len(ends(events)) == 10_000
    assert [ref() for ref in interpreters if ref() is not None] == []


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Garbage collection off: what goes away then was in no cycle."""
    gc.disable()
    yield
    gc.enable()


def test_a_defect_in_one_runtime_ends_it_and_no_other(
    make_engine: MakeEngine, events: list[Event], time: VirtualTime, rng: Random, caplog: pytest.LogCaptureFixture
) -> None:
    """Loading refuses calls of unknown scripts; an engine that gets one all the same has a defect."""
    engine = make_engine(CALLER, GOODBYE)
    failing = engine.start("caller", domain="d", rng=rng)
    healthy = engine.start("goodbye", domain="d", rng=rng)
    with caplog.at_level(logging.ERROR):
        time.pass_s(6)
    assert events[-1] == Ended(3, failing, StopType.ERROR)
    assert [state.id for state in engine.snapshot().runtimes] == [healthy]
    assert [getattr(record, "action", None) for record in caplog.records] == ["runtime_failed"]
    with caplog.at_level(logging.ERROR):
        for _ in range(99):
            engine.start("caller", domain="d", rng=rng)
        time.pass_s(6)
    told = [record.__dict__["failed"] for record in caplog.records]
    assert told == [1, 2, 4, 8, 16, 32, 64], "a traceback of every call of a busy node would fill its disk"
