import json
from pathlib import Path

import pytest

from ivr_engine.address import Address
from ivr_engine.settings import SettingsError
from ivr_sandbox.settings import Settings

UNIX = Address(path="/run/engine.sock")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    file = tmp_path / "sandbox.toml"
    file.write_text(f"""
node = "site1_h6@192.168.0.12"
node_number = 6
listen = "unix:/run/engine.sock"
agent = "unix:/run/agent.sock"
scripts = "{tmp_path}/scripts"
[[domains]]
name = "test.rootdomain.ru"
scripts = ["player", "welcome"]
calls_per_minute = 12.5
""")
    return file


def faults_of(file: Path | None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(file)
    return str(caught.value).splitlines()


def test_a_file_is_enough(file: Path) -> None:
    read = Settings.load(file)
    assert (read.node, read.node_number, read.listen) == ("site1_h6@192.168.0.12", 6, UNIX)
    assert read.domains[0].calls_per_minute == 12.5
    assert (read.external_stop_delay_ms, read.seed, read.token, read.log_level) == (0, None, None, "info")


def test_the_environment_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domains = [{"name": "test.rootdomain.ru", "scripts": ["player"], "calls_per_minute": 60}]
    given = {
        "NODE": "n@h",
        "NODE_NUMBER": "8",
        "LISTEN": "http://127.0.0.1:7001",
        "AGENT": "http://127.0.0.1:7002",
        "TOKEN": "secret",
        "SCRIPTS": str(tmp_path),
        "DOMAINS": json.dumps(domains),
        "SEED": "3",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"IVR_SANDBOX_{name}", value)
    read = Settings.load(None)
    assert (read.listen, read.seed, read.node_number) == (Address(host="127.0.0.1", port=7001), 3, 8)
    assert [domain.model_dump(mode="json") for domain in read.domains] == domains


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVR_SANDBOX_NODE_NUMBER", "7")
    assert Settings.load(file).node_number == 7


def test_without_any_setting_every_required_one_is_named_with_its_remedy() -> None:
    faults = faults_of(None)
    required = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert [fault.partition(":")[0] for fault in faults] == required
    assert "Set IVR_SANDBOX_LISTEN or `listen` in the file: Where the engine serves its agent" in next(
        fault for fault in faults if fault.startswith("listen")
    )


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NODE", "site1_h6", "node: String should match"),
        ("NODE_NUMBER", str(1 << 40), "node_number: Input should be less than 1099511627776"),
        ("LISTEN", "http://10.0.0.1:7001", "listen: the host is not a loopback address; write 127.0.0.1"),
        ("AGENT", "agent.sock", "agent: not an address; write unix:/path"),
        ("SCRIPTS", "/nowhere/at/all", "scripts: /nowhere/at/all is no folder; name the folder of the scripts"),
        ("EXTERNAL_STOP_DELAY_MS", "-1", "external_stop_delay_ms: Input should be greater than or equal to 0"),
        ("DOMAINS", "test.rootdomain.ru", "domains: not JSON"),
        ("DOMAINS", '[{"name": "a", "scripts": []}]', "domains[0].calls_per_minute: Field required"),
        ("DOMAINS", '[{"name": "Upper", "scripts": ["x"], "calls_per_minute": 1}]', "domains[0].name: String should"),
        ("LOG_LEVEL", "loud", "log_level: Input should be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_remedy(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"IVR_SANDBOX_{variable}", value)
    fault = next(fault for fault in faults_of(file) if fault.startswith(told))
    assert f"Set IVR_SANDBOX_{variable} or " in fault


@pytest.mark.parametrize("side", ["LISTEN", "AGENT"])
def test_tcp_needs_a_token(file: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    monkeypatch.setenv(f"IVR_SANDBOX_{side}", "http://127.0.0.1:7001")
    assert faults_of(file) == ["token: missing, and TCP needs it; set it, or use Unix sockets"]


def test_the_token_travels_over_tcp_only_and_never_into_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVR_SANDBOX_TOKEN", "very-secret")
    read = Settings.load(file)
    assert read.token_for(Address(host="127.0.0.1", port=7001)) == "very-secret"
    assert read.token_for(UNIX) is None
    assert "very-secret" not in repr(read)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_end_of_a_file_or_variable_is_no_part_of_a_token(
    file: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("IVR_SANDBOX_TOKEN", f"very-secret{end}")
    assert Settings.load(file).token_for(Address(host="127.0.0.1", port=7001)) == "very-secret"
    monkeypatch.delenv("IVR_SANDBOX_TOKEN")
    file.write_text(f'token = """very-secret{end}"""\n' + file.read_text(), newline="")
    assert Settings.load(file).token_for(Address(host="127.0.0.1", port=7001)) == "very-secret"


@pytest.mark.parametrize(
    "token", ["very\nsecret", "very\x1bsecret", "\nvery-secret", " very-secret", "very-secret\t", "\n"]
)
def test_a_token_that_no_header_carries_is_refused_and_not_quoted(
    file: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("IVR_SANDBOX_TOKEN", token)
    [fault] = faults_of(file)
    assert fault.startswith("token: ")
    assert "Set IVR_SANDBOX_TOKEN" in fault
    assert "secret" not in fault.replace("The node's secret", "")


def test_a_misspelt_setting_is_refused_in_the_file_and_in_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("sede = 1\n" + file.read_text())
    assert faults_of(file) == ["sede: no such setting; remove it or correct its spelling"]
    monkeypatch.setenv("IVR_SANDBOX_SEDE", "1")
    assert faults_of(file) == ["IVR_SANDBOX_SEDE: no such setting; unset it or correct its spelling"]
    monkeypatch.delenv("IVR_SANDBOX_SEDE")
    monkeypatch.setenv("IVR_SANDBOX_\u017fITE", "SITE2")  # the long s, whose upper case is S
    assert faults_of(file) == ["IVR_SANDBOX_\u017fITE: no such setting; unset it or correct its spelling"]


@pytest.mark.parametrize("text", ["node = ", None])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "sandbox.toml"
    if text is not None:
        file.write_text(text)
    [fault] = faults_of(file)
    assert fault.startswith(f"--config: {file} cannot be read as TOML: ")


def test_every_setting_is_described() -> None:
    described = Settings.describe()
    for name, field in Settings.model_fields.items():
        assert f"  {name}  (IVR_SANDBOX_{name.upper()}, " in described
        assert field.description
        assert field.description in described
