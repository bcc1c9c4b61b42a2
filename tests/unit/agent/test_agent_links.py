"""Variables that Kubernetes makes of a Service's name, for the agent and for the sandbox."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivr_agent.settings import load
from ivr_engine.links import is_link, links_in
from ivr_sandbox.settings import Settings

SERVICES = ["", "_CONTROL", "_ENGINE", "_LISTEN", "_NODE", "_PEER", "_QUEUE", "_SITE_2"]


def made_of(service: str, *, address: str = "10.0.0.1", port: int = 9470, kind: str = "tcp") -> dict[str, str]:
    """Return what a Service of one named port brings (kubelet, pkg/kubelet/envvars)."""
    host = f"[{address}]" if ":" in address else address
    url, first = f"{kind}://{host}:{port}", f"{service}_PORT_{port}_{kind.upper()}"
    return {
        f"{service}_SERVICE_HOST": address,
        f"{service}_SERVICE_PORT": str(port),
        f"{service}_SERVICE_PORT_HTTP_METRICS": str(port),
        f"{service}_PORT": url,
        first: url,
        f"{first}_PROTO": kind,
        f"{first}_PORT": str(port),
        f"{first}_ADDR": address,
    }


@pytest.mark.parametrize("kind", ["tcp", "udp", "sctp"])
@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_every_variable_of_a_service_is_a_link(kind: str, address: str) -> None:
    for name, value in made_of("IVR_AGENT", kind=kind, address=address).items():
        assert is_link(name, value), name
        assert is_link(name.lower(), value), "how pydantic passes names on"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IVR_AGENT_CONTROL_PORT", "9470"),
        ("IVR_AGENT_CONTROL_PORT", ""),
        ("IVR_AGENT_CONTROL_PORT", None),
        ("IVR_AGENT_CONTROL_PORT", "http://10.0.0.1:9470"),
        ("IVR_AGENT_SERVICE", "x"),
        ("IVR_AGENT_PORT_9470", "tcp://10.0.0.1:9470"),
        ("IVR_AGENT_ENGINE", "tcp://10.0.0.1:9470"),
        ("IVR_AGENT_PORT_X_TCP", "tcp://10.0.0.1:9470"),
        ("IVR_AGENT_\u017fERVICE_HOST", "10.0.0.1"),  # its upper case is an S
        ("IVR_AGENT_PORT_\u0669_TCP", "tcp://10.0.0.1:9470"),
    ],
)
def test_nothing_else_is(name: str, value: str | None) -> None:
    assert not is_link(name, value)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    def put(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


AGENT = """
site = "SITE1"
node = "h6@10.0.0.6"
runtimes_table = "runtimes"
nodes_table = "nodes"
queue_url = "http://h/stop-SITE1"
dead_letter_url = "http://h/stop-SITE1-dlq"
engine = "unix:/run/engine"
listen = "unix:/run/agent"
single_node_site = true
control_port = 9999
"""


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["tcp", "udp", "sctp"])
def test_a_link_never_sets_or_overwrites_a_setting_of_the_agent(
    environment: Any, tmp_path: Path, service: str, kind: str
) -> None:
    """A Service named `ivr-agent` ended every pod's agent with exit 2; `ivr-agent-control` took its port away."""
    file = tmp_path / "agent.toml"
    file.write_text(AGENT)
    before = load(file, os.environ)
    linked = made_of(f"IVR_AGENT{service}", kind=kind, port=80)
    environment(linked)
    assert load(file, os.environ) == before
    assert links_in(os.environ, "IVR_AGENT_") == sorted(linked)


def test_the_default_holds_where_the_file_says_nothing(environment: Any, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(AGENT.replace("control_port = 9999", ""))
    environment(made_of("IVR_AGENT_CONTROL"))
    assert load(file, os.environ).control_port == 9470


@pytest.mark.parametrize("service", ["", "_AGENT", "_LISTEN", "_NODE"])
def test_a_link_never_sets_or_overwrites_a_setting_of_the_sandbox(
    environment: Any, tmp_path: Path, service: str
) -> None:
    file = tmp_path / "sandbox.toml"
    file.write_text(f'node = "n@h"\nnode_number = 6\nlisten = "unix:/e"\nagent = "unix:/a"\nscripts = "{tmp_path}"\n')
    before = Settings.load(file)
    linked = made_of(f"IVR_SANDBOX{service}")
    environment(linked)
    assert Settings.load(file) == before
    assert links_in(os.environ, "IVR_SANDBOX_") == sorted(linked)
