"""`make audit`: looks the pinned packages up among known vulnerabilities with pip-audit, or says that it cannot.

Owns only the difference between "something was found" and "nothing could be asked": where the advisory service is out
of reach (mirrors seldom have it), nothing was checked, and a gate must neither fail for that nor pass in silence.
Called by the Makefile.
"""

import json
import subprocess
import sys
from pathlib import Path

NOT_ASKED = 0
"""The exit code when the service does not answer: the gate goes on, and a line on stderr says so."""


def audit(lock: Path) -> int:
    """Audit one lock file; return pip-audit's exit code, or `NOT_ASKED`."""
    program = str(Path(sys.executable).with_name("pip-audit"))
    # --strict: one package that cannot be looked up fails the whole.
    command = [program, "--strict", "--require-hashes", "--disable-pip", "--format", "json", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own lock files
    try:
        report = json.loads(done.stdout)
    except ValueError:  # pip-audit prints a report only when every package was looked up
        why = done.stderr.strip().splitlines()[-1:] or ["no report"]
        print(f"SKIPPED audit of {lock}: NO PACKAGE WAS CHECKED. pip-audit: {why[0]}", file=sys.stderr)  # noqa: T201
        return NOT_ASKED
    print(json.dumps(report, indent=2))  # noqa: T201  # the program's output
    return done.returncode


if __name__ == "__main__":
    sys.exit(max(audit(Path(name)) for name in sys.argv[1:]))
