import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ivr_agent.aws.clock import CONFIRMATIONS, Clock
from ivr_agent.engine.memory import EPOCH_S, ManualTime, MemoryEngine, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.metrics import Metrics
from ivr_agent.outcome import Outcome, UndeliveredError
from ivr_agent.process.log import JsonLines
from ivr_agent.process.loop import NOT_OURS_S
from ivr_agent.protocol.wire import RuntimeState
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_agent.stops.carry import Carrier
from ivr_agent.stops.drain import MAX_IN_HAND, RETURN_MOST_S, VISIBILITY_S, Drain
from ivr_agent.stops.receipts import LINGER_S
from ivr_runtimes.command import DEADLINE_S, Command
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.model import Verb
from ivr_runtimes.ports import MAX_MESSAGES, Message
from ivr_runtimes.stores.memory import MemoryQueue, MemoryStore

MakeCommand = Callable[..., Command]
State = Callable[..., RuntimeState]


class WatchedQueue(MemoryQueue):
    """A queue on manual time that notes visibility changes, never waits, and is away while `down`."""

    def __init__(self, time: ManualTime) -> None:
        super().__init__(visibility_s=VISIBILITY_S, clock=time, wall=lambda: EPOCH_S + time.at_s)
        self.hidden: list[tuple[int, int]] = []
        self.down = False

    def receive(self, *, wait_s: int) -> list[Message]:
        if self.down:
            raise StoreUnavailableError(f"away, {wait_s}")
        return super().receive(wait_s=0)

    def set_visibility(self, receipts: Sequence[str], *, visibility_s: int) -> set[str]:
        self.hidden.append((len(receipts), visibility_s))
        return super().set_visibility(receipts, visibility_s=visibility_s)


class ScriptedCarrier:
    """Carries commands as the test says: `act` is awaited for each."""

    def __init__(self, act: Callable[[Command], Awaitable[Outcome]]) -> None:
        self._act = act

    async def carry(self, command: Command, *, queue_s: float | None) -> Outcome:
        assert queue_s is not None
        return await self._act(command)


@pytest.fixture
def queue(time: ManualTime) -> WatchedQueue:
    return WatchedQueue(time)


@pytest.fixture
def drain(
    place: Place,
    queue: WatchedQueue,
    engine: MemoryEngine,
    probe: Probe,
    registry: Registry,
    clock: Clock,
    metrics: Metrics,
) -> Drain:
    registry.session = engine.session
    carrier = Carrier(
        place=place,
        engine=engine,
        probe=probe,
        registry=registry,
        nodes=MemoryStore(),
        service=run_inline,
        clock=clock,
        forward=None,
    )
    return Drain(
        place=place,
        inbox=queue,
        polling=run_inline,
        service=run_inline,
        carrier=carrier,
        metrics=metrics,
        may_take=lambda: True,
        clock=clock,
        chance=lambda: 0.0,
    )


def carried_by(drain: Drain, act: Callable[[Command], Awaitable[Outcome]]) -> None:
    drain._carrier = ScriptedCarrier(act)  # type: ignore[assignment]  # only `carry` is called


async def pass_over(drain: Drain) -> None:
    """One step, and all the work it began."""
    await drain.step()
    while drain._work:
        await asyncio.gather(*drain._work, return_exceptions=True)
        await asyncio.sleep(0)


def lines(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, object]]:
    """Return the log's lines of that action, as they would be written."""
    written = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "ivr_agent"]
    return [line for line in written if line["action"] == action]


