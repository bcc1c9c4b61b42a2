"""What `make build` makes: the right parts for the processor, the same bytes each time, one release hash."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from builds import built
from runtime import machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "delivery" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.e2e
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_layer_builds_for_either_processor(architecture: str) -> None:
    named = {"arm64": "aarch64", "x86_64": "x86_64"}[architecture]
    layer = built(architecture) / "CoreLayer" / "python"
    assert (layer / "ivr_runtimes" / "names.py").is_file()
    assert [path.name for path in layer.glob("pydantic_core/*.so")] == [
        f"_pydantic_core.cpython-313-{named}-linux-gnu.so"
    ]
    assert not {path.name for path in layer.iterdir()} & {"tests", "pytest", "moto", "aiohttp"}
    for function in ("ListRuntimesFunction", "StopRuntimeFunction"):
        assert [path.name for path in (built(architecture) / function).glob("*.*")] == ["app.py"]


@pytest.mark.e2e
def test_the_same_input_makes_the_same_layer_and_functions(release: ModuleType) -> None:
    first, second = built(machine()), built(machine(), again=1)
    assert first != second
    for part in ("CoreLayer", "ListRuntimesFunction", "StopRuntimeFunction"):
        files = [{path.relative_to(build) for path in (build / part).rglob("*")} for build in (first, second)]
        assert files[0] == files[1]
        assert release.tree_hash(first / part) == release.tree_hash(second / part)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    for name in ("CoreLayer/python/core.py", "ListRuntimesFunction/app.py", "template.yaml"):
        (tmp_path / "build" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "build" / name).write_text(name)
    return tmp_path / "build"


def test_a_release_is_the_same_wherever_and_whenever_it_is_built(
    release: ModuleType, build: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(build, copy, copy_function=shutil.copy)
    assert release.release(build, ["A=1", "B=2"]) == release.release(copy, ["B=2", "A=1"])


@pytest.mark.parametrize(
    "changed", ["CoreLayer/python/core.py", "ListRuntimesFunction/app.py", "template.yaml", "a parameter", "a new file"]
)
def test_whatever_changes_makes_another_release(release: ModuleType, build: Path, changed: str) -> None:
    parameters = ["LogLevel=INFO"]
    before = release.release(build, parameters)
    match changed:
        case "a parameter":
            parameters = ["LogLevel=DEBUG"]
        case "a new file":
            (build / "CoreLayer" / "python" / "empty.py").touch()
        case name:
            (build / name).write_text("changed")
    assert release.release(build, parameters) != before


def test_a_deployment_gives_samconfigs_parameters_and_the_release(release: ModuleType) -> None:
    for environment, kind in (("default", "dev"), ("staging", "staging"), ("prod", "prod")):
        assert f"Environment={kind}" in release.parameters_of(environment)
