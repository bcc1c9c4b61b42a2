"""The agent's HTTP over Unix sockets: the engine side it asks, the agent side it serves, the control port."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from ivr_agent.address import listen
from ivr_agent.aws.clock import Clock
from ivr_agent.engine.client import Engine, EngineError, Refusal
from ivr_agent.engine.events import MAX_BODY, Events
from ivr_agent.engine.memory import MemoryEngine, run_inline
from ivr_agent.engine.probe import Probe
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.outcome import Outcome
from ivr_agent.peers.control import Control
from ivr_agent.peers.signature import HEADERS, Request, Signer
from ivr_agent.protocol.wire import MAX_NUMBER, MAX_TEXT, AgentProblem, RuntimeState, Snapshot
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_agent.stops.carry import Carrier
from ivr_engine.address import Address
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import RuntimeId, Session, StopId
from ivr_runtimes.model import Verb
from ivr_runtimes.stores.memory import MemoryStore

State = Callable[..., RuntimeState]
Serve = Callable[[web.Application], Awaitable[aiohttp.ClientSession]]
SECRET = "x" * 32
S1 = Session("s-1")


@asynccontextmanager
async def served(app: web.Application, path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with listen(Address(path=str(path))) as door:
        await web.SockSite(runner, door).start()
        async with aiohttp.ClientSession("http://agent", connector=aiohttp.UnixConnector(str(path))) as client:
            yield client
        await runner.cleanup()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serve an application until the test ends; returns a client of it."""
    async with AsyncExitStack() as stack:
        yield lambda app: stack.enter_async_context(served(app, tmp_path / "socket"))


# The agent side


@pytest.fixture
async def events(serve: Serve, registry: Registry, probe: Probe, metrics: Metrics) -> aiohttp.ClientSession:
    registry.adopt(Snapshot(S1, 0, {}, {}))
    probe.session = S1
    return await serve(Events(registry=registry, probe=probe, metrics=metrics).app)


async def test_an_engine_tells_of_a_start_and_an_end(
    events: aiohttp.ClientSession, registry: Registry, state: State
) -> None:
    path = f"/v1/runtimes/{state(1).id}"
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    assert (await events.put(path, json=body)).status == 204
    assert registry.get(state(1).id) == state(1)
    assert (await events.put(path, json=body)).status == 204, "told twice"
    assert (await events.delete(f"{path}?session=s-1&seq=2&stoptype=normal")).status == 204
    assert (len(registry), registry.seq) == (0, 2)


async def test_an_engine_with_much_to_tell_sends_batches(
    events: aiohttp.ClientSession, registry: Registry, metrics: Metrics, state: State
) -> None:
    starts = [{"seq": number, "runtime": state(number).model_dump(mode="json")} for number in range(1, 51)]
    end = {"seq": 51, "id": state(7).id, "stoptype": "stop"}
    body = {"session": "s-1", "events": [*starts, end]}
    assert (await events.post("/v1/events", json=body)).status == 204
    assert (len(registry), registry.seq, registry.get(state(7).id)) == (49, 51, None)
    assert (await events.post("/v1/events", json=body)).status == 204, "told twice"
    assert (len(registry), registry.seq) == (49, 51)
    assert b'ivr_agent_events_total{result="old"} 51.0' in metrics.text()


async def test_a_full_batch_of_the_longest_texts_is_taken(
    events: aiohttp.ClientSession, registry: Registry, state: State
) -> None:
    """The page allows 500 events, but over 1 MiB they were refused."""
    texts = dict.fromkeys(("type", "code", "name", "rootcode", "rootname"), "\N{TELEPHONE RECEIVER}" * MAX_TEXT)
    texts |= dict.fromkeys(("caller", "called", "call_id"), "\N{TELEPHONE RECEIVER}" * MAX_NUMBER)
    starts = [{"seq": number, "runtime": state(number, **texts).model_dump(mode="json")} for number in range(1, 501)]
    body = json.dumps({"session": "s-1", "events": starts}, ensure_ascii=False).encode()
    assert 3_200_000 < len(body) < MAX_BODY
    assert (await events.post("/v1/events", data=BytesIO(body))).status == 204
    assert len(registry) == 500


