"""The engine side of a bridge: an engine that may be away, or begin anew, behind the same server."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ivr_engine.address import Address
from ivr_engine.model import MAX_AGE_S, Ack, AwayError, Result, Snapshot, State, UnknownRuntimeError
from ivr_engine.server import application, serving


class Bridge:
    """A bridge to an engine that is away, if `session` is None or `away` is set."""

    def __init__(self) -> None:
        self.session: str | None = "life-1"
        self.answered_s: float | None = 0.25
        self.away = False

    def snapshot(self) -> Snapshot:
        if self.session is None or self.away:
            raise AwayError
        return Snapshot(self.session, 7, ())

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        if self.away:
            raise AwayError("the engine has hung up")
        if (runtime_id, stop_id) != ("r1", "k"):
            raise UnknownRuntimeError(runtime_id)
        return Ack(State.ENDED, Result.ACTED)

    terminate = external_stop


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


@pytest.fixture
async def client(bridge: Bridge, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    path = f"{tmp_path}/e"
    async with (
        serving(application(bridge, token=None), Address(path=path)),
        aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(path)) as client,
    ):
        yield client


async def ask(client: aiohttp.ClientSession, path: str, **body: str) -> tuple[int, Any]:
    async with client.request("POST" if body else "GET", path, json=body or None) as answer:
        return answer.status, await answer.json()


async def stop(client: aiohttp.ClientSession, session: str) -> tuple[int, Any]:
    return await ask(client, "/v1/runtimes/r1/external_stop", session=session, stop_id="k")


async def test_the_status_tells_how_long_ago_the_engine_behind_it_answered(
    client: aiohttp.ClientSession, bridge: Bridge
) -> None:
    assert await ask(client, "/v1/status") == (200, {"session": "life-1", "seq": 7, "age_s": 0.25})
    bridge.answered_s = math.inf
    assert (await ask(client, "/v1/status"))[1]["age_s"] == MAX_AGE_S, "it has not answered yet"
    bridge.answered_s = None
    assert await ask(client, "/v1/status") == (200, {"session": "life-1", "seq": 7})


async def test_the_session_is_that_of_the_moment(client: aiohttp.ClientSession, bridge: Bridge) -> None:
    """The engine behind a bridge starts anew, and the bridge goes on."""
    assert (await stop(client, "life-1"))[0] == 200
    bridge.session = "life-2"
    status, body = await stop(client, "life-1")
    assert (status, body["error"], body["session"]) == (409, "session_mismatch", "life-2")
    assert (await stop(client, "life-2"))[1]["session"] == "life-2"


@pytest.mark.parametrize("session", [None, "life-1"])
async def test_a_bridge_without_its_engine_answers_nothing_from_memory(
    client: aiohttp.ClientSession, bridge: Bridge, session: str | None
) -> None:
    bridge.session, bridge.away = session, True
    for answer in (await ask(client, "/v1/status"), await ask(client, "/v1/runtimes"), await stop(client, "life-1")):
        status, body = answer
        assert (status, body["error"], body.get("session")) == (503, "engine_away", session)
