"""Callers' numbers go through the agent to the table, and nowhere else: no log line, metric or answer holds one."""

import json
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from botocore.exceptions import ClientError, ParamValidationError

from ivr_agent.aws.clock import Clock
from ivr_agent.engine.client import Engine
from ivr_agent.engine.events import Events
from ivr_agent.engine.memory import ManualTime, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.process.loop import _guarded
from ivr_agent.process.repeats import Repeats
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.flush import Flush
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_engine.address import Address, listening
from ivr_runtimes.identifiers import Domain, RuntimeId, Session
from ivr_runtimes.ports import WriteBatch
from ivr_runtimes.stores.boto import call
from ivr_runtimes.stores.memory import MemoryStore

State = Callable[..., RuntimeState]
S1 = Session("s-1")
MARK = "QZX"
"""Part of every number here, and of nothing else."""

NUMBERS = {"caller": f"+1{MARK}202", "called": f"sip:{MARK}@pbx", "call_id": f"{MARK}-7"}
LONG = MARK * 50
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "another member": {"name": None},
    "another member of a number's value": {"state": NUMBERS["caller"], "stoptype": 7},
    "too long": {"caller": LONG},
    "not a text": {"called": [NUMBERS["called"]], "call_id": {MARK: MARK}},
    "a lone surrogate": {"call_id": f"{MARK}\ud800"},
    "everything": {"id": MARK, "domain": f"{MARK} {MARK}", "starttime": MARK, "caller": LONG, "stop_id": f"{MARK} x"},
}


@pytest.fixture
def told(repeats: Repeats, written: StringIO, metrics: Metrics) -> Callable[[], str]:
    """Return all that the agent has logged at level debug, and its metrics."""
    assert repeats is not None
    return lambda: written.getvalue() + metrics.text().decode()


def body(state: State, number: int, fault: str) -> dict[str, Any]:
    return {**state(number, **NUMBERS).model_dump(mode="json"), **FAULTS[fault]}


@pytest.fixture
async def agent(registry: Registry, probe: Probe, metrics: Metrics, tmp_path: Path) -> AsyncIterator[Any]:
    """The agent side, and a client of it."""
    registry.adopt(Snapshot(S1, 0, {}, {}))
    runner = web.AppRunner(Events(registry=registry, probe=probe, metrics=metrics).app, shutdown_timeout=0.1)
    await runner.setup()
    with listening(Address(path=f"{tmp_path}/a")) as door:
        await web.SockSite(runner, door).start()
        async with aiohttp.ClientSession("http://a", connector=aiohttp.UnixConnector(f"{tmp_path}/a")) as client:
            yield client
        await runner.cleanup()


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_event_is_taken_or_refused_without_a_word_of_its_numbers(
    agent: aiohttp.ClientSession, registry: Registry, state: State, told: Callable[[], str], fault: str
) -> None:
    one = {"session": "s-1", "seq": 1, "runtime": body(state, 1, fault)}
    many = {"session": "s-1", "events": [{"seq": 2, "runtime": body(state, 2, fault)}]}
    cut = json.dumps(many)[:-40]
    answers = [
        await agent.put(f"/v1/runtimes/{state(1).id}", json=one),
        await agent.post("/v1/events", json=many),
        await agent.post("/v1/events", data=cut.encode()),
        await agent.put(f"/v1/runtimes/{state(9).id}", json=one),
    ]
    right = 204 if fault == "none" else 400
    assert [answer.status for answer in answers] == [right, right, 400, 400]
    assert len(registry) == (2 if fault == "none" else 0)
    assert not [answer for answer in answers if MARK in await answer.text() + str(answer.headers)]
    assert '"action": "invalid_event"' in told()
    assert MARK not in told()