@pytest.mark.parametrize(
    ("method", "path", "extra", "status", "code"),
    [
        ("GET", "/v1/nothing", {}, 404, "not_found"),
        ("GET", "/v1/events", {}, 405, "method_not_allowed"),
        ("POST", "/v1/events", {"data": BytesIO(b"x" * (MAX_BODY + 1))}, 413, "too_large"),
        ("POST", "/v1/events", {"headers": {"Origin": "http://page"}}, 403, "origin_refused"),
        ("POST", "/v1/events", {"data": b"{}"}, 400, "invalid_event"),
    ],
)
async def test_every_error_of_the_agent_side_has_the_one_shape(
    events: aiohttp.ClientSession, method: str, path: str, extra: dict[str, Any], status: int, code: str
) -> None:
    answer = await events.request(method, path, **extra)
    told = AgentProblem.model_validate(await answer.json(), strict=True)
    assert (answer.status, told.error, told.session) == (status, code, "s-1")
    assert told.detail


async def test_an_error_names_no_session_while_none_is_known(
    serve: Serve, registry: Registry, probe: Probe, metrics: Metrics
) -> None:
    client = await serve(Events(registry=registry, probe=probe, metrics=metrics, token="t" * 16).app)
    answer = await client.post("/v1/events")
    assert (answer.status, (await answer.json()).keys()) == (401, {"error", "detail"})


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("field", ["type", "code", "name", "rootcode", "rootname"])
async def test_a_text_over_the_limit_is_refused_by_name(
    events: aiohttp.ClientSession, registry: Registry, state: State, field: str, *, batch: bool
) -> None:
    """Seven hundred names of 10 kB were more than the list of all runtimes may answer with: nobody saw anything."""
    runtime = state(1).model_dump(mode="json") | {field: "Ж" * (MAX_TEXT + 1)}
    event: dict[str, Any] = {"seq": 1, "runtime": runtime}
    if batch:
        answer = await events.post("/v1/events", json={"session": "s-1", "events": [event]})
    else:
        answer = await events.put(f"/v1/runtimes/{state(1).id}", json={"session": "s-1", **event})
    told = await answer.json()
    assert (answer.status, told["error"], len(registry)) == (400, "invalid_event", 0)
    assert f"runtime.{field}: String should have at most {MAX_TEXT} characters" in told["detail"]


async def test_the_letter_case_of_an_id_makes_no_other_runtime(
    events: aiohttp.ClientSession, registry: Registry, state: State
) -> None:
    """An engine that sent PUT in upper and DELETE in lower case left 87 runtimes in the list that had long ended."""
    id_ = state(1).id
    told = {**state(1).model_dump(mode="json"), "id": id_.upper()}
    body = {"session": "s-1", "seq": 1, "runtime": told}
    assert (await events.put(f"/v1/runtimes/{id_}", json=body)).status == 204, "path and body are one id"
    assert (registry.ids(), registry.spelling(S1, id_)) == ([id_], id_.upper())
    batch = [{"seq": 2, "runtime": {**told, "id": id_.title()}}, {"seq": 3, "id": id_.upper()}]
    assert (await events.post("/v1/events", json={"session": "s-1", "events": batch[:1]})).status == 204
    assert (registry.ids(), registry.spelling(S1, id_)) == ([id_], id_.title())
    assert (await events.post("/v1/events", json={"session": "s-1", "events": batch[1:]})).status == 204
    assert len(registry) == 0
    assert (await events.put(f"/v1/runtimes/{id_.upper()}", json={**body, "seq": 4})).status == 204
    assert (await events.delete(f"/v1/runtimes/{id_}?session=s-1&seq=5")).status == 204
    assert len(registry) == 0


