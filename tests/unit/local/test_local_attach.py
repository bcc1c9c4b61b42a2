"""What an agent of one's own is told to join a running stack, and how a wrong wish is refused."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ivr_agent import settings as agent_settings
from ivr_local import attach, state
from ivr_runtimes.errors import SettingsError

STACK: dict[str, Any] = {
    "sockets": "/run/ivr-local-x",
    "nodes": [{"site": "SITE1", "node": "site1_a@127.0.0.1"}],
    "agents": {
        "SITE1": {
            "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:20001",
            "AWS_SECRET_ACCESS_KEY": "lo'cal",
            "IVR_AGENT_SITE": "SITE1",
            "IVR_AGENT_RUNTIMES_TABLE": "st-runtimes",
            "IVR_AGENT_NODES_TABLE": "st-nodes",
            "IVR_AGENT_QUEUE_URL": "http://127.0.0.1:20001/000000000000/st-stop-SITE1",
            "IVR_AGENT_DEAD_LETTER_URL": "http://127.0.0.1:20001/000000000000/st-stop-SITE1-dlq",
            "IVR_AGENT_PEER_NETWORKS": "127.0.0.0/8,::1/128",
            "IVR_AGENT_PEER_SECRET": "s" * 64,
        }
    },
}


def told(node: str = "mine@127.0.0.1", **wish: str) -> dict[str, str]:
    return attach.environment(STACK, node=node, control_port=20_002, **({"site": "SITE1"} | wish))


def understood(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> agent_settings.Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return agent_settings.load(None, environment)


@pytest.mark.parametrize("node", ["mine@127.0.0.1", "mine@127.0.0.2", "mine@[::1]", f"{'m' * 64}@127.0.0.1"])
def test_the_agent_understands_its_settings(node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = understood(told(node), monkeypatch)
    assert (settings.node, settings.control_port, settings.engine_token) == (node, 20_002, None)
    assert attach.host_of_new(node, STACK) == settings.bind_host


@pytest.mark.parametrize("side", ["engine", "listen"])
def test_over_tcp_both_sides_share_a_token_that_is_the_same_whenever_it_is_printed(
    side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = {side: "http://127.0.0.1:9460"}
    token = understood(told(**wish), monkeypatch).token()
    assert token is not None
    assert len(token) == 64
    assert told(**wish)["IVR_AGENT_ENGINE_TOKEN"] == token != told("other@127.0.0.1", **wish)["IVR_AGENT_ENGINE_TOKEN"]


def test_each_attached_node_has_sockets_of_its_own() -> None:
    sockets = [told(f"{name}@127.0.0.{host}")[f"IVR_AGENT_{side}"] for name, host, side in _attached()]
    assert len(set(sockets)) == len(sockets)


def _attached() -> Iterator[tuple[str, int, str]]:
    for name in ("a", "b"):
        for host in (1, 2):
            yield name, host, "ENGINE"
            yield name, host, "LISTEN"


def test_a_shell_takes_the_lines_whatever_they_hold_and_forgets_what_leads_elsewhere() -> None:
    script = "\n".join([*attach.as_shell(told()), 'printf %s "$AWS_SECRET_ACCESS_KEY$AWS_PROFILE$HTTP_PROXY"'])
    environment = {"AWS_PROFILE": "mine", "HTTP_PROXY": "http://proxy.example"}
    command = ["/bin/sh", "-c", script]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == "lo'cal", ran.stderr


def test_an_unknown_site_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"--site SITE9: the stack has no such site; name one of SITE1"):
        told(site="SITE9")


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ("site1_a@127.0.0.1", "one of the stack's own nodes; choose another name"),
        ("mine", "not of the form name@127.0.0.1"),
        ("mi ne@127.0.0.1", "not of the form"),
        ("mine@127.0.0.1\n", "not of the form"),
        ("m\u00efne@127.0.0.1", "not of the form"),
        ("mine@10.0.0.1", "the host must be a loopback address"),
        ("mine@localhost", "the host must be a loopback address"),
        (f"{'m' * 65}@127.0.0.1", "not of the form"),
    ],
)
def test_a_node_that_cannot_be_new_here_is_refused(node: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        attach.host_of_new(node, STACK)


def test_without_a_running_stack_there_is_nothing_to_join(tmp_path: Path) -> None:
    """What a stack that has ended left behind leads nowhere: its secrets and ports are no more."""
    with pytest.raises(SettingsError, match="no stack runs there; start one with `make run`"):
        state.running(tmp_path / "3000")
    with state.opened(tmp_path) as opened:
        with pytest.raises(SettingsError, match="still starting"):
            state.running(tmp_path)
        opened.write(STACK)
        assert state.running(tmp_path) == STACK
    with pytest.raises(SettingsError, match="no stack runs there"):
        state.running(tmp_path)


def test_the_program_prints_nothing_to_run_when_it_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ivr_local.attach", "--port", "3999", "--site", "SITE1", "--node", "a@127.0.0.1"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"ivr_local.attach: {tmp_path}/.local/3999: no stack runs there")
