"""`make audit`: looks the pinned packages up among known vulnerabilities with pip-audit, or says loudly that it cannot.

Owns only whether the advisory service can be asked at all: where PyPI's JSON API is out of reach (mirrors seldom have
it), nothing was checked, and a gate must neither fail for that nor pass in silence. Called by the Makefile.
"""

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

SERVICE = "https://pypi.org/pypi/{name}/{version}/json"
"""Where pip-audit asks for a version's vulnerabilities by default (its README, --vulnerability-service)."""

TIMEOUT_S = 10.0


def first_pin(lock: Path) -> tuple[str, str]:
    """Return name and version of a lock file's first package."""
    found = re.search(r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{lock}: no package is pinned there")
    return found[1], found[2]


def answers(url: str) -> bool:
    """Tell whether the service knows that version, by the very request that pip-audit makes."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # made from the constant above
            return b'"vulnerabilities"' in answer.read()
    except OSError:  # URLError and HTTPError are OSErrors
        return False


def main() -> int:
    """Audit each lock file that is named; return the exit code."""
    locks = [Path(name) for name in sys.argv[1:]]
    program = str(Path(sys.executable).with_name("pip-audit"))
    for lock in locks:
        name, version = first_pin(lock)
        url = SERVICE.format(name=name, version=version)
        if not answers(url):
            print(f"SKIPPED audit: {url} does not answer. NO PACKAGE WAS CHECKED.", file=sys.stderr)  # noqa: T201
            return 0
    # --strict: one package that cannot be looked up fails the whole.
    checks = [[program, "--strict", "--require-hashes", "--disable-pip", "-r", str(lock)] for lock in locks]
    return max(subprocess.run(check, check=False).returncode for check in checks)  # noqa: S603  # our own lock files


if __name__ == "__main__":
    sys.exit(main())
