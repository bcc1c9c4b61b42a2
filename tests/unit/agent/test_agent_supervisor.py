"""What systemd is told, and the unit that asks for it."""

import logging
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from emulators import ROOT
from ivr_agent.process import supervisor
from ivr_agent.process.exits import Exit
from ivr_agent.settings import PREFIX, Settings

UNIT = (ROOT / "agent" / "systemd" / "ivr-agent@.service").read_text(encoding="utf-8")


@pytest.fixture(params=["path", "abstract"])
def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen where the supervisor does: at a path, or in the abstract namespace."""
    name = f"ivr-{uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / name) if request.param == "path" else f"\0{name}")
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / name) if request.param == "path" else f"@{name}")
        yield listener


async def test_each_message_is_one_datagram(told: socket.socket) -> None:
    supervisor.notify(supervisor.READY)
    await supervisor.alive()
    supervisor.notify(supervisor.STOPPING)
    assert [told.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_a_supervisor_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    supervisor.notify(supervisor.READY)


def test_a_supervisor_that_is_gone_does_not_hurt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    caplog.set_level(logging.WARNING, "ivr_agent")
    supervisor.notify(supervisor.READY)
    assert [record.message for record in caplog.records] == ["supervisor_not_told"]


def test_a_supervisor_that_does_not_listen_never_blocks_the_agent(told: socket.socket) -> None:
    for _ in range(1000):
        supervisor.notify(supervisor.ALIVE)


def value(name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_the_unit_waits_for_readiness_and_watches_the_loop() -> None:
    assert value("Type") == "notify"
    assert float(value("WatchdogSec")) >= 3 * supervisor.ALIVE_INTERVAL_S


def test_the_unit_runs_the_program_we_ship_and_grants_it_the_time_its_end_takes() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert Path(value("ExecStart").split()[0]).name in scripts
    assert int(value("TimeoutStopSec")) > 10
    assert value("RestartPreventExitStatus") == str(Exit.SETTINGS.value)


def test_the_unit_names_only_settings_that_exist() -> None:
    assert all(name.lower() in Settings.model_fields for name in re.findall(rf"{PREFIX}([A-Z_]+)", UNIT))
