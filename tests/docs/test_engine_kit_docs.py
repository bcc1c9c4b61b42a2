"""docs/engine-kit.md: the engine that the page shows is run as it stands, and passes the conformance kit."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calls import wait_for_calls
from emulators import ROOT, free_port
from ivr_engine.conformance.kit import catalogue

PAGE = (ROOT / "docs" / "engine-kit.md").read_text(encoding="utf-8")
CODE = PAGE.partition("```python\n")[2].partition("```")[0]

TOKEN = "node-token"
ENOUGH = 30
"""How many calls are there before the kit begins: it stops several of each script."""


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Run the page's engine; return where it answers and where it tells its events."""
    (program := tmp_path / "my_engine.py").write_text(CODE, encoding="utf-8")
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    settings = {"LISTEN": engine, "AGENT": agent, "TOKEN": TOKEN, "DOMAIN": "test.rootdomain.ru"}
    environment = {**os.environ, **{f"MY_ENGINE_{name}": value for name, value in settings.items()}}
    process = subprocess.Popen([sys.executable, program], env=environment)
    try:
        wait_for_calls(engine, token=TOKEN, at_least=ENOUGH)
        yield engine, agent
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.e2e
@pytest.mark.waits
def test_the_engine_of_the_page_passes_every_check(addresses: tuple[str, str]) -> None:
    engine, agent = addresses
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "ivr_engine.conformance",
            "--json",
            "--engine",
            engine,
            "--listen",
            agent,
            "--destructive",
        ],
        env={**os.environ, "IVR_AGENT_ENGINE_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = json.loads(ended.stdout)
    assert {check["check"]: check for check in told["checks"] if check["result"] != "pass"} == {}
    assert (ended.returncode, told["pass"]) == (0, len(list(catalogue())))


def test_a_whole_engine_takes_fewer_than_a_hundred_lines() -> None:
    assert 50 < len(CODE.splitlines()) < 100


def test_the_page_names_every_module_of_the_kit() -> None:
    modules = {path.stem for path in (ROOT / "engines" / "ivr_engine").iterdir() if path.stem[0] != "_"}
    assert modules - {"telling"} <= set(re.findall(r"`([a-z]+)`", PAGE))
