"""What agents make of nodes' names, with the real resolver: where one listens, and which peers are lost."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from emulators import CREDENTIALS
from ivr_agent.agent import doors
from ivr_agent.aws.clock import Clock
from ivr_agent.health import Health
from ivr_agent.outcome import Outcome, UndeliveredError
from ivr_agent.peers.peers import COMMANDS_PATH, Peers
from ivr_agent.peers.signature import Signer
from ivr_agent.settings import Settings
from ivr_runtimes.command import Command
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.identifiers import NodeName, Session, Site
from ivr_runtimes.model import Node, Verb

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

NAME = "localhost"
"""A name that leads to loopback on every machine, as a host's own name does on Debian (127.0.1.1 in /etc/hosts)."""


NO_LINKS: Mapping[str, str] = {}


def values(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "site": "SITE1",
        "node": f"h6@{NAME}",
        "runtimes_table": "runtimes",
        "nodes_table": "nodes",
        "queue_url": "http://127.0.0.1:9/stop-SITE1",
        "dead_letter_url": "http://127.0.0.1:9/stop-SITE1-dlq",
        "engine": f"unix:{folder}/engine",
        "listen": f"unix:{folder}/agent",
        "control_port": 0,
        "peer_networks": "10.0.0.0/8",
        "peer_secret": "p" * 32,
    } | changes


def ended(folder: Path, *, links: Mapping[str, str] = NO_LINKS, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run an agent that is to end by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IVR_AGENT_")}
    ours = {f"IVR_AGENT_{name.upper()}": str(value) for name, value in values(folder, **changes).items()}
    return subprocess.run(
        [sys.executable, "-m", "ivr_agent"],
        env={**kept, **CREDENTIALS, **ours, **links},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "node: its host localhost leads to "),
        ({"peer_networks": "0.0.0.0/0,::/0"}, "node: its host localhost leads to "),
        ({"node": "h6@127.1"}, "node: its host 127.1 leads to 127.0.0.1"),
        ({"node": "h6@a..b"}, "node: Value error, the host is no address"),
        ({"node": f"h6@{'x' * 64}"}, "node: Value error, the host is no address"),
        ({"control_host": "a..b"}, "control_host: Value error, the host is no address"),
    ],
)
def test_a_node_that_no_peer_could_reach_ends_with_2_and_the_remedy(
    tmp_path: Path, changes: dict[str, str], told: str
) -> None:
    """It started, listened on loopback, and every stop by way of another node's agent was lost."""
    end = ended(tmp_path, **changes)
    assert end.returncode == 2
    assert told in end.stderr
    assert "Traceback" not in end.stderr
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_found_ends_with_3_for_the_resolver_may_come_later(tmp_path: Path) -> None:
    end = ended(tmp_path, node="h6@no-such-host.invalid")
    assert end.returncode == 3
    assert "Traceback" not in end.stderr


def test_service_links_are_named_once_and_keep_nothing_from_starting(tmp_path: Path) -> None:
    """A Service named `ivr-agent` ended the agent of every pod of its namespace with exit 2."""
    links = {"IVR_AGENT_PORT": "tcp://10.0.0.1:9470", "IVR_AGENT_SERVICE_HOST": "10.0.0.1"}
    end = ended(tmp_path, links=links, node="h6@no-such-host.invalid")
    assert end.returncode == 3, "it came as far as its addresses"
    told = json.loads(end.stderr.splitlines()[0])
    assert (told["action"], told["variables"]) == ("service_links_ignored", sorted(links))
    assert "enableServiceLinks: false" in told["remedy"]
    assert end.stderr.count("service_links_ignored") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"peer_networks": "127.0.0.0/8,::1/128"},
        {"single_node_site": True},
        {"control_host": "127.0.0.1"},
        {"node": "h6@127.0.0.1", "peer_networks": "127.0.0.1/32"},
        {"node": "h6@127.1", "peer_networks": "127.0.0.1/32"},
    ],
)
def test_loopback_serves_where_peers_are_there_or_none_are(tmp_path: Path, changes: dict[str, Any]) -> None:
    with doors(Settings(**values(tmp_path, **changes))) as opened:
        assert opened.control_port


def test_of_several_addresses_one_in_the_networks_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's /etc/hosts names the host 127.0.1.1 before its own address."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: leads_to("127.0.1.1", "127.0.0.2", "127.0.0.3"))
    with doors(Settings(**values(tmp_path, peer_networks="127.0.0.2/31"))) as opened:
        assert opened.control.getsockname()[0] == "127.0.0.2"
    told = r"leads to 127\.0\.1\.1, 127\.0\.0\.2, 127\.0\.0\.3, in none of peer_networks"
    with pytest.raises(SettingsError, match=told), doors(Settings(**values(tmp_path))):
        pass


def leads_to(*ips: str, port: int = 0) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]


@pytest.fixture
def health() -> Health:
    return Health(Clock().monotonic)


@pytest.fixture
async def peers(health: Health) -> AsyncIterator[Peers]:
    peers = Peers(networks=(ip_network("127.0.0.0/8"),), signer=Signer("x" * 32, Clock()), health=health)
    yield peers
    await peers.close()


@pytest.fixture
def command() -> Command:
    return Command(
        stop_id="stop-6",
        verb=Verb.EXTERNAL_STOP,
        site="SITE1",
        node="h8@h",
        session="s-8",
        runtime_id="244f84aa-0624-e639-8061-a80000000006",
        domain="test.rootdomain.ru",
        requested_by="operator-1",
        accepted_at_s=0.0,
        deadline_s=1.0,
    )


def peer(host: str, port: int = 9470) -> Node:
    return Node(
        site=Site("SITE1"),
        node=NodeName(f"h8@{host}"),
        session=Session("s-8"),
        lease_until_s=0.0,
        agent_id="b",
        control_port=port,
        agent_version="1",
        started_at="2019-11-05T08:36:40Z",
    )


@pytest.mark.parametrize("host", ["a..b", ".", "x" * 64, f"{'x' * 64}.example", "a:b", "no-such-host.invalid"])
async def test_a_peer_whose_name_leads_nowhere_is_lost(
    peers: Peers, health: Health, command: Command, host: str
) -> None:
    """A name with an empty label, or one of 64, raises UnicodeError: no log told of the stop, so no alarm saw it."""
    with pytest.raises(UndeliveredError, match="does not answer"):
        await peers(command, peer(host))
    assert not health.peers_up


@pytest.mark.parametrize("port", [-1, 65_536, 2**70])
@pytest.mark.parametrize("host", ["127.0.0.1", NAME])
async def test_a_row_without_a_possible_port_is_a_stop_undelivered(
    peers: Peers, command: Command, port: int, host: str
) -> None:
    with pytest.raises(UndeliveredError):
        await peers(command, peer(host, port))


async def test_the_next_of_a_peer_s_addresses_is_tried_when_one_takes_no_connection(
    peers: Peers, health: Health, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def acted(_: web.Request) -> web.Response:
        return web.json_response({"outcome": "acted"})

    app = web.Application()
    app.router.add_post(COMMANDS_PATH, acted)
    runner = web.AppRunner(app)
    await runner.setup()
    door = socket.create_server(("127.0.0.2", 0))  # the site closes it
    await web.SockSite(runner, door).start()
    port = door.getsockname()[1]
    found = leads_to("127.0.1.1", "127.0.0.2", port=port)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert await peers(command, peer("h8.example", port)) is Outcome.ACTED
    assert health.peers_up
    await runner.cleanup()