async def test_a_stop_is_carried_out_deleted_and_told(
    drain: Drain,
    queue: WatchedQueue,
    engine: MemoryEngine,
    command: MakeCommand,
    state: State,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ivr_agent")
    engine.put(state(6))
    queue.send(command(6))
    await pass_over(drain)
    assert len(queue) == 0
    (told,) = lines(caplog, "stop_outcome")
    assert told | {"time": ""} == {
        "time": "",
        "level": "info",
        "action": "stop_outcome",
        "outcome": "acted",
        "age_s": 0.0,
        "stop_id": "stop-6",
        "runtime_id": state(6).id,
        "domain": "test.rootdomain.ru",
        "requested_by": "operator-1",
        "reason": "the caller asked for it",
        "verb": "external_stop",
        "site": "SITE1",
        "node": "site1_h6@192.168.0.12",
    }


async def test_an_agent_that_does_not_speak_for_its_node_takes_nothing(
    drain: Drain, queue: WatchedQueue, engine: MemoryEngine, command: MakeCommand, state: State
) -> None:
    """A second agent of a node, restarted by its supervisor for ever, took the node's stops and put them back.

    Each time they came back later, up to 15 s.
    """
    drain._may_take = lambda: False
    engine.put(state(6))
    queue.send(command(6))
    assert await drain.step() == NOT_OURS_S
    (message,) = queue.receive(wait_s=0)
    assert message.receive_count == 1


async def test_a_stop_redelivered_after_a_crash_changes_nothing(
    drain: Drain, queue: WatchedQueue, engine: MemoryEngine, command: MakeCommand, state: State, metrics: Metrics
) -> None:
    engine.put(state(6))
    for _ in range(2):
        queue.send(command(6))
        await pass_over(drain)
    assert state(6).id in engine.runtimes, "its branch runs on"
    assert b'ivr_agent_stop_outcomes_total{outcome="already_stopping"} 1.0' in metrics.text()
    assert len(queue) == 0


async def test_an_undelivered_stop_stays_and_comes_back_ever_later_but_within_15_s(
    drain: Drain, queue: WatchedQueue, engine: MemoryEngine, command: MakeCommand, time: ManualTime
) -> None:
    engine.down = True
    queue.send(command(6))
    for _ in range(7):
        await pass_over(drain)
        time.pass_s(RETURN_MOST_S)
    assert [visible_s for _, visible_s in queue.hidden] == [1, 2, 4, 8, 15, 15, 15]
    engine.down = False
    await pass_over(drain)
    assert len(queue) == 0


async def test_each_return_tells_how_old_the_stop_is_and_of_which_site(
    drain: Drain,
    queue: WatchedQueue,
    engine: MemoryEngine,
    command: MakeCommand,
    time: ManualTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An alarm reads `age_s`: what came back a few times is in SQS's own metric of age no more."""
    engine.down = True
    queue.send(command(6))
    time.pass_s(121)
    await pass_over(drain)
    (told,) = lines(caplog, "stop_undelivered")
    assert (told["age_s"], told["site"], told["retry_in_s"]) == (pytest.approx(121, abs=2), "SITE1", 1)


async def test_an_expired_stop_is_dropped_and_alarmed(
    drain: Drain, queue: WatchedQueue, command: MakeCommand, time: ManualTime, caplog: pytest.LogCaptureFixture
) -> None:
    queue.send(command(6))
    time.pass_s(DEADLINE_S + 1)
    await pass_over(drain)
    assert [line["level"] for line in lines(caplog, "stop_outcome")] == ["error"]
    assert len(queue) == 0


async def test_a_stop_whose_deadline_is_in_doubt_goes_back_loudly(
    drain: Drain,
    queue: WatchedQueue,
    command: MakeCommand,
    metrics: Metrics,
    time: ManualTime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """AWS's answers tell a time two hours ahead of the host's and of the queue's: nothing is deleted by that time."""
    drain._carrier._clock = clock = Clock(monotonic=time, wall=lambda: EPOCH_S + time.at_s)
    queue.send(command(6))
    for _ in range(CONFIRMATIONS):
        clock.observe(EPOCH_S + 2 * DEADLINE_S)
    await pass_over(drain)
    assert (len(queue), queue.dead_letters) == (1, [])
    (line,) = lines(caplog, "deadline_in_doubt")
    assert (line["level"], line["stop_id"]) == ("error", "stop-6")
    assert metrics.registry.get_sample_value("ivr_agent_deadlines_in_doubt_total") == 1
    assert len(lines(caplog, "stop_undelivered")) == 1


@pytest.mark.parametrize("body", ["rubbish", "{}", '{"v": 2}'])
async def test_an_unreadable_body_goes_to_the_dead_letters(
    drain: Drain, queue: WatchedQueue, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue.put(body)
    await pass_over(drain)
    assert queue.dead_letters == [body]
    assert len(queue) == 0
    assert [line["level"] for line in lines(caplog, "dead_letter")] == ["error"]


async def test_a_command_of_another_site_goes_to_the_dead_letters(
    drain: Drain, queue: WatchedQueue, engine: MemoryEngine, command: MakeCommand
) -> None:
    stop = command(6, site="SITE2")
    queue.send(stop)
    await pass_over(drain)
    assert queue.dead_letters == [stop.to_body()]
    assert engine.commands == []


async def test_a_dead_letter_that_cannot_be_sent_is_not_lost(drain: Drain, queue: WatchedQueue) -> None:
    def away(message: Message) -> None:
        raise StoreUnavailableError(f"away: {message.message_id}")

    queue.dead_letter = away  # type: ignore[method-assign]  # the dead-letter queue is away
    queue.put("rubbish")
    await pass_over(drain)
    assert len(queue) == 1


async def test_runtimes_are_served_in_parallel_but_one_runtime_in_turn(
    drain: Drain, queue: WatchedQueue, command: MakeCommand
) -> None:
    running: list[str] = []
    together: list[set[str]] = []

    async def act(stop: Command) -> Outcome:
        running.append(stop.runtime_id)
        assert running.count(stop.runtime_id) == 1
        together.append(set(running))
        await asyncio.sleep(0.01)
        running.remove(stop.runtime_id)
        return Outcome.ACTED

    carried_by(drain, act)
    for number, stop_id in ((1, "a"), (2, "b"), (1, "c"), (2, "d")):
        queue.send(command(number, stop_id=stop_id))
    await pass_over(drain)
    assert len(queue) == 0
    assert max(map(len, together)) == 2


async def test_one_stuck_stop_does_not_hold_up_the_others_and_stays_hidden(
    drain: Drain, queue: WatchedQueue, command: MakeCommand, time: ManualTime
) -> None:
    go_on = asyncio.Event()

    async def act(stop: Command) -> Outcome:
        if stop.stop_id == "stop-1":
            await go_on.wait()
        return Outcome.ACTED

    carried_by(drain, act)
    for number in range(1, 31):
        queue.send(command(number))
    for _ in range(8):
        await drain.step()
        while len(drain._in_hand) > 1:  # noqa: ASYNC110  # the drain's own timers bring it about
            await asyncio.sleep(LINGER_S)
        await drain.extend()
        time.pass_s(VISIBILITY_S - 1)
    assert len(queue) == 1, "received once, and never by another agent"
    assert {count for count, _ in queue.hidden} == {1}
    go_on.set()
    await pass_over(drain)
    assert len(queue) == 0


async def test_no_more_is_taken_in_hand_than_can_be_held(
    drain: Drain, queue: WatchedQueue, command: MakeCommand
) -> None:
    async def act(_: Command) -> Outcome:
        await asyncio.sleep(60)
        return Outcome.ACTED

    carried_by(drain, act)
    for number in range(2 * MAX_IN_HAND):
        queue.send(command(number))
    for _ in range(MAX_IN_HAND // MAX_MESSAGES):
        await drain.step()
    stuck = asyncio.create_task(drain.step())
    await asyncio.sleep(0.01)
    assert len(drain._in_hand) == MAX_IN_HAND
    await drain.wind_down(0.0)
    await stuck


async def test_at_the_end_work_in_hand_is_finished_and_the_rest_handed_back_at_once(
    drain: Drain, queue: WatchedQueue, command: MakeCommand
) -> None:
    async def act(stop: Command) -> Outcome:
        await asyncio.sleep(0.01 if stop.stop_id == "stop-1" else 60)
        return Outcome.ACTED

    carried_by(drain, act)
    queue.send(command(1))
    queue.send(command(2))
    await drain.step()
    await drain.wind_down(1.0)
    (handed_back,) = queue.receive(wait_s=0)
    assert json.loads(handed_back.body)["stop_id"] == "stop-2"


async def test_what_is_being_handed_back_is_not_hidden_again(
    drain: Drain, queue: WatchedQueue, command: MakeCommand
) -> None:
    """An extension that crossed the hand-back hid the messages for another 15 s from those who could carry them."""

    async def act(_: Command) -> Outcome:
        await asyncio.sleep(60)
        return Outcome.ACTED

    carried_by(drain, act)
    queue.send(command(1))
    await drain.step()
    ending = asyncio.create_task(drain.wind_down(0.01))
    await asyncio.sleep(0)
    await drain.extend()
    await ending
    assert queue.hidden == [(1, 0)]


async def test_what_the_last_poll_brings_is_handed_back(
    drain: Drain, queue: WatchedQueue, engine: MemoryEngine, command: MakeCommand
) -> None:
    async def slow_poll(call: Callable[..., list[Message]], *, wait_s: int) -> list[Message]:
        messages = call(wait_s=wait_s)
        await drain.wind_down(0.0)
        return messages

    drain._polling = slow_poll  # type: ignore[assignment]  # the end comes while the poll is under way
    queue.send(command(1))
    await drain.step()
    assert queue.hidden == [(1, 0)]
    assert engine.commands == []


async def test_a_queue_that_is_away_is_asked_again_with_growing_waits(drain: Drain, queue: WatchedQueue) -> None:
    queue.down = True
    waits = [await drain.step() for _ in range(7)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    queue.down = False
    assert await drain.step() is None


async def test_a_defect_in_one_stop_lets_go_of_it(
    drain: Drain, queue: WatchedQueue, command: MakeCommand, caplog: pytest.LogCaptureFixture, time: ManualTime
) -> None:
    async def act(_: Command) -> Outcome:
        raise ZeroDivisionError

    carried_by(drain, act)
    queue.send(command(1, verb=Verb.TERMINATE))
    await pass_over(drain)
    assert drain._in_hand == {}
    assert lines(caplog, "stop_failed")
    time.pass_s(VISIBILITY_S)
    assert len(queue.receive(wait_s=0)) == 1


async def test_a_message_that_cannot_be_put_back_comes_back_by_itself(
    drain: Drain, queue: WatchedQueue, command: MakeCommand, time: ManualTime
) -> None:
    async def act(_: Command) -> Outcome:
        raise UndeliveredError("no peer")

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("away")

    carried_by(drain, act)
    drain._service = away  # type: ignore[assignment]  # SQS is away by now
    queue.send(command(1))
    await pass_over(drain)
    time.pass_s(VISIBILITY_S)
    assert len(queue.receive(wait_s=0)) == 1
