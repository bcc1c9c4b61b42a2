"""A node's settings, in the words of the two programs it is made of."""

from pathlib import Path

import pytest

from ivr_agent import settings as agent_settings
from ivr_asterisk.settings import Settings as AsteriskSettings
from ivr_local.fleet import BridgeConfig
from ivr_local.nodes import Node, NodeSpec, Part, Shared
from ivr_sandbox.settings import Settings as SandboxSettings

ROOT = Path(__file__).resolve().parents[3]


def node(tmp_path: Path, **changes: object) -> Node:
    spec = {
        "site": "SITE1",
        "name": "site1_a@127.0.0.1",
        "number": 3,
        "control_port": 20_001,
        "sockets": tmp_path,
        "queue_url": "http://127.0.0.1:1/000000000000/st-stop-SITE1",
        "dead_letter_url": "http://127.0.0.1:1/000000000000/st-stop-SITE1-dlq",
    }
    shared = Shared(
        aws={"AWS_REGION": "eu-central-1"},
        runtimes_table="st-runtimes",
        nodes_table="st-nodes",
        peer_secret="s" * 64,
        scripts=ROOT / "samples",
        domains='[{"name": "one.example", "scripts": ["player"], "calls_per_minute": 7.5}]',
        external_stop_delay_ms=250,
        logs=tmp_path,
    )
    return Node(spec=NodeSpec(**(spec | changes)), shared=shared, tell=print)  # type: ignore[arg-type]  # a dict's values


def test_the_engine_understands_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in node(tmp_path).engine_environment().items():
        monkeypatch.setenv(name, value)
    settings = SandboxSettings.load(None)
    assert (settings.node, settings.node_number) == ("site1_a@127.0.0.1", 3)
    assert settings.external_stop_delay_ms == 250
    assert [(domain.name, domain.calls_per_minute) for domain in settings.domains] == [("one.example", 7.5)]


def test_the_agent_understands_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = node(tmp_path).agent_environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = agent_settings.load(None, environment)
    assert (settings.site, settings.node, settings.control_port) == ("SITE1", "site1_a@127.0.0.1", 20_001)
    assert not settings.single_node_site, "one can be attached to a site with a single node too"
    assert settings.bind_host == "127.0.0.1"
    assert environment["AWS_REGION"] == "eu-central-1"


def test_both_mean_the_same_two_sockets(tmp_path: Path) -> None:
    one = node(tmp_path)
    engine, agent = one.engine_environment(), one.agent_environment()
    assert engine["IVR_SANDBOX_LISTEN"] == agent["IVR_AGENT_ENGINE"] == f"unix:{tmp_path}/3e"
    assert engine["IVR_SANDBOX_AGENT"] == agent["IVR_AGENT_LISTEN"] == f"unix:{tmp_path}/3a"


def test_a_bridge_takes_the_sandboxs_place_and_understands_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"username": "ivr-bridge", "secret": "of-manager.conf", "scripts": [{"context": "ivr"}]}
    bridge = BridgeConfig(node="site1_a@127.0.0.1", program="ivr_asterisk", settings=settings)
    one = node(tmp_path, bridge=bridge)
    assert one.shared.program(one.spec, Part.ENGINE).module == "ivr_asterisk"
    for name, value in one.engine_environment().items():
        monkeypatch.setenv(name, value)
    chosen = AsteriskSettings.load(None)
    assert (chosen.node, str(chosen.listen)) == ("site1_a@127.0.0.1", one.spec.engine_address)
    assert [rule.context for rule in chosen.scripts] == ["ivr"]
