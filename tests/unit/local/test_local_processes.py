"""Child processes: their environment, their end, and what becomes of them when we are killed."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr_local.processes import ending, spawn
from processes import is_running

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(grandchild.pid, flush=True)
time.sleep(60)
"""

PARENT = """
import asyncio, pathlib, sys
from ivr_local.processes import spawn
async def main():
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = await spawn("c", sleep, environment={}, log=pathlib.Path(sys.argv[1]))
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""


async def holds(check: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if check():
            return True
        await asyncio.sleep(0.02)
    return False


async def ends(pid: int) -> bool:
    return await holds(lambda: not is_running(pid))


async def test_a_child_has_a_session_and_a_log_and_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    program = "import os; print(os.getsid(0) == os.getpid(), os.getenv('AWS_PROFILE'), os.getenv('OURS'))"
    log = tmp_path / "log"
    child = await spawn("c", [sys.executable, "-c", program], environment={"OURS": "1"}, log=log)
    assert await child.wait() == 0
    assert log.read_text() == "True None 1\n"
    assert not child.alive


async def test_a_child_that_ends_when_asked_is_not_killed(tmp_path: Path) -> None:
    child = await spawn("c", [sys.executable, "-c", "import time; time.sleep(60)"], environment={}, log=tmp_path / "l")
    await child.stop(grace_s=5)
    assert await child.wait() == -signal.SIGTERM


async def test_a_child_that_will_not_end_is_killed_with_its_own_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await spawn("c", [sys.executable, "-c", STUBBORN], environment={}, log=log)
    assert await holds(lambda: log.read_text().endswith("\n"))
    begun_s = time.monotonic()
    await child.stop(grace_s=0.3)
    assert time.monotonic() - begun_s < 20, "it would sleep for a minute"
    assert await child.wait() == -signal.SIGKILL
    assert await ends(int(log.read_text()))


async def test_stopping_what_has_ended_does_nothing(tmp_path: Path) -> None:
    child = await spawn("c", [sys.executable, "-c", "raise SystemExit(3)"], environment={}, log=tmp_path / "l")
    assert await child.wait() == 3
    await child.stop(grace_s=1)
    assert await child.wait() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:  # noqa: ASYNC220  # a second program
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        assert is_running(child_pid)
        parent.kill()
    assert await ends(child_pid)


def test_an_end_is_told_in_words() -> None:
    assert ending(-9) == "was ended by SIGKILL"
    assert ending(2) == "ended with exit code 2"
