"""The bridge as a process, beside a scripted FreeSWITCH as one, with the samples of docs/freeswitch.md."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridges import SAMPLES, bridge, program
from emulators import free_port
from ivr_engine.conformance.kit import catalogue
from judged import TOKEN, kit, results

pytestmark = [pytest.mark.e2e, pytest.mark.waits]


def lines_until(process: subprocess.Popen[str], action: str) -> list[dict[str, Any]]:
    """Read the log up to a line with that action."""
    lines: list[dict[str, Any]] = []
    assert process.stderr
    for text in process.stderr:
        lines.append(json.loads(text))
        if lines[-1]["action"] == action:
            return lines
    raise AssertionError(f"{action} was not logged: {lines}")


def test_the_bridge_passes_every_check_of_the_kit() -> None:
    port = free_port()
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    calls = (
        "--number",
        "welcome",
        "--number",
        "survey",
        "--number",
        "callback",
        "--per-second",
        "4",
        "--at-once",
        "40",
    )
    with program("esl", "--port", str(port), *calls), bridge(port, listen=engine, agent=agent, token=TOKEN) as process:
        lines_until(process, "resynchronised")
        code, told = kit("--engine", engine, "--listen", agent, "--destructive", "--branch", "welcome")
    assert {name: result for name, result in results(told).items() if result != "pass"} == {}, told
    assert (code, told["pass"]) == (0, len(list(catalogue())))


def test_a_bridge_may_come_before_its_engine_and_ends_in_order(tmp_path: Path) -> None:
    port = free_port()
    with bridge(port, listen=f"unix:{tmp_path}/e", agent=f"unix:{tmp_path}/a", token=TOKEN) as process:
        lost = lines_until(process, "engine_lost")
        assert lost[-1]["detail"] == "no connection to the engine: ConnectionRefusedError: Connection refused"
        with program("esl", "--port", str(port), "--at-once", "3"):
            back = lines_until(process, "resynchronised")
            assert [line["action"] for line in back if line["action"] != "agent_unreachable"] == [
                "engine_connected",
                "resynchronised",
            ]
            assert back[-1]["runtimes"] == 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert process.stderr
            assert "change-me" not in "".join(map(str, [lost, back])) + process.stderr.read()
    assert not Path(f"{tmp_path}/e").exists()


def test_wrong_settings_are_told_and_nothing_is_started() -> None:
    with program("ivr_freeswitch", "--config", str(SAMPLES / "h6.toml")) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("ivr-freeswitch: wrong settings\npassword: ")


def test_help_tells_every_setting() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ivr_freeswitch", "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "IVR_FREESWITCH_SCRIPTS, required" in told
    assert "IVR_FREESWITCH_PORT, default: 8021" in told
