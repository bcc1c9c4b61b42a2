"""docs/local.md, "Attach your own engine": its lines run as they stand, and what they start is listed and stopped."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from emulators import ROOT, free_port
from stack import Stack, eventually, start, wait_until_ready

PAGE = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")
NODE = "mine@127.0.0.1"


def block(kind: str, port: int) -> str:
    """The lines of a block, for the stack on a port."""
    (lines,) = re.findall(rf"^```sh {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(lines).replace("3000", str(port))


@contextmanager
def typed(lines: str, log: Path) -> Iterator[None]:
    """Type lines into a terminal of their own; Ctrl-C at the end."""
    terminal = start(["/bin/sh", "-c", lines], log=log)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(terminal.pid, signal.SIGINT)
        terminal.wait(40)


@contextmanager
def make_run(log: Path) -> Iterator[Stack]:
    """`make run` as the page has it, with the state directory in the project's folder."""
    port = free_port()
    process = start(["make", "run", f"PORT={port}"], log=log)
    stack = Stack(port, ROOT / ".local" / str(port), ROOT / "samplesconfig.toml")
    try:
        wait_until_ready(process, stack, log)
        yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        shutil.rmtree(stack.state_dir, ignore_errors=True)


@pytest.mark.e2e
def test_who_follows_the_page_sees_an_engine_of_their_own_in_the_list_and_stops_its_script(tmp_path: Path) -> None:
    """No page said how: the peers' secret and the emulator's keys stood nowhere, so nobody could attach anything."""
    with ExitStack() as running:
        stack = running.enter_context(make_run(tmp_path / "make.log"))
        for kind in ("agent", "engine"):
            running.enter_context(typed(block(kind, stack.port), tmp_path / f"{kind}.log"))
        token = stack.token("test.rootdomain.ru")
        eventually(lambda: stack.rows(token, filter=f'{{"node":"{NODE}"}}'), within_s=40)
        assert "SITE1=3/3" in stack.listing(token).headers["site-nodes"]
        caller = ["/bin/sh", "-c", "set -eu\n" + block("caller", stack.port) + 'echo "stopped $ID"']
        done = subprocess.run(caller, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert "HTTP/1.1 204 No Content" in done.stdout, done.stdout + done.stderr
        stopped = done.stdout.split()[-1]
        eventually(lambda: stopped not in {row["id"] for row in stack.rows(token)}, within_s=20)
        (outcome,) = [line for line in (tmp_path / "agent.log").read_text().splitlines() if stopped in line]
        assert '"acted"' in outcome
