"""`make audit`: a vulnerability fails, what could not be asked is said aloud, and nothing else passes for that."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from emulators import ROOT

SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1)"}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNSOUND = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "delivery" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pip_audit(folder: Path, *, prints: str, tells: str = "", code: int = 0) -> Path:
    """A program that answers as pip-audit would."""
    (folder / "out").write_text(prints)
    (folder / "err").write_text(tells)
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat {folder}/out\ncat {folder}/err >&2\nexit {code}\n")
    program.chmod(0o700)
    return program


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_sound_packages_pass_and_those_not_known_are_named(audit: Any, tmp_path: Path, capsys: Any) -> None:
    program = pip_audit(tmp_path, prints=report(SOUND, SKIPPED))
    assert audit.audit(tmp_path / "lock.txt", program) == 0
    assert "1 packages looked up, 0 vulnerabilities; not known to PyPI: ['a']" in capsys.readouterr().out


def test_one_vulnerability_fails_however_many_packages_are_not_known(audit: Any, tmp_path: Path, capsys: Any) -> None:
    program = pip_audit(tmp_path, prints=report(SKIPPED, SOUND, UNSOUND), code=1)
    assert audit.audit(tmp_path / "lock.txt", program) == 1
    assert "c 2: PYSEC-1, fixed in: 3" in capsys.readouterr().out


def test_what_is_accepted_passes_by_name_and_reason_and_takes_nothing_else_along(
    audit: Any, tmp_path: Path, capsys: Any
) -> None:
    """checkov wants ecdsa, whose authors plan no fix of CVE-2024-23342."""
    known = {"id": "PYSEC-2026-1325", "aliases": ["CVE-2024-23342"], "fix_versions": []}
    ecdsa = {"name": "ecdsa", "version": "0.19.2", "vulns": [known]}
    assert audit.audit(tmp_path / "lock.txt", pip_audit(tmp_path, prints=report(ecdsa), code=1)) == 0
    assert "PYSEC-2026-1325 is accepted: ecdsa, which checkov wants" in capsys.readouterr().out
    worse = {**ecdsa, "vulns": [known, {"id": "PYSEC-9", "aliases": [], "fix_versions": []}]}
    assert audit.audit(tmp_path / "lock.txt", pip_audit(tmp_path, prints=report(worse), code=1)) == 1
    assert "ecdsa 0.19.2: PYSEC-9, fixed in: none yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prints", "tells"),
    [
        (report(SKIPPED, SKIPPED), "No known vulnerabilities found"),
        ("", "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed"),
        ("", "Traceback\nrequests.exceptions.ConnectionError: no route"),
    ],
)
def test_where_nothing_can_be_asked_the_gate_goes_on_and_says_so(
    audit: Any, tmp_path: Path, capsys: Any, prints: str, tells: str
) -> None:
    assert audit.audit(tmp_path / "lock.txt", pip_audit(tmp_path, prints=prints, tells=tells)) == 0
    assert "NO PACKAGE WAS CHECKED" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prints", "tells"),
    [("", "Traceback\nKeyError: 'id'"), ("", "ERROR: lock.txt: a has no hash"), ("", ""), (report(), "")],
)
def test_a_crash_or_a_broken_lock_file_is_no_pass(
    audit: Any, tmp_path: Path, capsys: Any, prints: str, tells: str
) -> None:
    assert audit.audit(tmp_path / "lock.txt", pip_audit(tmp_path, prints=prints, tells=tells, code=1)) == 1
    assert "FAILED" in capsys.readouterr().err


def test_every_lock_file_that_is_installed_from_is_audited() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (named,) = re.findall(r"^LOCKS = (.*)$", makefile, re.MULTILINE)
    assert named == "$(wildcard requirements/*.txt) layers/core/requirements.txt $(DISTRIBUTIONS:%=%/requirements.txt)"
    installed = set(re.findall(r"-r (\S+\.txt)", makefile))
    assert installed - {"layers/core/requirements.txt"} <= {
        f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")
    }