async def test_an_end_of_a_runtime_that_nobody_knew_is_taken_and_counted(
    events: aiohttp.ClientSession, registry: Registry, metrics: Metrics, state: State
) -> None:
    assert (await events.delete(f"/v1/runtimes/{state(1).id}?session=s-1&seq=1")).status == 204
    body = {"session": "s-1", "events": [{"seq": 2, "id": state(2).id}]}
    assert (await events.post("/v1/events", json=body)).status == 204
    assert registry.seq == 2
    assert b'ivr_agent_events_total{result="unknown"} 2.0' in metrics.text()


@pytest.mark.parametrize(
    "wrong", [[], [{"seq": 1}], [{"seq": 2, "id": "x"}], [{"seq": -1, "id": "244f84aa-0624-e639-8061-000000000001"}]]
)
async def test_a_batch_with_one_wrong_event_is_refused_as_a_whole(
    events: aiohttp.ClientSession, registry: Registry, state: State, wrong: list[object]
) -> None:
    right = [{"seq": 1, "runtime": state(1).model_dump(mode="json")}] if wrong else []
    answer = await events.post("/v1/events", json={"session": "s-1", "events": [*right, *wrong]})
    assert (answer.status, (await answer.json())["error"]) == (400, "invalid_event")
    assert (len(registry), registry.seq) == (0, 0)


async def test_a_batch_of_an_unknown_session_makes_the_agent_ask(
    events: aiohttp.ClientSession, registry: Registry, probe: Probe, state: State
) -> None:
    body = {"session": "s-2", "events": [{"seq": 1, "runtime": state(1).model_dump(mode="json")}]}
    assert (await events.post("/v1/events", json=body)).status == 204
    assert len(registry) == 0
    assert probe.wake.is_set()


async def test_an_event_of_an_unknown_session_is_taken_and_the_engine_asked(
    events: aiohttp.ClientSession, registry: Registry, probe: Probe, state: State
) -> None:
    body = {"session": "s-2", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    assert (await events.put(f"/v1/runtimes/{state(1).id}", json=body)).status == 204
    assert len(registry) == 0
    assert probe.wake.is_set()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seq": "1"}, "seq"),
        ({"session": "bad session"}, "session"),
        ({"runtime": {}}, "runtime.id"),
        ({"runtime": None}, "runtime"),
    ],
)
async def test_an_invalid_event_is_refused_by_name(
    events: aiohttp.ClientSession, registry: Registry, state: State, change: dict[str, object], named: str
) -> None:
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json"), **change}
    answer = await events.put(f"/v1/runtimes/{state(1).id}", json=body)
    told = await answer.json()
    assert (answer.status, told["error"], told["session"]) == (400, "invalid_event", "s-1")
    assert named in told["detail"]
    assert len(registry) == 0


async def test_an_event_for_another_path_or_without_its_seq_is_refused(
    events: aiohttp.ClientSession, state: State
) -> None:
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    assert (await events.put(f"/v1/runtimes/{state(2).id}", json=body)).status == 400
    assert (await events.delete(f"/v1/runtimes/{state(1).id}?session=s-1")).status == 400


async def test_an_end_of_a_type_that_nobody_knows_yet_is_an_end(
    events: aiohttp.ClientSession, registry: Registry, state: State
) -> None:
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    assert (await events.put(f"/v1/runtimes/{state(1).id}", json=body)).status == 204
    assert (await events.delete(f"/v1/runtimes/{state(1).id}?session=s-1&seq=2&stoptype=hangup")).status == 204
    assert len(registry) == 0


@pytest.mark.parametrize("number", ["%2B2", "%202", "0_2", "2.0", "%C2%A02", "%EF%BC%92", "", "2%0A"])
async def test_a_seq_is_written_in_decimal_digits_and_nothing_else(
    events: aiohttp.ClientSession, registry: Registry, state: State, number: str
) -> None:
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    assert (await events.put(f"/v1/runtimes/{state(1).id}", json=body)).status == 204
    path = URL(f"/v1/runtimes/{state(1).id}?session=s-1&seq={number}", encoded=True)
    assert (await events.delete(path)).status == 400
    assert len(registry) == 1


