"""The bill of materials and the hash beside every release file."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from delivery import sbom
from delivery.distribution import Distribution
from delivery.locks import pins

from emulators import ROOT
from releases import bare, released, wheelhouse

pytestmark = pytest.mark.build

JUDGE = ROOT / ".venv-audit" / "bin" / "python"
JUDGEMENT = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
judge = JsonStrictValidator(SchemaVersion.V1_6)
wrong = [f"{bill}: {fault}" for bill in sys.argv[1:] if (fault := judge.validate_str(open(bill).read()))]
sys.exit("\\n".join(wrong) or 0)
"""

LOCK = """\
one==1.0 \\
    --hash=sha256:00
    # via
    #   -c requirements/dev.txt
    #   ivr-agent
two-more==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:11
    # via one

# The following packages were excluded from the output:
# ivr-agent
"""


def release_files() -> list[Path]:
    return [path for path in sorted(released().iterdir()) if path.suffix in {".whl", ".gz"}]


@pytest.mark.e2e
def test_every_release_file_has_its_hash_and_its_bill_beside_it() -> None:
    assert len(release_files()) >= 3
    for file in release_files():
        beside = [f"{file.name}.sha256", f"{file.name}.cdx.json"]
        assert [name for name in beside if not (released() / name).is_file()] == []
        checked = bare("/bin/sh", "-c", f"cd {released()} && sha256sum --check --strict {file.name}.sha256")
        assert checked.returncode == 0, checked.stderr


@pytest.mark.e2e
def test_every_bill_is_valid_cyclonedx() -> None:
    if not JUDGE.exists():
        pytest.skip("the validator is not installed: run `make audit`")
    bills = [f"{file}.cdx.json" for file in release_files()]
    judged = subprocess.run([str(JUDGE), "-c", JUDGEMENT, *bills], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr


@pytest.mark.e2e
def test_a_wheelhouses_bill_names_every_wheel_in_it() -> None:
    (archive,) = released().glob("ivr-agent-*.tar.gz")
    bill: dict[str, Any] = json.loads(archive.with_name(archive.name + ".cdx.json").read_text(encoding="utf-8"))
    named = {(part["name"].replace("-", "_"), part["version"]) for part in bill["components"]}
    whole = bill["metadata"]["component"]
    named.add((whole["name"].replace("-", "_"), whole["version"]))
    wheels = {tuple(wheel.name.split("-")[:2]) for wheel in wheelhouse("ivr-agent").glob("*.whl")}
    assert {(name.lower(), version) for name, version in wheels} == named


def test_a_lock_tells_who_asked_for_each_package(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK)
    assert [(pin.name, pin.version, pin.asked_for_by) for pin in pins(tmp_path / "lock.txt")] == [
        ("one", "1.0", ("ivr-agent",)),
        ("two-more", "2.0", ("one",)),
    ]


def test_a_bill_tells_what_needs_what_down_to_our_own_parts(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(LOCK)
    file = tmp_path / "ivr_agent-1.2-py3-none-any.whl"
    file.write_bytes(b"wheel")
    sbom.write(file, Distribution("ivr-agent", frozenset({"core"}), tmp_path / "lock.txt"), "1.2")
    bill = json.loads((tmp_path / f"{file.name}.cdx.json").read_text())
    assert {row["ref"]: row["dependsOn"] for row in bill["dependencies"]} == {
        "pkg:pypi/ivr-agent@1.2": ["pkg:pypi/core@1.2", "pkg:pypi/one@1.0"],
        "pkg:pypi/core@1.2": [],
        "pkg:pypi/one@1.0": ["pkg:pypi/two-more@2.0"],
        "pkg:pypi/two-more@2.0": [],
    }
    assert bill["metadata"]["component"]["hashes"][0]["content"] == sbom.sha256(file)
