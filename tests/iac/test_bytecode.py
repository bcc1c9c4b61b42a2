"""`make build`: what is deployed is compiled already, and the same input makes the same bytes."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of a pyc that is never compared with its source (PEP 552)."""


def make_build(folder: Path) -> Path:
    """Build uncached, or SAM would copy the first build for the second."""
    if not (ROOT / ".venv-sam" / ".ready").exists():
        pytest.skip("SAM is not installed: run `make sam` (needs Python 3.13)")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MAKE"))}
    command = ["make", "build", f"BUILD_DIR={folder}", "BUILD_ARGS=--config-env prod"]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_build(tmp_path_factory.mktemp("build") / "out")


@pytest.mark.e2e
def test_the_same_input_makes_the_same_layer_and_functions(build: Path, tmp_path: Path) -> None:
    again = make_build(tmp_path / "elsewhere")
    for part in ("CoreLayer", "ListRuntimesFunction", "StopRuntimeFunction"):
        assert contents(again / part) == contents(build / part)


@pytest.mark.e2e
@pytest.mark.parametrize("part", ["CoreLayer/python", "ListRuntimesFunction", "StopRuntimeFunction"])
def test_every_module_is_compiled_and_its_bytecode_never_checked(build: Path, part: str) -> None:
    sources = list((build / part).rglob("*.py"))
    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED_HASH, source


@pytest.mark.e2e
def test_tracebacks_name_the_files_as_they_lie_in_lambda(build: Path) -> None:
    core = build / "CoreLayer" / "python" / "ivr_runtimes" / "__pycache__" / "boto.cpython-313.pyc"
    function = build / "ListRuntimesFunction" / "__pycache__" / "app.cpython-313.pyc"
    assert b"/opt/python/ivr_runtimes/boto.py" in core.read_bytes()
    assert b"/var/task/app.py" in function.read_bytes()


@pytest.mark.e2e
def test_the_layer_describes_only_the_services_that_the_functions_call(build: Path) -> None:
    data = build / "CoreLayer" / "python" / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "sqs"}
    assert (data / "endpoints.json").is_file()
