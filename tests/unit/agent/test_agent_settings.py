from pathlib import Path
from typing import Any

import pytest

from ivr_agent.settings import Settings, explain, load
from ivr_engine.address import Address
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_the_line_end_of_a_file_or_variable_is_no_part_of_a_value(read: Any, tmp_path: Path, end: str) -> None:
    """An `engine_token` that ended in one went into a header: every pass failed, and the engine counted as down."""
    file = tmp_path / "agent.toml"
    file.write_text(f'peer_secret = """{"p" * 32}{end}"""\n', newline="")
    settings = read(file, ENGINE_TOKEN=f"token{end}", PEER_SECRET=None, LOG_LEVEL=f"debug{end}")
    assert settings.token() == "token"
    assert settings.peer_secret.get_secret_value() == "p" * 32
    assert settings.log_level == "debug"


@pytest.mark.parametrize("name", ["ENGINE_TOKEN", "PEER_SECRET"])
@pytest.mark.parametrize(
    "wrong", ["\nPlanted", "Plan\nted", "Plan\rted", "Plan\x1bted", "Plan\ufeffted", " Planted", "Planted\t"]
)
def test_a_secret_that_no_header_carries_is_refused_at_the_start(read: Any, name: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name.lower()}: .*visible characters.*Set IVR_AGENT_{name}") as caught:
        read(**{name: "x" * 40 + wrong if wrong[0] == "P" else wrong + "x" * 40})
    assert "Plan" not in str(caught.value)


def test_a_token_of_line_ends_alone_is_missing(read: Any) -> None:
    with pytest.raises(SettingsError, match="engine_token: missing"):
        read(ENGINE="http://127.0.0.1:7001", ENGINE_TOKEN="\n")


def test_a_wrong_credential_of_aws_is_named_at_the_start(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AWS_SESSION_TOKEN: holds a control character") as caught:
        load(None, {"AWS_SESSION_TOKEN": "Plan\nted", "AWS_SECRET_ACCESS_KEY": "fine\n"})
    assert "Plan" not in str(caught.value)
    assert "AWS_SECRET_ACCESS_KEY" not in str(caught.value)


BAD_HOSTS = [
    "a..b",
    ".a",
    ".",
    "x" * 64,
    f"{'x' * 64}.example",
    "a:b",
    "[",
    "[]",
    "1:2:3:4:5:6:7:8:9",
]


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_that_no_resolver_takes_is_a_wrong_setting(read: Any, host: str) -> None:
    """An empty label, or one of 64 characters, ended the agent with a traceback."""
    with pytest.raises(SettingsError, match=r"node: .*no name that a resolver takes.*Set IVR_AGENT_NODE"):
        read(NODE=f"h6@{host}")


@pytest.mark.parametrize("host", [*BAD_HOSTS, ".".join(["abcd"] * 51), "a b", "x\x7f", "\udcff", "http://h"])
def test_so_is_such_a_control_host(read: Any, host: str) -> None:
    with pytest.raises(SettingsError, match=r"control_host: .*no name that a resolver takes"):
        read(CONTROL_HOST=host)


@pytest.mark.parametrize("host", ["h6", "h_6.example.", f"{'x' * 63}.example", "1.2.3", "xn--bcher-kva.example", "H6"])
def test_any_other_name_is_left_to_the_resolver(read: Any, host: str) -> None:
    assert read(NODE=f"h6@{host}").bind_host == host


ANYWHERE = "0.0.0.0"  # noqa: S104  # a container's agent binds there


@pytest.mark.parametrize("host", [ANYWHERE, "::", "fe80::1%eth0", "b\u00fccher.example"])
def test_a_control_host_may_be_any_address_or_name(read: Any, host: str) -> None:
    assert read(CONTROL_HOST=host).bind_host == host


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "::/0, 0.0.0.0/0", "10.0.0.0/8"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "[::1]"])
def test_a_loopback_address_is_reached_by_loopback_peers_alone(read: Any, networks: str, host: str) -> None:
    with pytest.raises(SettingsError, match="peers could not reach"):
        read(NODE=f"h6@{host}", PEER_NETWORKS=networks)
    assert read(NODE=f"h6@{host}", PEER_NETWORKS="127.0.0.0/8, ::1/128").bind_host == host.strip("[]")


@pytest.mark.parametrize("host", [ANYWHERE, "[::]", "[::ffff:0.0.0.0]", "[::ffff:127.0.0.1]"])
def test_no_peer_reaches_an_address_that_leads_it_to_itself(read: Any, host: str) -> None:
    """Peers called `h6@0.0.0.0` on themselves: it lies in 0.0.0.0/0, as loopback does, also when IPv6 writes it."""
    with pytest.raises(SettingsError, match="peers could not reach"):
        read(NODE=f"h6@{host}", PEER_NETWORKS="0.0.0.0/0, ::/0")


def test_an_address_of_ipv4_that_ipv6_writes_lies_where_it_lies(read: Any) -> None:
    assert read(NODE="h6@[::ffff:10.0.0.6]", PEER_NETWORKS="10.0.0.0/8").bind_host == "::ffff:10.0.0.6"


@pytest.mark.parametrize("text", ["site = ", "colour = 'red'\n"])
def test_a_wrong_file_is_named(read: Any, tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"agent\.toml|colour: no such setting"):
        read(file)


def test_every_setting_explains_itself_and_its_default() -> None:
    for name, _, meaning in explain():
        assert "efault" in meaning or name == "engine_token", name
