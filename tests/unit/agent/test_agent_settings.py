from pathlib import Path
from typing import Any

import pytest

from ivr_agent.address import Address
from ivr_agent.settings import Settings, explain, load
from ivr_runtimes.errors import SettingsError

REQUIRED = {
    "SITE": "SITE1",
    "NODE": "site1_h6@192.168.0.12",
    "RUNTIMES_TABLE": "runtimes",
    "NODES_TABLE": "nodes",
    "QUEUE_URL": "https://sqs.example/1/stop-SITE1",
    "DEAD_LETTER_URL": "https://sqs.example/1/stop-SITE1-dlq",
    "ENGINE": "unix:/run/engine",
    "LISTEN": "unix:/run/agent",
}
MULTI = {"PEER_NETWORKS": "192.168.0.0/24, 10.0.0.0/8", "PEER_SECRET": "s" * 32}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read settings from an environment of these settings; None removes one."""

    def read(path: Path | None = None, **changes: str | None) -> Settings:
        values = {name: value for name, value in {**REQUIRED, **MULTI, **changes}.items() if value is not None}
        environ = {f"IVR_AGENT_{name}": value for name, value in values.items()}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return load(path, environ)

    return read


def test_the_environment_alone_is_enough(read: Any) -> None:
    settings = read()
    assert settings.engine == Address(path="/run/engine")
    assert [str(network) for network in settings.peer_networks] == ["192.168.0.0/24", "10.0.0.0/8"]
    assert (settings.bind_host, settings.heartbeat_interval_s, settings.lease_ttl_s) == ("192.168.0.12", 5.0, 15.0)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(read: Any, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('site = "FILE"\nlog_level = "debug"\ncontrol_port = 9999\nsingle_node_site = true\n')
    settings = read(file, CONTROL_PORT="9000")
    assert (settings.site, settings.log_level, settings.control_port) == ("SITE1", "debug", 9000)
    assert settings.single_node_site


def test_networks_may_be_json_too(read: Any) -> None:
    assert [str(network) for network in read(PEER_NETWORKS='["192.168.0.0/16"]').peer_networks] == ["192.168.0.0/16"]


def test_every_missing_setting_is_named_at_once_with_its_remedy(read: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**dict.fromkeys(REQUIRED, None))
    for name in REQUIRED:
        assert f"Set IVR_AGENT_{name}, or {name.lower()} in the file" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SITE": "1SITE"}, "site: "),
        ({"NODE": "no-host"}, "node: "),
        ({"QUEUE_URL": "sqs://x"}, "queue_url: "),
        ({"SITE": "SITE2"}, "queue_url: not a queue of site SITE2"),
        ({"QUEUE_URL": "https://sqs.example/1/stop-SITE1-dlq"}, "queue_url: "),
        ({"DEAD_LETTER_URL": "https://sqs.example/1/stop-SITE1"}, "dead_letter_url: "),
        ({"ENGINE": "unix:relative"}, "engine: "),
        ({"ENGINE": "unix:/" + "x" * 200}, "engine: "),
        ({"ENGINE": "http://10.0.0.1:80", "ENGINE_TOKEN": "t"}, "engine: "),
        ({"ENGINE": "http://127.0.0.1", "ENGINE_TOKEN": "t"}, "engine: "),
        ({"LISTEN": "unix:/run/engine"}, "listen: "),
        ({"LISTEN": "http://127.0.0.1:81"}, "engine_token: "),
        ({"CONTROL_PORT": "70000"}, "control_port: "),
        ({"PEER_NETWORKS": None}, "peer_networks: "),
        ({"PEER_NETWORKS": "192.168.0.1/24"}, "peer_networks"),
        ({"PEER_NETWORKS": "10.0.0.0/8"}, "peer_networks: "),
        ({"PEER_SECRET": None}, "peer_secret: "),
        ({"PEER_SECRET": "short"}, "peer_secret: "),
        ({"HEARTBEAT_INTERVAL_S": "10"}, "heartbeat_interval_s: "),
        ({"LEASE_TTL_S": "120"}, "lease_ttl_s: "),
        ({"LOG_LEVEL": "loud"}, "log_level: "),
        ({"QUEUEURL": "https://x"}, "IVR_AGENT_QUEUEURL: no such setting"),
        ({"\u017fITE": "SITE2"}, "IVR_AGENT_\u017fITE: no such setting"),  # the long s, whose upper case is S
        ({"SITE": "SITE\u0661"}, "site: "),
        ({"NODE": "h6@\uff11\uff10.0.0.1"}, "node: "),
    ],
)
def test_a_wrong_setting_is_named(read: Any, changes: dict[str, str | None], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**changes)
    assert any(line.strip().startswith(named) for line in str(caught.value).splitlines())


def test_a_declared_single_node_site_needs_no_peers(read: Any) -> None:
    assert read(SINGLE_NODE_SITE="true", PEER_NETWORKS=None, PEER_SECRET=None).single_node_site


def test_secrets_are_never_shown(read: Any) -> None:
    settings = read(PEER_SECRET="very-secret-" * 4, ENGINE_TOKEN="also-secret")
    assert "secret-very" not in repr(settings)
    assert "also-secret" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        read(PEER_SECRET="oh-so-secret")
    assert "oh-so-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["site = ", "colour = 'red'\n"])
def test_a_wrong_file_is_named(read: Any, tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"agent\.toml|colour: no such setting"):
        read(file)


def test_every_setting_explains_itself_and_its_default() -> None:
    for name, _, meaning in explain():
        assert "efault" in meaning or name == "engine_token", name
