"""bench-cli: what the command line costs: help and a list over a bare interpreter, and how fast it stops many.

The API is a server of canned answers in a process of its own, so that the program alone is measured. Run by
`make bench-cli`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks import report
from scripted_api import ScriptedApi, serving

ROWS: Final = 1_000
STOPS: Final = 5_000
RUNS: Final = 15


def cpu_ms(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a program to its end; return the CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(command, environment)
    assert done.returncode == 0, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own program


def running(command: Sequence[str], environment: Mapping[str, str]) -> Callable[[], float]:
    return lambda: cpu_ms(command, environment)


def serve(told: Connection, count: int) -> None:
    """Serve so many runtimes until the parent says that it is enough."""
    api = ScriptedApi()
    with serving(api):
        api.runs(count)
        told.send(api.url)
        told.recv()
        told.send(max(api.acted.values(), default=0))


class Canned:
    """A canned API in a process of its own."""

    def __init__(self, count: int) -> None:
        context = get_context("spawn")
        self._told, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, count))
        self._process.start()
        self.url: str = self._told.recv()

    def close(self) -> int:
        """End it; return how often the most-stopped runtime was stopped."""
        self._told.send(None)
        most: int = self._told.recv()
        self._process.join()
        return most


def environment_for(url: str, folder: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": folder, "IVRCTL_URL": url}


def startup(folder: str) -> dict[str, float]:
    """Return the medians in ms of CPU: a bare interpreter, help, a list."""
    api = Canned(ROWS)
    environment = environment_for(api.url, folder)
    program = [str(Path(sys.executable).with_name("ivrctl"))]
    listed = run([*program, "list", "-o", "ids"], environment)
    assert len(listed.stdout.split()) == ROWS
    medians = report.in_turn(
        {
            "python -c pass": running([sys.executable, "-c", "pass"], environment),
            "ivrctl --help": running([*program, "--help"], environment),
            "ivrctl list": running([*program, "list"], environment),
        },
        runs=RUNS,
    )
    api.close()
    return medians


def stops(folder: str) -> float:
    """Stop many by their conditions; return how many a second, the preview included."""
    api = Canned(STOPS)
    begun_s = time.monotonic()
    command = [sys.executable, "-m", "ivrctl", "stop", "--where", "code=player", "--yes", "-o", "json"]
    done = run(command, environment_for(api.url, folder))
    took_s = time.monotonic() - begun_s
    told = json.loads(done.stdout)
    assert (done.returncode, told["total"], told["outcomes"]) == (0, STOPS, {"ended": STOPS}), done.stderr
    assert len({each["id"] for each in told["stops"]}) == STOPS
    assert api.close() == 1, "a runtime was stopped more than once"
    return STOPS / took_s


def main() -> None:
    """Measure and tell."""
    report.head(f"bench-cli: CPU in ms of ivrctl, a list of {ROWS:,} rows; {STOPS:,} stops against canned answers")
    with tempfile.TemporaryDirectory() as folder:
        medians = startup(folder)
        per_s = stops(folder)
    bare_ms = medians["python -c pass"]
    report.tell(
        {
            "help_vs_python": round(medians["ivrctl --help"] / bare_ms, 2),
            "list_vs_python": round(medians["ivrctl list"] / bare_ms, 2),
            "bulk_stops_per_s": round(per_s, 1),
            "stops_accounted_for": STOPS,
        }
    )


if __name__ == "__main__":
    main()
