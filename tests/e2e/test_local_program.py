"""The embedded stack as a program: how it starts, what it tells, how it ends, also when it is killed."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from emulators import ROOT, free_port
from processes import is_running
from stack import RESOURCE, Stack, eventually, start, wait_until_ready

pytestmark = pytest.mark.e2e


def pids_of(state: dict[str, Any]) -> list[int]:
    nodes = [node[f"{part}_pid"] for node in state["nodes"] for part in ("agent", "engine")]
    return [state["ministack_pid"], *nodes, *(pid for pids in state["function_pids"].values() for pid in pids)]


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ivr_local", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--config", "nowhere.toml"], {}, "nowhere.toml"),
        (["--template", "nowhere.yaml"], {}, "nowhere.yaml"),
        (["--ministack", "/nowhere/ministack"], {}, "--ministack"),
        (["--port", "0"], {}, "port"),
        (["--aws-host", "0.0.0.0"], {}, "reached from elsewhere"),  # noqa: S104  # what must not be
        (["--aws-host", "192.0.2.1"], {}, "no IPv4 address of this machine"),
        (["--aws-host", "localhost"], {}, "no IPv4 address"),
        ([], {"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS": "soon"}, "IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS"),
    ],
)
def test_a_wrong_setting_is_told_and_starts_nothing(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    state = tmp_path / "state"
    done = run("--port", str(free_port()), "--state-dir", str(state), *arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists()


def test_an_emulator_that_does_not_start_ends_it_all_with_exit_code_1(tmp_path: Path) -> None:
    program = tmp_path / "ministack"
    program.write_text("#!/bin/sh\necho broken\nexit 7\n")
    program.chmod(0o700)
    done = run("--port", str(free_port()), "--state-dir", str(tmp_path / "state"), "--ministack", str(program))
    assert done.returncode == 1
    assert "ministack ended with exit code 7" in done.stderr
    assert "Traceback" not in done.stderr
    assert "broken" in (tmp_path / "state" / "logs" / "ministack.log").read_text()


@pytest.mark.parametrize("when", ["while it starts", "while it runs"])
def test_nothing_outlives_a_killed_stack_and_the_next_one_clears_up(tmp_path: Path, when: str) -> None:
    port, log = free_port(), tmp_path / "log"
    stack = Stack(port, tmp_path / "state", ROOT / "samplesconfig.toml")
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(stack.state_dir)]
    process = start(command, log=log)
    if when == "while it runs":
        wait_until_ready(process, stack, log)
    eventually((stack.state_dir / "stack.json").exists, within_s=30)
    pids, sockets = pids_of(json.loads((stack.state_dir / "stack.json").read_text())), sockets_of(stack)
    process.kill()
    process.wait(20)
    eventually(lambda: not [pid for pid in pids if is_running(pid)], within_s=20)
    assert sockets.exists()
    process = start(command, log=log)
    eventually(lambda: not sockets.exists(), within_s=20)
    eventually(lambda: "starting on" in log.read_text(), within_s=20)  # from here on a signal is an orderly end
    process.terminate()
    assert process.wait(20) == 0


def sockets_of(stack: Stack) -> Path:
    return Path((stack.state_dir / "run-directory").read_text())


def test_a_signal_while_it_starts_ends_it_well(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(tmp_path / "state")]
    process = start(command, log=log)
    eventually(lambda: "starting on" in log.read_text(), within_s=20)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert log.read_text().splitlines()[-1] == "stopped"
    assert not (tmp_path / "state" / "run-directory").exists()


def test_requests_before_it_is_ready_are_answered_not_dropped(tmp_path: Path) -> None:
    """A load balancer, or an impatient user, must see 503 and not a closed connection."""
    port, log = free_port(), tmp_path / "log"
    stack = Stack(port, tmp_path / "state", ROOT / "samplesconfig.toml")
    (silent := tmp_path / "ministack").write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o700)
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(stack.state_dir)]
    process = start([*command, "--ministack", str(silent)], log=log)
    eventually(lambda: "starting on" in log.read_text(), within_s=20)
    health = eventually(lambda: unwell(stack), within_s=20)
    assert health[0] == "the emulated AWS is starting"
    assert stack.request("GET", RESOURCE).status == 401
    process.terminate()
    assert process.wait(20) == 0


def unwell(stack: Stack) -> Any:
    """What the health page says is missing; None while nobody answers, and once nothing is."""
    with suppress(OSError):
        answer = stack.request("GET", "/healthz")
        return answer.json()["missing"] if answer.status == 503 else None
    return None
