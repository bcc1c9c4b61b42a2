"""checkov and cfn-lint: what is left out has its reason beside it, and nothing is left out that would pass anyway."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.expanded import document

from emulators import ROOT

pytestmark = pytest.mark.build

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
SETTINGS = ROOT / ".checkov.yaml"


def left_out() -> list[str]:
    settings: dict[str, Any] = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    return list(settings["skip-check"])


def test_every_check_that_is_left_out_has_a_reason_beside_it() -> None:
    lines = SETTINGS.read_text(encoding="utf-8").splitlines()
    for check in left_out():
        (at,) = [number for number, line in enumerate(lines) if line.startswith(f"  - {check}")]
        assert re.search(r"#.{4,}", lines[at]) or lines[at - 1].startswith("  # "), check


def scan(template: Path, *arguments: str) -> dict[str, set[tuple[str, str]]]:
    """Scan without our settings, and return which checks passed and failed, each with its resource."""
    if not CHECKOV.exists():
        pytest.skip("checkov is not installed: run `make lint-cloud` (needs Python 3.13)")
    options = ["--framework", "cloudformation", "--skip-download", "--output", "json", *arguments]
    command = [str(CHECKOV), "-f", str(template), *options]
    ran = subprocess.run(command, cwd=template.parent, capture_output=True, text=True, timeout=280, check=False)
    results = json.loads(ran.stdout)["results"]
    return {
        outcome: {(one["check_id"], one["resource"].rpartition(".")[2]) for one in results[f"{outcome}_checks"]}
        for outcome in ("passed", "failed")
    }


@pytest.mark.e2e
def test_exactly_what_is_left_out_would_fail_and_every_sites_resources_are_looked_at(tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(document(), encoding="utf-8")
    told = scan(template)
    assert sorted({check for check, _ in told["failed"]}) == sorted(left_out())
    looked_at = {resource for outcome in told.values() for _, resource in outcome}
    assert looked_at >= {
        f"{kind}{site}" for kind in ("StopQueue", "StopDlq", "AgentPolicy") for site in ("SITE1", "SITE2")
    }


@pytest.mark.e2e
def test_a_site_whose_agents_might_do_anything_would_be_told_of(tmp_path: Path) -> None:
    loose = json.loads(document())
    policy = loose["Resources"]["AgentPolicySITE1"]["Properties"]["PolicyDocument"]
    policy["Statement"] = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    template = tmp_path / "template.json"
    template.write_text(json.dumps(loose), encoding="utf-8")
    failed = {check for check, resource in scan(template, "--compact")["failed"] if resource == "AgentPolicySITE1"}
    assert failed - set(left_out())


@pytest.mark.e2e
def test_whatever_holds_data_must_say_what_becomes_of_it(sam: Any, tmp_path: Path) -> None:
    """cfn-lint is silent on it unless it is asked, as .cfnlintrc does."""
    forgetful = tmp_path / "template.yaml"
    forgetful.write_text("Resources: {Kept: {Type: AWS::SQS::Queue}}\n", encoding="utf-8")
    ran = sam("cfn-lint", str(forgetful))
    assert "I3011 'DeletionPolicy'" in ran.stdout
    assert ran.returncode != 0