async def test_scripts_and_browsers_cannot_pose_as_the_engine(
    events: aiohttp.ClientSession, registry: Registry, state: State
) -> None:
    body = {"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}
    answer = await events.put(f"/v1/runtimes/{state(1).id}", json=body, headers={"Origin": "http://evil"})
    assert answer.status == 403
    assert len(registry) == 0


@pytest.mark.parametrize(
    ("header", "status"), [(None, 401), ("Bearer wrong", 401), ("Bearer \udcff", 401), ("Bearer token-1", 204)]
)
async def test_over_tcp_every_event_must_carry_the_token(
    serve: Serve, registry: Registry, probe: Probe, metrics: Metrics, header: str | None, status: int
) -> None:
    client = await serve(Events(registry=registry, probe=probe, metrics=metrics, token="token-1").app)
    headers = {"Authorization": header} if header else {}
    path = "/v1/runtimes/244f84aa-0624-e639-8061-a80000000006?session=s-1&seq=1"
    assert (await client.delete(path, headers=headers)).status == status


RIGHT, WRONG = ("Authorization", "Bearer token-1"), ("Authorization", "Bearer wrong")


@pytest.mark.parametrize(
    ("headers", "status"), [([RIGHT, RIGHT], 204), ([RIGHT, WRONG], 401), ([WRONG, RIGHT], 401), ([WRONG, WRONG], 401)]
)
async def test_a_token_that_comes_twice_must_be_right_both_times(
    serve: Serve, registry: Registry, probe: Probe, metrics: Metrics, headers: list[tuple[str, str]], status: int
) -> None:
    """The first one counted: a second one, added on the way or before, went unseen."""
    client = await serve(Events(registry=registry, probe=probe, metrics=metrics, token="token-1").app)
    path = "/v1/runtimes/244f84aa-0624-e639-8061-a80000000006?session=s-1&seq=1"
    assert (await client.delete(path, headers=CIMultiDict(headers))).status == status


@pytest.mark.parametrize(
    "more",
    [
        [("Origin", "http://a"), ("Origin", "http://b")],
        [("Origin", ""), ("Origin", "")],
    ],
)
async def test_an_origin_is_refused_however_often_it_comes(
    events: aiohttp.ClientSession, more: list[tuple[str, str]]
) -> None:
    assert (await events.post("/v1/events", data=b"{}", headers=CIMultiDict(more))).status == 403


@pytest.mark.parametrize(("types", "status"), [([], 204), (["text/plain; charset=utf-16"], 204), (["a/b", "a/b"], 400)])
async def test_the_content_type_of_an_event_is_not_read_but_may_come_only_once(
    events: aiohttp.ClientSession, registry: Registry, state: State, types: list[str], status: int
) -> None:
    """RFC 9110 allows it once; the HTTP server refuses more, as it does for Host and Content-Length."""
    body = json.dumps({"session": "s-1", "seq": 1, "runtime": state(1).model_dump(mode="json")}).encode()
    headers = CIMultiDict(("Content-Type", kind) for kind in types)
    assert (await events.put(f"/v1/runtimes/{state(1).id}", data=body, headers=headers)).status == status
    assert len(registry) == (status == 204)


# The engine side


def engine_app(answers: dict[str, tuple[int, object]], seen: list[dict[str, object]]) -> web.Application:
    """Return an engine that gives a set answer per path and notes the bodies."""

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.json() if request.can_read_body else {})
        status, body = answers[request.path]
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Engine]:
    client = Engine(Address(path=str(tmp_path / "socket")))
    yield client
    await client.close()


