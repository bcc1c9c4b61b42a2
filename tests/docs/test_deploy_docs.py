"""docs/deploy.md: its commands run, here or in the gate; its parameters are the template's."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from builds import built
from emulators import ROOT
from ivr_local.intrinsics import load
from runtime import machine
from stack import Stack, eventually

pytestmark = pytest.mark.build

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
GATE = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The commands of a kind of block: "" run here, "aws" need an account, "container" a container engine."""
    found = re.findall(rf"^```sh{' ' + kind if kind else ''}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load(ROOT / "template.yaml")


def test_every_parameter_is_explained_and_no_other(template: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (`[A-Z]\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(template["Parameters"])


def test_every_default_is_the_templates(template: dict[str, Any]) -> None:
    defaults = {name: str(spec["Default"]) for name, spec in template["Parameters"].items() if spec.get("Default")}
    for name in ("DomainClaim", "Environment", "LogRetention", "LogLevel", "SnapStart", "Architecture"):
        assert re.search(rf"^\| `{name}` \| `?{defaults[name]}`? \|", PAGE, re.MULTILINE), name
    assert f"| {defaults['ThrottleRate']}, {defaults['ThrottleBurst']} |" in PAGE


def test_every_output_that_the_page_names_is_one(template: dict[str, Any]) -> None:
    section = PAGE.partition("## 5.")[2].partition("## The functions")[0]
    named = set(re.findall(r"`([A-Z][a-z]\w+)(?:<site>)?`", section)) - {"SITE1"} | {"ApiUrl"}
    outputs = set(template["Outputs"]) | {"AgentPolicyArn"}
    assert named - set(template["Parameters"]) <= outputs
    assert "OutputKey=='ApiUrl'" in PAGE


def test_every_issuer_has_a_sample_token_with_the_scopes_that_its_section_names() -> None:
    sections = PAGE.partition("\n## 3.")[2].partition("\n## ")[0].split("\n### ")[1:]
    linked = [re.findall(r"\(\.\./events/tokens/([\w-]+\.json)\)", section) for section in sections]
    assert sorted(linked) == sorted([path.name] for path in (ROOT / "events" / "tokens").glob("*.json"))
    for section, (name,) in zip(sections, linked, strict=True):
        parameters = json.loads((ROOT / "events" / "tokens" / name).read_text(encoding="utf-8"))["parameters"]
        assert parameters.get("ScopeRead", "ivrscript_runtimes:read") in section, name
        assert parameters.get("ScopeStop", "ivrscript_runtimes:stop").removeprefix("ivrscript_runtimes") in section, (
            name
        )


def test_every_make_target_of_the_page_is_run_by_the_gate() -> None:
    targets = {line.split()[1] for line in blocks("") if line.startswith("make ")}
    assert targets == {"lint-cloud", "build", "test", "deploy-check"}
    run = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"make (.*)", GATE))))
    assert targets <= run


@pytest.mark.e2e
def test_what_a_deployment_passes_on_can_be_seen() -> None:
    (command,) = [line for line in blocks("") if not line.startswith("make ")]
    argv = shlex.split(command.replace(".aws-sam/build", str(built("arm64"))))
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    given = dict(pair.split("=", 1) for pair in ran.stdout.split())
    assert re.fullmatch("[0-9a-f]{16}", given.pop("Release"))
    assert given.keys() >= {"JwtIssuer", "JwtAudience", "Sites", "Environment"}


def without_aws() -> dict[str, str]:
    """This environment without anybody's credentials, and with a container engine that is not there."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AWS_"))}
    mine |= {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**mine, **nobody, "DOCKER_HOST": "tcp://127.0.0.1:9", "ID": "00000000-0000-4000-8000-000000000000"}


def sh(command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env=without_aws(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.e2e
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_deploy_goes_as_far_as_credentials(environment: str) -> None:
    """SAM has then read the build, the settings and the parameters. The build itself is another test's."""
    (command,) = [line for line in blocks("aws") if line.startswith("make ")]
    planned = sh(f"{command.replace('ENV=dev', f'ENV={environment}')} -n BUILD_DIR={built('arm64')}").stdout
    deploy = "parameters=" + planned.partition("\nparameters=")[2]
    assert "sam deploy" in deploy
    configuration = {"dev": "default"}.get(environment, environment)
    assert re.search(rf"sam build .*--config-env {configuration} ", planned), "built as samconfig.toml says for it"
    ran = sh(deploy)
    assert (ran.returncode, "Unable to locate credentials" in ran.stderr) == (1, True), ran.stderr


@pytest.mark.e2e
def test_the_first_list_is_one_line(stack: Stack) -> None:
    """With the address of the embedded stack and a token of its issuer in the place of AWS's."""
    lines = blocks("aws")
    (line,) = [line for line in lines if line.startswith("curl ")]
    programs = [one.split()[0] for one in lines]
    assert programs == ["make", ".venv-sam/bin/sam", "export", "curl"], "tests/deploy runs the others"
    token = stack.token(stack.domains[0])
    eventually(lambda: stack.rows(token), within_s=40)
    given = f"API=http://127.0.0.1:{stack.port} TOKEN={token}"
    ran = sh(f"{given}; {line}")
    assert {row["domain"] for row in json.loads(ran.stdout)} == {stack.domains[0]}, ran.stderr


def test_a_deployment_takes_no_parameters_that_the_release_hash_does_not_know() -> None:
    ran = sh("make -n deploy DEPLOY_ARGS='--parameter-overrides LogLevel=DEBUG'")
    assert (ran.returncode, "parameters belong into samconfig.toml" in ran.stderr) == (2, True), ran.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("function", ["ListRuntimesFunction", "StopRuntimeFunction"])
def test_sam_local_invoke_goes_as_far_as_the_container_engine(tmp_path: Path, function: str) -> None:
    """Where there is one it goes on; tests/e2e/test_runtime_interface.py runs the same build, variables and events."""
    (command,) = [line for line in blocks("container") if function in line]
    assert " Architecture=$(uname -m | sed s/aarch64/arm64/) " in command, "else SAM takes an image for arm64"
    assert "--docker-network" not in command, "SAM ignores it: its issue 4236"
    variables = tmp_path / "sam-env.json"
    variables.write_text(json.dumps({function: {"SITES": "SITE1"}}))
    built_here = f"sam local invoke --template {built(machine())}/template.yaml --config-file {ROOT}/samconfig.toml"
    ran = sh(command.replace(".local/3000/sam-env.json", str(variables)).replace("sam local invoke", built_here))
    assert "requires a container runtime" in ran.stderr, ran.stderr


def test_the_groups_that_outlive_the_stack_are_named(template: dict[str, Any]) -> None:
    resources = [one for one in template["Resources"].values() if isinstance(one, dict)]
    groups = [one for one in resources if one["Type"] == "AWS::Logs::LogGroup"]
    kept = [one for one in groups if "Retain" in str(one.get("DeletionPolicy"))]
    names = [group["Properties"]["LogGroupName"]["Fn::Sub"] for group in kept]
    assert len(names) == 3
    section = PAGE.partition("### The stack is taken down")[2].partition("\n#")[0]
    for name in names:
        assert f"`{name.replace('${AWS::StackName}', '<stack>')}`" in section


WAYS_OUT = re.findall(r"`aws ([^`]+)`", PAGE)


@pytest.mark.parametrize("command", WAYS_OUT)
def test_a_way_out_is_a_command_that_aws_has(command: str) -> None:
    """Its operation and options are those of AWS's own models, which the command line is made of."""
    service, operation, *rest = command.split()
    loader = botocore.session.get_session()
    if operation == "wait":
        waiters = loader.get_waiter_model(service).waiter_names
        assert rest.pop(0) in {xform_name(name, "-") for name in waiters}
        return
    model = loader.get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    assert shape is not None
    options = {f"--{xform_name(name, '-')}" for name in shape.members}
    given = {word for word in rest if word.startswith("--")}
    assert {word.replace("--no-", "--") for word in given} <= options
    assert {f"--{xform_name(name, '-')}" for name in shape.required_members} <= given


def test_there_are_ways_out() -> None:
    assert {command.split()[1] for command in WAYS_OUT} >= {"update-table", "delete-stack", "detach-role-policy"}
