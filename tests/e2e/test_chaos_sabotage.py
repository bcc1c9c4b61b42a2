"""The harness can fail: with a defect put into the real programs, a run reports the violation that belongs to it.

And one run of the product as it is, under what once left lasting ghosts: beside them, for runs mostly wait.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaos.sabotage import SHOWS
from chaos.verdict import COUNTS
from emulators import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.waits, pytest.mark.timeout(900)]

STOPS = {"no_reassertion": 120, "delete_first": 50, "relative": 60, "forgetful": 100, "hopeful": 40}
"""How many stops bring each defect to light with certainty enough; the longest run first."""

MORE = {"forgetful": ("--freeswitch",)}
"""The bridge alone is forgetful, so this run shows that the harness sees what a played engine's bridge does wrong."""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")}
"""As `make chaos` sets it. Taken once: pytest changes the process's own with every test, which a program just being
started in a thread of the pool must not see half done (exec failed with EFAULT)."""

LATE_WRITES = ("--scenario", "late_writes", "--stops", "170")

SEEDS = ("1", "2", "3")


def run(folder, sabotage):
    """Run the harness until it reports the violation, one seed after another; return its exit code and last line.

    What a seed replays is the schedule; whether a fault meets a stop is a matter of milliseconds.
    """
    for seed in SEEDS:
        code, verdict = run_once(
            folder / seed, seed, "--sabotage", sabotage, "--stops", str(STOPS[sabotage]), *MORE.get(sabotage, ())
        )
        if verdict[SHOWS[sabotage]]:
            break
    return code, verdict


def run_once(folder, seed, *options):
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seed", seed, "--folder", str(folder), "--minutes", "1", *options],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All runs, two at a time: each spends most of its time waiting."""
    folder = tmp_path_factory.mktemp("sabotage")
    with ThreadPoolExecutor(2) as pool:
        clean = pool.submit(run_once, folder / "late_writes", SEEDS[0], *LATE_WRITES)
        sabotaged = {sabotage: pool.submit(run, folder / sabotage, sabotage) for sabotage in STOPS}
        yield {"late_writes": clean, **sabotaged}


@pytest.mark.parametrize(
    ("sabotage", "violation"),
    [
        pytest.param("no_reassertion", "ghosts", id="ambiguous writes are not written again"),
        pytest.param("relative", "killed_by_own_retry", id="commands are relative"),
        pytest.param("delete_first", "lost", id="messages are deleted before their effect"),
        pytest.param("hopeful", "false_outcome", id="rows tell what the engine has not"),
        pytest.param("forgetful", "killed_by_own_retry", id="the bridge forgets stop ids"),
    ],
)
def test_a_run_reports_the_violation_that_belongs_to_a_defect(runs, sabotage, violation):
    code, verdict = runs[sabotage].result()
    assert list(verdict) == list(COUNTS)
    assert code == 1
    assert verdict[violation] > 0


def test_a_killed_agents_late_writes_leave_no_ghosts(runs):
    """Two or three rows stayed in the lists for hours while an agent looked only once for what its predecessor left."""
    _, verdict = runs["late_writes"].result()
    assert verdict["kills"] >= 4
    assert verdict["faults"] >= 15
    assert verdict["ghosts"] == 0