def engine_side(snapshot: bytes) -> web.Application:
    """An engine that tells this snapshot."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b'{"session": "s-1", "seq": 5}' if request.path == "/v1/status" else snapshot)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


@pytest.mark.parametrize("fault", [*FAULTS, "no JSON", "no snapshot"])
async def test_a_snapshot_is_read_or_passed_over_without_a_word_of_its_numbers(  # the probe's parts
    registry: Registry,
    health: Health,
    metrics: Metrics,
    state: State,
    told: Callable[[], str],
    tmp_path: Path,
    fault: str,
) -> None:
    rows = [body(state, number, fault if fault in FAULTS else "none") for number in (1, 2)]
    text = json.dumps({"session": "s-1", "seq": MARK if fault == "no snapshot" else 5, "runtimes": rows})
    app = engine_side(text[: -30 if fault == "no JSON" else None].encode())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    engine = Engine(Address(path=f"{tmp_path}/e"))
    with listening(Address(path=f"{tmp_path}/e")) as door:
        await web.SockSite(runner, door).start()
        await Probe(engine=engine, registry=registry, health=health, metrics=metrics).step()
        await engine.close()
        await runner.cleanup()
    assert len(registry) == (2 if fault == "none" else 0)
    assert {"none": '"snapshot"', "no JSON": "snapshot_failed", "no snapshot": "snapshot_failed"}.get(
        fault, "row_unreadable"
    ) in told()
    assert MARK not in told()


def quoting(error: Exception) -> Callable[..., Any]:
    """A client's operation that fails with an error whose text quotes the rows."""

    def method(**_: Any) -> Any:
        raise error

    return method


QUOTE = f"Item: {NUMBERS}"
REFUSALS: dict[str, Exception] = {
    "refused": ClientError({"Error": {"Code": "ValidationException", "Message": QUOTE}}, "BatchWriteItem"),
    "throttled": ClientError({"Error": {"Code": "ThrottlingException", "Message": QUOTE}}, "BatchWriteItem"),
    "denied": ClientError({"Error": {"Code": "AccessDeniedException", "Message": QUOTE}}, "BatchWriteItem"),
    "invalid": ParamValidationError(report=QUOTE),
}


class Table(MemoryStore):
    """A table that fails, at first."""

    def __init__(self, failing: Callable[..., Any]) -> None:
        super().__init__()
        self.failing: Callable[..., Any] | None = failing

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        if self.failing is not None:
            self.failing(batch)
        return super().write(batch)


def broken(batch: WriteBatch) -> None:
    raise ValueError(f"{batch} {batch.puts[0].caller}")


@pytest.mark.parametrize("fault", [*REFUSALS, "a defect"])
async def test_a_write_that_fails_is_told_without_its_rows_and_the_numbers_reach_the_table_later(  # parts of the loop
    place: Place,
    registry: Registry,
    ledger: Ledger,
    clock: Clock,
    time: ManualTime,
    metrics: Metrics,
    state: State,
    told: Callable[[], str],
    fault: str,
) -> None:
    table = Table(broken if fault == "a defect" else lambda _: call(quoting(REFUSALS[fault])))
    registry.adopt(Snapshot(S1, 0, {}, {}))
    flush = Flush(
        place=place,
        registry=registry,
        ledger=ledger,
        table=table,
        service=run_inline,
        clock=clock,
        metrics=metrics,
        may_write=lambda: True,
        lifetime_s=1.0,
    )
    for number in (1, 2):
        registry.put(S1, number, state(number, **NUMBERS))
    for again in (False, True):
        if again:
            table.failing = None
        for _ in range(100):
            await _guarded(flush.step, None)
            time.pass_s(10)
    assert {"a defect": "loop_failed", "refused": "row_refused", "invalid": "row_refused"}.get(
        fault, "write_failed"
    ) in told()
    assert MARK not in told()
    rows = list(table.of_domain(Domain("test.rootdomain.ru")))
    assert [(row.caller, row.called, row.call_id) for row in rows] == [tuple(NUMBERS.values())] * 2
