"""`make run` as the README promises it."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from emulators import ROOT, free_port
from processes import is_running
from stack import Stack, eventually, start, wait_until_ready

pytestmark = pytest.mark.e2e


def make_run(folder: Path, port: int) -> tuple[subprocess.Popen[bytes], Stack, Path]:
    log = folder / f"make-{port}.log"
    process = start(["make", "run", f"PORT={port}"], log=log)
    return process, Stack(port, ROOT / ".local" / str(port), ROOT / "samplesconfig.toml"), log


def pids_of(stack: Stack) -> list[int]:
    state = stack.state
    nodes = [node[f"{part}_pid"] for node in state["nodes"] for part in ("agent", "engine")]
    return [state["gateway_pid"], state["ministack_pid"], *nodes]


def ports_of(stack: Stack) -> list[int]:
    return [stack.port, *(node["control_port"] for node in stack.state["nodes"])]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ends(process, stack, log, signalled):
    """Signal a stack's `make`; everything of it ends within 20 s."""
    pids, ports = pids_of(stack), ports_of(stack)
    assert all(is_running(pid) for pid in pids)
    assert all(is_open(port) for port in ports)
    signalled()
    process.wait(20)
    assert not [pid for pid in pids if is_running(pid)], log.read_text()
    assert not [port for port in ports if is_open(port)]


def goes_on(stack):
    assert stack.listing(stack.token(stack.domains[0])).status == 200


def test_a_signal_ends_all_of_it_within_20_s_and_a_second_stack_goes_on(stack, tmp_path):
    """SIGTERM to make alone ends the first; Ctrl-C, which the terminal's whole group gets, the second."""
    first, first_stack, first_log = make_run(tmp_path, free_port())
    second, second_stack, second_log = make_run(tmp_path, free_port())
    try:
        wait_until_ready(first, first_stack, first_log)
        wait_until_ready(second, second_stack, second_log)
        ends(first, first_stack, first_log, lambda: first.send_signal(signal.SIGTERM))
        goes_on(second_stack)
        ends(second, second_stack, second_log, lambda: os.killpg(second.pid, signal.SIGINT))
        goes_on(stack)
    finally:
        for process in (first, second):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(40)
        for ended in (first_stack, second_stack):
            shutil.rmtree(ended.state_dir, ignore_errors=True)


def test_the_printed_lines_list_and_stop_a_running_script(stack, tmp_path):
    """A stranger copies what `make run` prints into a shell, line by line."""
    printed = (stack.state_dir.parent / "stack.log").read_text()
    lines = [line.strip() for line in printed.splitlines() if re.match(r"\s*(export |curl |\S*ivrctl list)", line)]
    assert len(lines) == 7
    token = stack.token(stack.domains[0])
    eventually(lambda: len(stack.rows(token)) >= 2, within_s=20)
    script = "\n".join(["set -eu", *lines])
    kept = {name: str(tmp_path / name) for name in ("IVRCTL_CACHE", "IVRCTL_STATE", "IVRCTL_CONFIG")}
    Path(kept["IVRCTL_CONFIG"]).touch()
    done = subprocess.run(
        ["/bin/bash", "-c", script], capture_output=True, text=True, timeout=60, check=False, env=os.environ | kept
    )
    assert done.returncode == 0, f"{shlex.quote(script)}\n{done.stderr}"
    assert '"starttime"' in done.stdout
    assert "204" in done.stdout
    assert "stop-outcome: " in done.stdout.lower()
    assert "test.rootdomain.ru" in done.stdout
    assert re.search(r"^ID +SITE +NODE ", done.stdout, re.MULTILINE)


def test_a_taken_port_is_a_clear_error_and_starts_nothing(stack, tmp_path):
    command = [sys.executable, "-m", "ivr_local", "--port", str(stack.port), "--state-dir", str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert str(stack.port) in done.stderr
    assert "Traceback" not in done.stderr
