"""`make audit`: checks the pinned packages for known vulnerabilities with pip-audit, or says that it could not.

Owns the difference between "something was found", "nothing could be checked" and "pip-audit failed". Where the advisory
service is out of reach (mirrors seldom have it), the gate does not fail, but says that nothing was checked. Called by
the Makefile.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PIP_AUDIT = Path(sys.executable).with_name("pip-audit")

PASSED, FAILED = 0, 1

OUT_OF_REACH = (
    "Could not connect to PyPI",
    "requests.exceptions.ConnectionError",
    "requests.exceptions.ConnectTimeout",
)
"""What pip-audit prints, instead of a report, when it gets no connection. A report missing otherwise is a failure."""

ACCEPTED = {
    "CVE-2024-23342": "ecdsa, which checkov wants: of signing, which nothing here does with it; no fix is planned",
}
"""Known vulnerabilities without a fix that do no harm here: by id or alias, with the reason."""


def audit(lock: Path, program: Path = PIP_AUDIT) -> int:
    """Audit one lock file, say what was found and return the exit code."""
    # Not --strict: then one package that cannot be looked up would suppress the whole report.
    command = [str(program), "--require-hashes", "--disable-pip", "--format", "json", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own lock files
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _without_report(lock, done.stderr)
    return _judged(lock, dependencies)


def _without_report(lock: Path, told: str) -> int:
    if any(sign in told for sign in OUT_OF_REACH):
        return _skipped(lock, "PyPI is out of reach")
    print(f"FAILED audit of {lock}: pip-audit gave no report\n{told}", file=sys.stderr)  # noqa: T201
    return FAILED


def _judged(lock: Path, dependencies: Sequence[dict[str, Any]]) -> int:
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    if not dependencies:
        return _without_report(lock, "it read no package from the file")
    if len(unknown) == len(dependencies):
        return _skipped(lock, dependencies[0]["skip_reason"])
    told = [(one, vulnerability) for one in dependencies for vulnerability in one.get("vulns", ())]
    found = [(one, vulnerability) for one, vulnerability in told if not _accepted(lock, vulnerability)]
    for one, vulnerability in found:
        remedy = ", ".join(vulnerability["fix_versions"]) or "none yet"
        print(f"{lock}: {one['name']} {one['version']}: {vulnerability['id']}, fixed in: {remedy}")  # noqa: T201
    asked = len(dependencies) - len(unknown)
    print(f"{lock}: {asked} packages looked up, {len(found)} vulnerabilities; not known to PyPI: {unknown}")  # noqa: T201
    return FAILED if found else PASSED


def _accepted(lock: Path, vulnerability: dict[str, Any]) -> bool:
    known = ACCEPTED.keys() & {vulnerability["id"], *vulnerability.get("aliases", ())}
    for name in known:
        print(f"{lock}: {vulnerability['id']} is accepted: {ACCEPTED[name]}")  # noqa: T201
    return bool(known)


def _skipped(lock: Path, why: str) -> int:
    """Let the gate pass, with a line on stderr that nothing was checked."""
    print(f"SKIPPED audit of {lock}: NO PACKAGE WAS CHECKED. pip-audit: {why}", file=sys.stderr)  # noqa: T201
    return PASSED


if __name__ == "__main__":
    sys.exit(max([audit(Path(name)) for name in sys.argv[1:]]))