async def test_status_snapshot_and_command_are_asked_as_the_protocol_says(
    serve: Serve, asked: Engine, state: State
) -> None:
    seen: list[dict[str, object]] = []
    command = f"/v1/runtimes/{state(1).id}/external_stop"
    answers: dict[str, tuple[int, object]] = {
        "/v1/status": (200, {"session": "s-1", "seq": 4}),
        "/v1/runtimes": (200, {"session": "s-1", "seq": 4, "runtimes": [state(1).model_dump(mode="json")]}),
        command: (200, {"session": "s-1", "state": "post_processing", "result": "acted"}),
    }
    await serve(engine_app(answers, seen))
    assert (await asked.status()).seq == 4
    assert (await asked.snapshot()).runtimes == {state(1).id: state(1)}
    answer = await asked.command(Verb.EXTERNAL_STOP, state(1).id, session=S1, stop_id=StopId("stop-1"))
    assert not isinstance(answer, Refusal)
    assert answer.result == "acted"
    assert seen[-1] == {"session": "s-1", "stop_id": "stop-1"}


@pytest.mark.parametrize(("status", "error"), [(404, "unknown_runtime"), (409, "session_mismatch")])
async def test_a_typed_no_is_an_answer(serve: Serve, asked: Engine, status: int, error: str) -> None:
    body = {"error": error, "session": "s-2", "detail": "no"}
    await serve(engine_app({"/v1/runtimes/r/terminate": (status, body)}, []))
    answer = await asked.command(Verb.TERMINATE, RuntimeId("r"), session=S1, stop_id=StopId("x"))
    assert answer == Refusal(error, Session("s-2"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {}),
        (404, {"error": "not_found", "session": "s-1"}),
        (400, {"error": "invalid_command", "session": "s-1"}),
        (500, {}),
        (302, {}),
        (200, {"session": "s-1", "state": "running", "result": "maybe"}),
    ],
)
async def test_any_other_answer_leaves_the_fate_unknown(
    serve: Serve, asked: Engine, status: int, body: dict[str, object]
) -> None:
    """A plain 404 of a wrong server must never be taken for 'it has ended'."""
    await serve(engine_app({"/v1/runtimes/r/terminate": (status, body)}, []))
    with pytest.raises(EngineError):
        await asked.command(Verb.TERMINATE, RuntimeId("r"), session=S1, stop_id=StopId("x"))


async def test_an_engine_that_is_not_there_or_speaks_nonsense_is_an_error(serve: Serve, asked: Engine) -> None:
    with pytest.raises(EngineError, match="no connection"):
        await asked.status()
    await serve(engine_app({"/v1/status": (200, []), "/v1/runtimes": (200, "x")}, []))
    with pytest.raises(EngineError, match="unreadable"):
        await asked.status()
    with pytest.raises(EngineError, match="unreadable"):
        await asked.snapshot()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"session": "s-1", "seq": "secret"}', "seq: "),
        (b'{"seq": 1}', "session: Field required"),
        (b'{"session": "\xff", "seq": 1', "body: Invalid JSON"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_told_by_its_faults_never_by_its_values(
    serve: Serve, asked: Engine, body: bytes, named: str
) -> None:
    """`unreadable: 1 faults` told an integrator nothing; values may be callers' data."""
    await serve(raw_app(body))
    with pytest.raises(EngineError, match=named) as status:
        await asked.status()
    with pytest.raises(EngineError, match=r"runtimes: Field required|no JSON") as snapshot:
        await asked.snapshot()
    assert "secret" not in f"{status.value}{snapshot.value}"


async def test_a_snapshot_nested_without_end_is_unreadable_and_no_defect(serve: Serve, asked: Engine) -> None:
    await serve(raw_app(b"[" * 200_000))
    with pytest.raises(EngineError, match="no JSON"):
        await asked.snapshot()


@pytest.mark.parametrize("status", [401, 403])
async def test_an_engine_that_refuses_the_agent_is_told_with_the_remedy(
    serve: Serve, asked: Engine, status: int
) -> None:
    await serve(engine_app({"/v1/status": (status, {"error": "unauthorized"})}, []))
    with pytest.raises(EngineError, match="engine_token"):
        await asked.status()


def raw_app(body: bytes) -> web.Application:
    """Serve an engine that answers status and snapshot with these bytes."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/status", answer)
    app.router.add_get("/v1/runtimes", answer)
    return app


async def test_who_is_refused_is_told_in_the_log(
    serve: Serve, registry: Registry, probe: Probe, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine with another token told all its events to nobody, and the agent's log said nothing."""
    client = await serve(Events(registry=registry, probe=probe, metrics=metrics, token="right").app)
    assert (await client.post("/v1/events", data=b"{}", headers={"Authorization": "Bearer wrong"})).status == 401
    assert (await client.post("/v1/events", data=b"{}", headers={"Origin": "http://page"})).status == 403
    told = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]
    assert [action for action, _ in told] == ["engine_refused", "origin_refused"]
    assert "engine_token" in told[0][1]["remedy"]
    assert not {"wrong", "right"} & set(str(told).split("'"))
    assert b'ivr_agent_events_total{result="unauthorized"} 1.0' in metrics.text()


