from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from ivr_engine.server import application
from ivr_sandbox.engine import Engine

GOODBYE = """
code: goodbye
name: Прощание
main: [start, pause: {duration_s: 60}]
post_processing:
  stop: [pause: {duration_s: 20}]
"""


async def served(engine: Engine, path: Path, *, token: str | None = None) -> web.AppRunner:
    runner = web.AppRunner(application(engine, token=token), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    return runner


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine(GOODBYE)


@pytest.fixture
async def client(engine: Engine, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = await served(engine, path := tmp_path / "e.sock")
    async with aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(str(path))) as client:
        yield client
    await runner.cleanup()


@pytest.fixture
def runtime_id(engine: Engine, rng: Random) -> str:
    return engine.start("goodbye", domain="test.rootdomain.ru", rng=rng)


async def ask(client: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
    async with client.request(method, path, **more) as answer:
        return answer.status, await answer.json()


async def command(client: aiohttp.ClientSession, path: str, **body: Any) -> tuple[int, Any]:
    return await ask(client, f"/v1/runtimes/{path}", "POST", json={"session": "session-1", "stop_id": "s1"} | body)


async def test_status_tells_session_and_seq(client: aiohttp.ClientSession, runtime_id: str) -> None:
    assert await ask(client, "/v1/status") == (200, {"session": "session-1", "seq": 1})


async def test_the_snapshot_holds_every_runtime_in_full(
    client: aiohttp.ClientSession, engine: Engine, runtime_id: str
) -> None:
    status, body = await ask(client, "/v1/runtimes")
    assert (status, body["session"], body["seq"]) == (200, "session-1", 1)
    assert body["runtimes"] == [state.as_json() for state in engine.snapshot().runtimes]
    assert list(body["runtimes"][0])[:4] == ["id", "domain", "type", "code"]
    assert body["runtimes"][0]["name"] == "Прощание"


async def test_commands_answer_with_the_state_after_them(client: aiohttp.ClientSession, runtime_id: str) -> None:
    stop, kill = f"{runtime_id}/external_stop", f"{runtime_id}/terminate"
    acted = {"session": "session-1", "state": "post_processing", "result": "acted"}
    assert await command(client, stop) == (200, acted)
    assert await command(client, stop) == (200, acted | {"result": "already_stopping"})
    assert await command(client, kill) == (200, acted | {"result": "already_stopping"})
    assert await command(client, kill, stop_id="s2") == (200, acted | {"state": "ended"})
    status, body = await command(client, kill, stop_id="s2")
    assert (status, body["error"], body["session"]) == (404, "unknown_runtime", "session-1")


async def test_a_command_for_another_session_is_refused_before_it_is_looked_up(
    client: aiohttp.ClientSession, engine: Engine, runtime_id: str
) -> None:
    for target in (runtime_id, "never-was"):
        status, body = await command(client, f"{target}/terminate", session="session-0")
        assert (status, body["error"], body["session"]) == (409, "session_mismatch", "session-1")
    assert engine.seq == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "body: Invalid JSON"),
        (b"[]", "body: "),
        (b'{"session": "session-1"}', "stop_id: Field required"),
        (b'{"session": "session-1", "stop_id": 7}', "stop_id: "),
        (b'{"session": "session-1", "stop_id": ""}', "stop_id: "),
        (b'{"session": "session-1", "stop_id": "two words"}', "stop_id: "),
        (b'{"session": "a b", "stop_id": "s1"}', "session: "),
    ],
)
async def test_a_wrong_body_is_refused_and_changes_nothing(
    client: aiohttp.ClientSession, engine: Engine, runtime_id: str, body: bytes, told: str
) -> None:
    for verb in ("external_stop", "terminate"):
        status, answer = await ask(client, f"/v1/runtimes/{runtime_id}/{verb}", "POST", data=body)
        assert (status, answer["error"]) == (400, "invalid_command")
        assert told in answer["detail"]
    assert engine.seq == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v2/status", 404, "not_found"),
        ("POST", "/v1/status", 405, "method_not_allowed"),
        ("GET", "/v1/runtimes/x/terminate", 405, "method_not_allowed"),
    ],
)
async def test_every_error_has_the_protocols_shape(
    client: aiohttp.ClientSession, method: str, path: str, status: int, error: str
) -> None:
    assert await ask(client, path, method) == (
        status,
        {"error": error, "session": "session-1", "detail": f"{method} {path}"},
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null", ""])
async def test_a_request_with_an_origin_is_refused_whatever_it_asks(
    client: aiohttp.ClientSession, engine: Engine, runtime_id: str, origin: str
) -> None:
    headers = {"Origin": origin}
    for method, path in (("GET", "/v1/status"), ("POST", f"/v1/runtimes/{runtime_id}/terminate")):
        body = {"session": "session-1", "stop_id": "s1"}
        status, answer = await ask(client, path, method, headers=headers, json=body)
        assert (status, answer["error"]) == (403, "origin_refused")
    assert engine.seq == 1


@pytest.mark.parametrize(
    ("given", "status"),
    [(("Bearer secret", "Bearer secret"), 200), (("Bearer secret", "Bearer x"), 401), (("x", "Bearer secret"), 401)],
)
async def test_a_token_that_comes_twice_must_be_right_both_times(
    engine: Engine, tmp_path: Path, given: tuple[str, str], status: int
) -> None:
    runner = await served(engine, path := tmp_path / "e.sock", token="secret")
    async with aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(str(path))) as client:
        headers = CIMultiDict(("Authorization", value) for value in given)
        assert (await ask(client, "/v1/status", headers=headers))[0] == status
    await runner.cleanup()


async def test_an_origin_that_comes_twice_is_refused(client: aiohttp.ClientSession) -> None:
    origins = CIMultiDict([("Origin", "null"), ("Origin", "")])
    assert (await ask(client, "/v1/status", headers=origins))[0] == 403


@pytest.mark.parametrize(("types", "status"), [(["text/plain"], 200), (["application/json", "application/json"], 400)])
async def test_the_content_type_of_a_command_is_not_read_but_may_come_only_once(
    client: aiohttp.ClientSession, engine: Engine, runtime_id: str, types: list[str], status: int
) -> None:
    body = b'{"session": "session-1", "stop_id": "s1"}'
    headers = CIMultiDict(("Content-Type", kind) for kind in types)
    answer = await client.post(f"/v1/runtimes/{runtime_id}/external_stop", data=body, headers=headers)
    assert (answer.status, engine.seq > 1) == (status, status == 200)


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer secret2", "Basic secret", "secret", "Bearer sécret"])
async def test_with_a_token_every_request_must_carry_it(engine: Engine, tmp_path: Path, given: str | None) -> None:
    runner = await served(engine, path := tmp_path / "e.sock", token="secret")
    async with aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(str(path))) as client:
        status, body = await ask(client, "/v1/status", headers={"Authorization": given} if given else {})
        assert (status, body["error"]) == (401, "unauthorized")
        assert (await ask(client, "/v1/status", headers={"Authorization": "Bearer secret"}))[0] == 200
    await runner.cleanup()
