"""How the sandbox begins and ends, short of serving anybody."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ivr_sandbox import __main__ as program

SCRIPT = """
code: player
name: Player
type: ivr
main:
  - start: {max_duration_s: 60}
  - play: {prompt: hello, duration_s: 1}
"""


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Give the root logger back what the program takes from it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "player.yaml").write_text(SCRIPT)
    file = tmp_path / "sandbox.toml"
    file.write_text(
        f'node = "n@h"\nnode_number = 6\nlisten = "unix:{tmp_path}/none/e"\nagent = "unix:/a"\nscripts = "{tmp_path}"\n'
    )
    return str(file)


def test_service_links_are_named_once(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    links = {"IVR_SANDBOX_PORT": "tcp://10.0.0.1:9470", "IVR_SANDBOX_SERVICE_HOST": "10.0.0.1"}
    for name, value in links.items():
        monkeypatch.setenv(name, value)
    assert program.main(["--config", config]) == 2, "the folder of its socket is not there"
    told = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (told["action"], told["variables"]) == ("service_links_ignored", sorted(links))
    assert "enableServiceLinks: false" in told["detail"]


def test_a_defect_is_logged_by_its_place_and_quotes_nothing(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "Planted"

    async def run(*_: object) -> None:
        raise ExceptionGroup(secret, [ValueError(secret)])

    monkeypatch.setattr(program, "run", run)
    assert program.main(["--config", config]) == 1
    told = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert told["action"] == "defect"
    assert "ValueError" in told["exception"]
    assert secret not in told["exception"]
