"""Where commands for peers may go. How they get there over TCP is shown by tests/e2e/test_agent_process.py."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ivr_agent.aws.clock import Clock
from ivr_agent.engine.memory import ManualTime
from ivr_agent.health import PEER_MEMORY_S, Health
from ivr_agent.outcome import Outcome, UndeliveredError
from ivr_agent.peers.peers import Peers
from ivr_agent.peers.signature import Signer
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import NodeName, Session, Site
from ivr_runtimes.model import Node


@pytest.fixture
async def peers(clock: Clock, health: Health) -> AsyncIterator[Peers]:
    networks = (ip_network("192.168.0.0/24"), ip_network("fd00::/8"))
    peers = Peers(networks=networks, signer=Signer("x" * 32, clock), health=health)
    yield peers
    await peers.close()


def peer(host: str) -> Node:
    return Node(
        site=Site("SITE1"),
        node=NodeName(f"h8@{host}"),
        session=Session("s-8"),
        lease_until_s=0.0,
        agent_id="b",
        control_port=9470,
        agent_version="1",
        started_at="2019-11-05T08:36:40Z",
    )


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "::1", "169.254.169.254"])
async def test_nothing_is_sent_outside_the_peer_networks(
    peers: Peers, health: Health, command: Callable[..., Command], host: str
) -> None:
    with pytest.raises(UndeliveredError, match="peer_networks"):
        await peers(command(6), peer(host))
    assert health.peers_up, "it was not even tried"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"])  # noqa: S104  # nothing is bound
async def test_a_forged_row_never_leads_an_agent_to_its_own_machine(
    clock: Clock, health: Health, command: Callable[..., Command], host: str
) -> None:
    """With networks of 0.0.0.0/0 a row of node `x@127.0.0.1` had every agent post to what listens beside it."""
    peers = Peers(networks=(ip_network("0.0.0.0/0"), ip_network("::/0")), signer=Signer("x" * 32, clock), health=health)
    with pytest.raises(UndeliveredError, match="peer_networks"):
        await peers(command(6), peer(host))
    await peers.close()


@pytest.mark.parametrize(("host", "url"), [("192.168.0.12", "192.168.0.12"), ("[fd00::1]", "[fd00::1]")])
async def test_what_was_checked_is_what_is_called(peers: Peers, host: str, url: str) -> None:
    assert await peers._allowed_hosts(peer(host)) == [url]


async def test_of_several_addresses_those_in_the_networks_are_called(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ips = ["127.0.1.1", "192.168.0.8", "10.0.0.8", "192.168.0.8", "fd00::8%eth0", "192.168.0.9"]

    async def found(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", (ip, 9470)) for ip in ips]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    assert await peers._allowed_hosts(peer("h8.example")) == ["192.168.0.8", "[fd00::8]", "192.168.0.9"]


async def test_a_resolver_that_hangs_does_not_hold_a_command_for_ever(
    peers: Peers, command: Callable[..., Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up of a peer's name was outside any time limit, and a hundred such commands stopped the drain."""

    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("ivr_agent.peers.peers.TIMEOUT_S", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    with pytest.raises(UndeliveredError, match="does not answer"):
        await peers(command(6), peer("h8.example"))


async def test_a_lost_peer_is_told_until_it_answers_or_is_forgotten(health: Health, time: ManualTime) -> None:
    health.peer("a", answered=False)
    health.peer("b", answered=False)
    assert not health.peers_up
    health.peer("a", answered=True)
    assert not health.peers_up
    time.pass_s(PEER_MEMORY_S)
    assert health.peers_up


@pytest.fixture
async def near(clock: Clock, health: Health, tmp_path: Path) -> AsyncIterator[Peers]:
    """The client of an agent, with a Unix socket in place of the peer's port."""
    peers = Peers(networks=(ip_network("192.168.0.0/24"),), signer=Signer("x" * 32, clock), health=health)
    await peers.close()
    peers._http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "peer")))
    yield peers
    await peers.close()


@asynccontextmanager
async def answering(folder: Path, status: int, body: object) -> AsyncIterator[Node]:
    """Run a peer that answers every command so."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/v1/commands", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "peer")).start()
    yield peer("192.168.0.12")
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, {"error": "bad_signature"}, "peer_secret"),
        (403, {"error": "origin_refused"}, "proxy"),
        (404, {"error": "not_found"}, "single_node_site"),
        (421, {"error": "misdirected"}, "control_port"),
        (400, {"error": "invalid_command"}, "what listens there"),
        (500, {}, "what listens there"),
        (302, {}, "what listens there"),
        (200, {"hello": "world"}, "what listens there"),
    ],
)
async def test_a_peer_that_takes_no_commands_from_us_is_lost_and_the_log_says_what_to_do(
    near: Peers,
    tmp_path: Path,
    health: Health,
    command: Callable[..., Command],
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: object,
    remedy: str,
) -> None:
    """A wrong `peer_secret` was 59 answers 401 and stops that came 10 s late, while health said `peers: up`."""
    async with answering(tmp_path, status, body) as node:
        with pytest.raises(UndeliveredError, match=remedy):
            await near(command(6), node)
    assert not health.peers_up
    (line,) = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "peer_refuses"]
    assert (line["peer"], line["status"]) == (node.node, status)
    assert remedy in line["remedy"]


@pytest.mark.parametrize(("status", "body"), [(200, {"outcome": "acted"}), (503, {"error": "undelivered"})])
async def test_a_peer_that_takes_commands_is_there_even_when_its_engine_is_away(
    near: Peers, tmp_path: Path, health: Health, command: Callable[..., Command], status: int, body: object
) -> None:
    async with answering(tmp_path, status, body) as node:
        health.peer(node.node, answered=False)
        with nullcontext() if status == 200 else pytest.raises(UndeliveredError, match="engine"):
            assert await near(command(6), node) is Outcome.ACTED
    assert health.peers_up
