"""The conformance kit as it is really run: a program against the sandbox's process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calls import wait_for_calls
from emulators import ROOT, free_port
from ivr_engine.conformance.kit import catalogue
from judged import TOKEN, kit, results

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

CALLS = [{"name": "test.rootdomain.ru", "scripts": ["player", "survey", "callback"], "calls_per_minute": 1200}]
ENOUGH = 40
"""How many calls are there before the kit begins: it stops several of each script."""


@contextmanager
def sandbox(address: str, *, agent: str) -> Iterator[None]:
    """Run a sandbox with many calls until the block ends; return once some are running."""
    settings = {
        "NODE": "site1_h6@127.0.0.1",
        "NODE_NUMBER": "6",
        "LISTEN": address,
        "AGENT": agent,
        "TOKEN": TOKEN,
        "SCRIPTS": str(ROOT / "samples"),
        "DOMAINS": json.dumps(CALLS),
    }
    environment = {**os.environ, **{f"IVR_SANDBOX_{name}": value for name, value in settings.items()}}
    process = subprocess.Popen([sys.executable, "-m", "ivr_sandbox"], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for_calls(address, token=TOKEN, at_least=ENOUGH)
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_the_sandbox_passes_every_check_over_tcp() -> None:
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with sandbox(engine, agent=agent):
        code, told = kit("--engine", engine, "--listen", agent, "--destructive")
        assert {name: result for name, result in results(told).items() if result != "pass"} == {}, told
        assert (code, told["pass"]) == (0, len(list(catalogue())))


def test_over_a_unix_socket_no_token_is_asked_for_and_nothing_is_stopped_unasked(tmp_path: Path) -> None:
    engine, agent = f"unix:{tmp_path}/e", f"unix:{tmp_path}/a"
    with sandbox(engine, agent=agent):
        code, told = kit("--engine", engine, token="")
    assert code == 0
    skipped = {name for name, result in results(told).items() if result == "skip"}
    assert {"token_is_required", "terminate_ends", "branch_is_entered", "events_are_readable"} <= skipped
    assert told["fail"] == 0