# The control port


@pytest.fixture
def signer(clock: Clock) -> Signer:
    return Signer(SECRET, clock)


@pytest.fixture
async def control(  # fixtures
    serve: Serve,
    place: Place,
    probe: Probe,
    registry: Registry,
    engine: MemoryEngine,
    clock: Clock,
    health: Health,
    metrics: Metrics,
) -> aiohttp.ClientSession:
    await probe.step()
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
    return await serve(
        Control(
            place=place,
            agent_id="a-1",
            probe=probe,
            carrier=carrier,
            health=health,
            metrics=metrics,
            signer=Signer(SECRET, clock),
        ).app
    )


def signed(signer: Signer, command: Command, **changes: str) -> dict[str, str]:
    """Return the headers a peer sends with a command."""
    fields = {"node": command.node, "session": command.session, **changes}
    return signer.sign(Request(method="POST", path="/v1/commands", body=command.to_body().encode(), **fields))


async def test_a_peers_command_is_carried_out_and_its_outcome_told(
    control: aiohttp.ClientSession,
    engine: MemoryEngine,
    signer: Signer,
    command: Callable[..., Command],
    state: State,
) -> None:
    engine.put(state(6))
    answer = await control.post("/v1/commands", data=command(6).to_body(), headers=signed(signer, command(6)))
    assert (answer.status, await answer.json()) == (200, {"outcome": Outcome.ACTED})
    assert engine.commands == [(Verb.EXTERNAL_STOP, state(6).id, "stop-6")]


async def test_an_unsigned_or_repeated_request_is_refused(
    control: aiohttp.ClientSession, engine: MemoryEngine, signer: Signer, command: Callable[..., Command]
) -> None:
    body, headers = command(6).to_body(), signed(signer, command(6))
    assert (await control.post("/v1/commands", data=body)).status == 401
    assert (await control.post("/v1/commands", data=body, headers=headers)).status == 200
    assert (await control.post("/v1/commands", data=body, headers=headers)).status == 401
    assert (await control.post("/v1/commands", data=body, headers=headers | {"Origin": "http://evil"})).status == 403
    assert len(engine.commands) == 1


@pytest.mark.parametrize("name", HEADERS)
async def test_a_header_of_the_signature_comes_once(
    control: aiohttp.ClientSession,
    engine: MemoryEngine,
    signer: Signer,
    command: Callable[..., Command],
    name: str,
) -> None:
    """The first one counted, and a second one was seen by no check."""
    headers = CIMultiDict(signed(signer, command(6)))
    headers.add(name, headers[name])
    answer = await control.post("/v1/commands", data=command(6).to_body(), headers=headers)
    assert (answer.status, (await answer.json())["detail"]) == (401, f"{name} comes twice")
    assert engine.commands == []


@pytest.mark.parametrize("name", ["Origin", "Content-Type"])
async def test_the_control_port_refuses_an_origin_that_comes_twice_and_two_content_types(
    control: aiohttp.ClientSession,
    engine: MemoryEngine,
    signer: Signer,
    command: Callable[..., Command],
    name: str,
) -> None:
    headers = CIMultiDict([*signed(signer, command(6)).items(), (name, "a/b"), (name, "a/b")])
    answer = await control.post("/v1/commands", data=command(6).to_body(), headers=headers)
    assert answer.status == (403 if name == "Origin" else 400)
    assert engine.commands == []


