"""The harness can fail: with a defect put into the real programs, a run reports the violation that belongs to it."""

import json
import os
import subprocess
import sys

import pytest

from chaos.verdict import COUNTS
from emulators import ROOT

pytestmark = pytest.mark.e2e


def run(tmp_path, *options):
    """Run the harness; return its exit code and its last line."""
    command = [sys.executable, "-m", "chaos", "--seed", "1", "--folder", str(tmp_path / "run"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert done.stdout, done.stderr
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert list(verdict) == list(COUNTS)
    return done.returncode, verdict


@pytest.mark.parametrize(
    ("sabotage", "violation", "stops"),
    [
        pytest.param("relative", "killed_by_own_retry", 60, id="commands are relative"),
        pytest.param("delete_first", "lost", 120, id="messages are deleted before their effect"),
        pytest.param("forgetful", "killed_by_own_retry", 100, id="the engine forgets stop ids"),
        pytest.param("no_reassertion", "ghosts", 100, id="ambiguous writes are not written again"),
    ],
)
def test_a_run_reports_the_violation_that_belongs_to_a_defect(tmp_path, sabotage, violation, stops):
    code, verdict = run(tmp_path, "--sabotage", sabotage, "--stops", str(stops), "--minutes", "1")
    assert code == 1
    assert verdict[violation] > 0
