"""What `make build` makes: the right parts for the processor, compiled, the same bytes each time, one release hash."""

import importlib.util
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from builds import built
from runtime import machine

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("CoreLayer", "ListRuntimesFunction", "StopRuntimeFunction")
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of a pyc that is never compared with its source (PEP 552)."""


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "delivery" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.e2e
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_layer_builds_for_either_processor(architecture: str) -> None:
    named = {"arm64": "aarch64", "x86_64": "x86_64"}[architecture]
    layer = built(architecture) / "CoreLayer" / "python"
    assert (layer / "ivr_runtimes" / "identifiers.py").is_file()
    assert [path.name for path in layer.glob("msgspec/*.so")] == [f"_core.cpython-313-{named}-linux-gnu.so"]
    assert not {path.name for path in layer.iterdir()} & {"tests", "pytest", "moto", "aiohttp", "boto3", "pydantic"}
    for function in ("ListRuntimesFunction", "StopRuntimeFunction"):
        assert [path.name for path in (built(architecture) / function).glob("*.*")] == ["app.py"]


@pytest.mark.e2e
def test_the_same_input_makes_the_same_layer_and_functions(release: ModuleType) -> None:
    first, second = built(machine()), built(machine(), again=1)
    assert first != second
    for part in PARTS:
        files = [{path.relative_to(build) for path in (build / part).rglob("*")} for build in (first, second)]
        assert files[0] == files[1]
        assert release.tree_hash(first / part) == release.tree_hash(second / part)


@pytest.mark.e2e
@pytest.mark.parametrize("part", ["CoreLayer/python", "ListRuntimesFunction", "StopRuntimeFunction"])
def test_every_module_is_compiled_and_its_bytecode_never_checked(part: str) -> None:
    sources = list((built(machine()) / part).rglob("*.py"))
    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED_HASH, source


@pytest.mark.e2e
def test_tracebacks_name_the_files_as_they_lie_in_lambda() -> None:
    stores = built(machine()) / "CoreLayer" / "python" / "ivr_runtimes" / "stores"
    core = stores / "__pycache__" / "boto.cpython-313.pyc"
    function = built(machine()) / "ListRuntimesFunction" / "__pycache__" / "app.cpython-313.pyc"
    assert b"/opt/python/ivr_runtimes/stores/boto.py" in core.read_bytes()
    assert b"/var/task/app.py" in function.read_bytes()


@pytest.mark.e2e
def test_the_layer_describes_only_the_services_that_the_functions_call() -> None:
    data = built(machine()) / "CoreLayer" / "python" / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "sqs"}
    assert (data / "endpoints.json").is_file()


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


@pytest.mark.parametrize(
    ("built_for", "parameters", "says"),
    [
        ("aarch64", [], None),
        ("aarch64", ["Architecture=arm64"], None),
        ("x86_64", ["Architecture=x86_64"], None),
        ("x86_64", [], "ARCHITECTURE=arm64"),
        ("aarch64", ["Architecture=x86_64"], "ARCHITECTURE=x86_64"),
        ("aarch64", ["JwtAudience=a, b"], "JwtAudience"),
        ("aarch64", ["JwtAudience=a,b", "DomainClaim=https://ivr.example/domain"], None),
    ],
)
def test_only_what_is_built_for_the_processor_is_deployed(
    release: ModuleType, build: Path, built_for: str, parameters: list[str], says: str | None
) -> None:
    (build / "CoreLayer" / "python" / f"core.cpython-313-{built_for}-linux-gnu.so").touch()
    why_not = release.fault(build, parameters)
    assert why_not is None if says is None else says in why_not


def test_the_processor_that_is_deployed_by_default_is_the_templates(
    release: ModuleType, document: dict[str, Any]
) -> None:
    assert document["Parameters"]["Architecture"]["Default"] == release.DEFAULT_PROCESSOR
    assert sorted(document["Parameters"]["Architecture"]["AllowedValues"]) == sorted(release.PROCESSORS.values())


def test_a_deployment_gives_samconfigs_parameters_and_the_release(release: ModuleType) -> None:
    for environment, kind in (("default", "dev"), ("staging", "staging"), ("prod", "prod")):
        assert f"Environment={kind}" in release.parameters_of(environment)


WANTED = "0123456789abcdef"


def test_a_release_that_runs_is_deployed_again_as_it_is(release: ModuleType) -> None:
    """So a deployment of what runs changes nothing, also when an update to something else has failed meanwhile."""
    for running in (WANTED, WANTED + "01234567"):
        assert release.attempt(WANTED, release.Deployed(release=running, updated_at="t")) == running
    assert release.attempt(WANTED, None) == WANTED


def test_each_attempt_at_an_update_is_a_release_of_its_own(release: ModuleType, document: dict[str, Any]) -> None:
    """Lambda had kept the version of the failed update, and refused another one like it, retry after retry."""
    stacks = [release.Deployed(release="fedcba9876543210", updated_at=moment) for moment in ("1", "1", "2", "never")]
    first, same, *later = (release.attempt(WANTED, stack) for stack in stacks)
    assert first == same, "a look at what would change asks for what is then deployed"
    assert len({WANTED, first, *later}) == 4
    assert all(re.fullmatch(document["Parameters"]["Release"]["AllowedPattern"], one) for one in (first, *later))
    assert release.attempt(WANTED, replace(stacks[0], release=first)) == first


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"LastUpdatedTime": "t"}, ("r", "t")),
        ({}, ("r", "never")),
        (None, None),
    ],
)
def test_cloudformation_is_asked_for_the_stack_that_sam_would_deploy(
    release: ModuleType, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None, found: tuple[Any, ...] | None
) -> None:
    asked: list[dict[str, Any]] = []

    class Session:
        def __init__(self, **where: Any) -> None:
            asked.append(where)

        def client(self, service: str) -> "Session":
            asked.append({"service": service})
            return self

        def describe_stacks(self, **which: Any) -> Any:
            asked.append(which)
            if answer is None:
                raise ClientError({"Error": {"Message": "Stack with id s does not exist"}}, "DescribeStacks")
            return {"Stacks": [{"Parameters": [{"ParameterKey": "Release", "ParameterValue": "r"}], **answer}]}

    monkeypatch.setattr(release.boto3, "Session", Session)
    stack = release.deployed({"stack_name": "s", "region": "eu-west-1", "parameter_overrides": []})
    assert asked[0] == {"profile_name": None, "region_name": "eu-west-1"}
    assert asked[1:] == [{"service": "cloudformation"}, {"StackName": "s"}]
    assert (stack and (stack.release, stack.updated_at)) == found
