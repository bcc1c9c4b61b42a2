"""template.yaml as a stack of two sites, and the SAM command line where it is installed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivr_local.intrinsics import load
from ivr_local.template import Stack, expand

ROOT = Path(__file__).resolve().parents[2]
SAM_BIN = ROOT / ".venv-sam" / "bin"

Sam = Callable[..., "subprocess.CompletedProcess[str]"]
SamStarted = Callable[..., "subprocess.Popen[str]"]
ExpandedWith = Callable[..., Stack]


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The template as it is written, short tags in their long form."""
    return load(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def expanded_with() -> ExpandedWith:
    """Expand the template with parameters of one's own."""

    def with_parameters(path: Path = ROOT / "template.yaml", **parameters: str) -> Stack:
        given = {"JwtIssuer": "https://issuer.example", "JwtAudience": "ivr", "Sites": "SITE1,SITE2", **parameters}
        return expand(path, parameters=given, stack_name="st", region="eu-central-1", account_id="000000000000")

    return with_parameters


@pytest.fixture(scope="session")
def stack(expanded_with: ExpandedWith) -> Stack:
    return expanded_with()


@pytest.fixture(scope="session")
def sam_environment() -> dict[str, str]:
    """What programs of SAM's virtual environment run with: nobody's credentials."""
    if not (SAM_BIN / "sam").exists():
        pytest.skip("SAM is not installed: run `make sam` (needs Python 3.13)")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    own = {"PATH": f"{SAM_BIN}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1"}
    return inherited | own


@pytest.fixture(scope="session")
def sam(sam_environment: dict[str, str]) -> Sam:
    """Run a program of SAM's virtual environment in the project's root."""

    def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(SAM_BIN / program), *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=sam_environment, capture_output=True, text=True, timeout=280, check=False
        )

    return run


@pytest.fixture(scope="session")
def sam_started(sam_environment: dict[str, str]) -> SamStarted:
    """Start a program of SAM's virtual environment in the project's root, to be spoken to by its input and output."""

    def started(program: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [str(SAM_BIN / program), *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=sam_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    return started