async def test_an_accept_that_comes_twice_is_one_list(control: aiohttp.ClientSession) -> None:
    headers = CIMultiDict([("Accept", "text/html"), ("Accept", "application/openmetrics-text")])
    answer = await control.get("/metrics", headers=headers)
    assert answer.content_type == "application/openmetrics-text"


@pytest.mark.parametrize(
    "changes", [{"node": "site1_h8@192.168.0.12"}, {"session": "s-0"}, {"site": "SITE2"}], ids=lambda c: next(iter(c))
)
async def test_a_command_for_another_node_session_or_site_is_misdirected(
    control: aiohttp.ClientSession,
    engine: MemoryEngine,
    signer: Signer,
    command: Callable[..., Command],
    changes: dict[str, str],
) -> None:
    stop = command(6, **changes)
    assert (await control.post("/v1/commands", data=stop.to_body(), headers=signed(signer, stop))).status == 421
    assert engine.commands == []


async def test_addressee_and_command_must_agree(
    control: aiohttp.ClientSession, engine: MemoryEngine, signer: Signer, command: Callable[..., Command]
) -> None:
    stop = command(6, node="site1_h8@192.168.0.12")
    headers = signed(signer, stop, node="site1_h6@192.168.0.12")
    assert (await control.post("/v1/commands", data=stop.to_body(), headers=headers)).status == 421
    assert engine.commands == []


async def test_a_signed_body_that_is_no_command_is_refused(control: aiohttp.ClientSession, signer: Signer) -> None:
    request = Request(method="POST", path="/v1/commands", body=b"\xff", node="n@h", session="s-1")
    assert (await control.post("/v1/commands", data=b"\xff", headers=signer.sign(request))).status == 400


async def test_a_silent_engine_is_told_to_the_peer(
    control: aiohttp.ClientSession, engine: MemoryEngine, signer: Signer, command: Callable[..., Command]
) -> None:
    engine.down = True
    answer = await control.post("/v1/commands", data=command(6).to_body(), headers=signed(signer, command(6)))
    assert (answer.status, (await answer.json())["error"]) == (503, "undelivered")


async def test_health_says_which_side_is_down(control: aiohttp.ClientSession, health: Health) -> None:
    answer = await control.get("/healthz")
    assert (answer.status, await answer.json()) == (
        503,
        {"engine": "up", "aws": "down", "peers": "up", "unreadable_rows": 0, "agent_id": "a-1"},
    )
    health.aws = {"dynamodb": True, "sqs": True}
    health.peer("site1_h8@192.168.0.12", answered=False)
    answer = await control.get("/healthz")
    assert (answer.status, await answer.json()) == (
        200,
        {"engine": "up", "aws": "up", "peers": "down", "unreadable_rows": 0, "agent_id": "a-1"},
    )


async def test_metrics_are_prometheus_text(control: aiohttp.ClientSession) -> None:
    answer = await control.get("/metrics")
    assert answer.content_type == "text/plain"
    assert 'ivr_agent_stop_outcomes_total{outcome="expired"} 0.0' in await answer.text()


async def test_scrapers_of_openmetrics_get_the_stop_id_of_the_latest_stop(
    control: aiohttp.ClientSession, metrics: Metrics
) -> None:
    metrics.stopped(Outcome.ACTED, "stop-1", age_s=0.2)
    metrics.stopped(Outcome.ACTED, 'a"quoted\\stop', age_s=4.0)
    answer = await control.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert answer.content_type == "application/openmetrics-text"
    told = await answer.text()
    assert 'ivr_agent_stop_outcomes_total{outcome="acted"} 2.0 # {stop_id="a\\"quoted\\\\stop"} 1.0' in told
    assert "stop-1" not in told, "one exemplar per outcome: memory is bounded"
    assert 'ivr_agent_stop_age_seconds_bucket{le="0.25"} 1.0' in told
    assert told.endswith("# EOF\n")
    assert "stop_id" not in await (await control.get("/metrics")).text()
