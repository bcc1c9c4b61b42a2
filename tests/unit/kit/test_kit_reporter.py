import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ivr_engine.address import Address
from ivr_engine.model import Changed, Ended, Event, FullState, State, StopType
from ivr_engine.reporter import CAPACITY, MAX_EVENTS, Reporter

REFUSAL = '{"error":"invalid_event","detail":"quoted: Bearer something"}'


class Agent:
    """An agent side that keeps what it is told, and answers as it is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.status = 204
        self.wrong = 0
        self.taken: list[int] = []
        self.told: list[tuple[str, str, Any]] = []
        self.connections: set[int] = set()
        self.tokens: set[str | None] = set()

    async def take(self, request: web.Request) -> web.Response:
        self.connections.add(id(request.transport))
        self.tokens.add(request.headers.get("Authorization"))
        body = await request.json() if request.can_read_body else dict(request.query)
        self.told.append((request.method, request.path, body))
        seqs = [int(event["seq"]) for event in body.get("events", [body])]
        status = 400 if self.wrong in seqs else self.status
        self.taken += seqs if status == 204 else []
        return web.Response(status=status, text="" if status == 204 else REFUSAL)

    async def listen(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.path)).start()
        return runner

    @property
    def seqs(self) -> list[int]:
        return [int(event["seq"]) for _, _, body in self.told for event in body.get("events", [body])]

    @property
    def sizes(self) -> list[int]:
        return [len(body.get("events", [body])) for _, _, body in self.told]


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    agent = Agent(tmp_path / "agent.sock")
    runner = await agent.listen()
    yield agent
    await runner.cleanup()


Deliver = Callable[[Reporter], None]


@pytest.fixture
async def deliver(tmp_path: Path) -> AsyncIterator[Deliver]:
    tasks = []

    def begin(outbox: Reporter, token: str | None = None) -> None:
        tasks.append(asyncio.create_task(outbox.deliver(Address(path=str(tmp_path / "agent.sock")), token=token)))

    yield begin
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def outbox(*, time: Callable[[], float] = lambda: 0.0) -> Reporter:
    """A reporter of a time that stands still, or passes as a test says: nothing is too old on a slow machine."""
    return Reporter(session="session-1", time=time, give_up_s=3.0)


def changed(seq: int, runtime_id: str = "r1") -> Changed:
    return Changed(
        seq,
        FullState(
            id=runtime_id,
            domain="test.rootdomain.ru",
            type="ivr",
            code="player",
            name="TEST PLAY",
            starttime="2019-11-05T08:36:40Z",
            state=State.POST_PROCESSING,
            stoptype=StopType.STOP,
            stop_id="s1",
            rootcode=None,
            rootname=None,
            caller="+12025550143",
        ),
    )


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [getattr(record, "action", "") for record in caplog.records if record.name == "ivr_engine.reporter"]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def test_a_change_and_an_end_arrive_as_the_protocol_writes_them(agent: Agent, deliver: Deliver) -> None:
    box = outbox()
    deliver(box)
    box.put(changed(1))
    await until(lambda: len(agent.told) == 1)
    box.put(Ended(2, "r1", StopType.NORMAL))
    await until(lambda: len(agent.told) == 2)
    runtime = {
        "id": "r1",
        "domain": "test.rootdomain.ru",
        "type": "ivr",
        "code": "player",
        "name": "TEST PLAY",
        "starttime": "2019-11-05T08:36:40Z",
        "state": "post_processing",
        "stoptype": "stop",
        "stop_id": "s1",
        "rootcode": None,
        "rootname": None,
        "caller": "+12025550143",
        "called": None,
        "call_id": None,
    }
    assert agent.told == [
        ("PUT", "/v1/runtimes/r1", {"session": "session-1", "seq": 1, "runtime": runtime}),
        ("DELETE", "/v1/runtimes/r1", {"session": "session-1", "seq": "2", "stoptype": "normal"}),
    ]


async def test_what_waits_goes_together_as_the_protocol_writes_batches(agent: Agent, deliver: Deliver) -> None:
    """A batch costs both sides a fifth of what its events do one by one."""
    box = outbox()
    for seq in range(1, 1_101):
        box.put(changed(seq, f"r{seq}"))
    box.put(Ended(1_101, "r1", StopType.NORMAL))
    deliver(box)
    await until(lambda: not box._waiting)
    assert agent.sizes == [500, 500, 101]
    assert agent.seqs == list(range(1, 1_102))
    method, path, body = agent.told[-1]
    assert (method, path, body["session"]) == ("POST", "/v1/events", "session-1")
    assert body["events"][0].keys() == {"seq", "runtime"}
    assert body["events"][-1] == {"seq": 1_101, "id": "r1", "stoptype": "normal"}


async def test_one_wrong_event_of_many_is_found_and_the_others_arrive(agent: Agent, deliver: Deliver) -> None:
    """A batch is taken as a whole or not at all: what the agent refuses is halved until the wrong one stands alone."""
    agent.wrong = 70
    box = outbox()
    for seq in range(1, 101):
        box.put(changed(seq))
    deliver(box)
    await until(lambda: not box._waiting)
    assert agent.taken == [seq for seq in range(1, 101) if seq != 70]
    assert len(agent.told) < 40


async def test_another_session_lets_go_of_what_waits_of_the_one_before(agent: Agent, deliver: Deliver) -> None:
    box = outbox()
    box.put(changed(1))
    box.begin("session-2")
    box.put(changed(1, "r2"))
    deliver(box)
    await until(lambda: bool(agent.told))
    assert [(path, body["session"]) for _, path, body in agent.told] == [("/v1/runtimes/r2", "session-2")]


async def test_events_arrive_in_order_over_one_connection(agent: Agent, deliver: Deliver) -> None:
    box = outbox()
    deliver(box)
    for seq in range(1, 201):
        box.put(changed(seq, f"r{seq % 7}"))
        if seq % 20 == 0:
            await asyncio.sleep(0)
    await until(lambda: len(agent.seqs) == 200)
    assert agent.seqs == list(range(1, 201))
    assert len(agent.connections) == 1


async def test_an_agent_that_comes_back_in_time_misses_nothing(
    tmp_path: Path, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    box = outbox()
    deliver(box)
    box.put(changed(1))
    await until(lambda: "agent_unreachable" in actions(caplog))
    agent = Agent(tmp_path / "agent.sock")
    runner = await agent.listen()
    box.put(changed(2))
    await until(lambda: agent.seqs == [1, 2])
    await runner.cleanup()


async def test_events_too_old_are_dropped_and_later_ones_still_arrive(
    tmp_path: Path, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    now_s = 0.0
    box = outbox(time=lambda: now_s)
    deliver(box)
    box.put(changed(1))
    box.put(changed(2))
    await until(lambda: "agent_unreachable" in actions(caplog))
    now_s = 3.1
    await until(lambda: not box._waiting)
    agent = Agent(tmp_path / "agent.sock")
    runner = await agent.listen()
    box.put(changed(3))
    await until(lambda: bool(agent.told))
    assert agent.seqs == [3]
    await until(lambda: not box._waiting)
    assert [record.dropped for record in caplog.records if hasattr(record, "dropped")] == [2]
    await runner.cleanup()


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_an_agent_that_lets_nothing_in_is_as_one_that_is_away(
    agent: Agent, deliver: Deliver, status: int
) -> None:
    """With a wrong token each event was logged and lost; now they wait: set right in time, it misses nothing."""
    agent.status = status
    box = outbox()
    box.put(changed(1))
    deliver(box)
    await until(lambda: len(agent.told) >= 2)
    agent.status = 204
    await until(lambda: not box._waiting)
    assert set(agent.seqs) == {1}


async def test_a_refused_event_is_logged_and_does_not_hold_up_the_others(
    agent: Agent, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    agent.status = 400
    box = outbox()
    box.put(changed(1))
    box.put(changed(2))
    deliver(box)
    await until(lambda: not box._waiting)
    assert agent.seqs == [1, 2, 1, 2], "the batch, then each by itself: which of them is wrong?"
    refusals = [(r.action, r.seq) for r in caplog.records if hasattr(r, "action") and hasattr(r, "seq")]
    assert refusals == [("event_refused", 1), ("event_refused", 2)]
    assert "status 400 invalid_event" in caplog.text
    assert "quoted" not in caplog.text


async def test_an_agent_that_refuses_everything_fills_no_log(
    agent: Agent, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    """Where none of its events could be read, each of thousands was a line."""
    agent.status = 400
    box = outbox()
    for seq in range(1, 101):
        box.put(changed(seq))
    deliver(box)
    await until(lambda: not box._waiting)
    refusals = [r.__dict__["refused"] for r in caplog.records if getattr(r, "action", "") == "event_refused"]
    assert refusals == [1, 2, 4, 8, 16, 32, 64]


async def test_silence_is_logged_once_and_so_is_its_end(
    tmp_path: Path, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    box = outbox()
    box.put(changed(1))
    deliver(box)
    await until(lambda: "agent_unreachable" in actions(caplog))
    await asyncio.sleep(0.35)  # some tries more
    agent = Agent(tmp_path / "agent.sock")
    runner = await agent.listen()
    await until(lambda: not box._waiting)
    assert actions(caplog) == ["agent_unreachable", "agent_reachable"]
    await runner.cleanup()


async def test_a_full_outbox_lets_go_of_the_oldest() -> None:
    box = outbox()
    events: list[Event] = [changed(seq) for seq in range(1, CAPACITY + 11)]
    for event in events:
        box.put(event)
    assert len(box._waiting) == CAPACITY
    assert box._waiting[0][1] is events[10]


async def test_an_event_pushed_out_while_under_way_takes_no_other_with_it(agent: Agent) -> None:
    box = outbox()
    for seq in range(1, CAPACITY + 1):
        box.put(changed(seq))
    async with aiohttp.ClientSession("http://agent", connector=aiohttp.UnixConnector(str(agent.path))) as session:
        under_way = asyncio.create_task(box.step(session))
        await asyncio.sleep(0)
        box.put(changed(CAPACITY + 1))
        await under_way
    assert agent.seqs == list(range(1, MAX_EVENTS + 1))
    assert box._waiting[0][1].seq == MAX_EVENTS + 1


async def test_the_token_is_sent_when_there_is_one(agent: Agent, tmp_path: Path) -> None:
    box = outbox()
    box.put(changed(1))
    task = asyncio.create_task(box.deliver(Address(path=str(agent.path)), token="secret"))
    await until(lambda: bool(agent.told))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert agent.tokens == {"Bearer secret"}
