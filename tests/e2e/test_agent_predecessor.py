"""The question whether a node's former agent is gone, asked over real connections."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing

import pytest
from aiohttp import web

from ivr_agent.lease import predecessor
from ivr_agent.lease.predecessor import at_home
from ivr_runtimes.identifiers import NodeName, Session, Site
from ivr_runtimes.model import Node

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

HOST = "127.0.0.1"
Listen = Callable[[object], Awaitable[int]]


def row(port: int, agent_id: str = "before") -> Node:
    return Node(
        site=Site("SITE1"),
        node=NodeName(f"n@{HOST}"),
        session=Session("s"),
        lease_until_s=0.0,
        agent_id=agent_id,
        control_port=port,
        agent_version="1",
        started_at="2019-11-05T08:36:40Z",
    )


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Serve a health page on a free port; return the port."""
    runners: list[web.AppRunner] = []

    async def listen(page: object) -> int:
        async def healthz(_: web.Request) -> web.Response:
            if page is None:
                await asyncio.sleep(60)
            return web.json_response(page, status=503)

        app = web.Application()
        app.router.add_get("/healthz", healthz)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        return int(runner.addresses[0][1])

    yield listen
    for runner in runners:
        await runner.cleanup()


async def test_who_had_our_port_is_gone() -> None:
    assert await at_home(HOST, 9470)(row(9470))


async def test_who_listens_no_longer_is_gone() -> None:
    with closing(socket.socket()) as free:
        free.bind((HOST, 0))
        assert await at_home(HOST, 1)(row(free.getsockname()[1]))


async def test_whose_port_another_agent_has_is_gone(listen: Listen) -> None:
    port = await listen({"engine": "up", "agent_id": "neighbour"})
    assert await at_home(HOST, 1)(row(port))


async def test_who_answers_lives(listen: Listen) -> None:
    port = await listen({"engine": "down", "agent_id": "before"})
    assert not await at_home(HOST, 1)(row(port))


@pytest.mark.parametrize("page", [{"engine": "up"}, {"agent_id": 3}, [], None])
async def test_who_cannot_be_told_may_live(listen: Listen, page: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of an earlier version, another program, or one too busy to answer."""
    monkeypatch.setattr(predecessor, "ANSWER_WITHIN_S", 0.2)
    assert not await at_home(HOST, 1)(row(await listen(page)))


async def test_a_host_that_does_not_exist_proves_nothing() -> None:
    assert not await at_home("host.invalid", 1)(row(9470))
