"""What the SAM command line itself makes of the template. Skipped, with the reason, where it is not installed."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest
import yaml

from emulators import ROOT
from ivr_local.template import Stack

Sam = Callable[..., "CompletedProcess[str]"]
SamStarted = Callable[..., "Popen[str]"]

MADE_BY_SAM = 10
"""More than SAM adds of its own: a stage, a permission per route, a version and an alias per function."""

GIVEN = {"Sites": "SITE1,SITE2", "JwtIssuer": "https://issuer.example", "JwtAudience": "ivr"}

SHOW = """
import json, sys
from samcli.lib.cfn_language_extensions.models import PseudoParameterValues
from samcli.lib.cfn_language_extensions.sam_integration import process_template_for_sam_cli
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

pseudo = PseudoParameterValues(
    region="eu-central-1", account_id="000000000000", stack_name="st", partition="aws", url_suffix="amazonaws.com"
)
for line in sys.stdin:
    given, layer = json.loads(line)
    unrolled = process_template_for_sam_cli(yaml_parse(open("template.yaml").read()), given, pseudo)
    uploaded = json.loads(json.dumps(unrolled))
    for resource in uploaded["Resources"].values():
        for place in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][place] = "s3://bucket/" + (layer if place == "ContentUri" else "key")
    translated = Translator({}, Parser()).translate(uploaded, given)
    print(json.dumps({"unrolled": unrolled, "translated": translated}), flush=True)
"""
"""Answers a line of parameters and the layer's hash with a line. It runs once: what it imports takes two seconds."""


@pytest.fixture(scope="module")
def transform(sam_started: SamStarted) -> Iterator[Callable[..., dict[str, Any]]]:
    """Give the template, built with a layer of that hash, to SAM's own expansion of `Fn::ForEach` and its transform."""
    with sam_started("python", "-c", SHOW) as shows:
        assert shows.stdin is not None
        assert shows.stdout is not None

        def transform(layer: str = "layer", **parameters: str) -> dict[str, Any]:
            print(json.dumps([{**GIVEN, **parameters}, layer]), file=shows.stdin, flush=True)
            both: dict[str, Any] = json.loads(shows.stdout.readline())
            return both

        yield transform
        shows.stdin.close()


@pytest.fixture(scope="module")
def shown(transform: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The template after SAM's own expansion of `Fn::ForEach`, and what SAM hands to CloudFormation."""
    return transform()


def versions(shown: dict[str, Any]) -> set[str]:
    return {name for name, body in shown["translated"]["Resources"].items() if body["Type"] == "AWS::Lambda::Version"}


def served(stack: Stack) -> tuple[Any, ...]:
    """What the embedded stack makes of a template, wherever the template lies."""
    functions = tuple(replace(function, code_path=Path(function.code_path.name)) for function in stack.functions)
    return stack.tables, stack.queues, functions, stack.routes, stack.authorizer


def test_our_expansion_is_sams(shown: dict[str, Any], stack: Stack, expanded_with: Any, tmp_path: Path) -> None:
    """Of the other resources SAM's view is partial: it leaves an `Fn::Sub` of an attribute as text."""
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(shown["unrolled"], sort_keys=False), encoding="utf-8")
    theirs = expanded_with(path)
    assert served(theirs) == served(stack)
    assert theirs.resources.keys() == stack.resources.keys()
    assert theirs.outputs.keys() == stack.outputs.keys()
    per_site = [name for name in stack.resources if name.endswith(("SITE1", "SITE2"))]
    assert {name: theirs.resources[name] for name in per_site} == {name: stack.resources[name] for name in per_site}


def test_every_operation_that_sam_hands_to_api_gateway_is_closed(shown: dict[str, Any], stack: Stack) -> None:
    resources = shown["translated"]["Resources"]
    body = resources["Api"]["Properties"]["Body"]
    security = {
        (method.upper(), path): operation.get("security")
        for path, operations in body["paths"].items()
        for method, operation in operations.items()
    }
    assert security == {(route.method, route.path): [{"Jwt": list(route.scopes)}] for route in stack.routes}
    authorizer = body["components"]["securitySchemes"]["Jwt"]["x-amazon-apigateway-authorizer"]
    assert authorizer == {
        "type": "jwt",
        "identitySource": stack.authorizer.identity_source,
        "jwtConfiguration": {"issuer": stack.authorizer.issuer, "audience": list(stack.authorizer.audience)},
    }


def test_sam_hands_on_throttling_and_access_log_to_the_stage(transform: Any, expanded_with: Any) -> None:
    resources = transform(ThrottleRate="7", ThrottleBurst="9")["translated"]["Resources"]
    (stage,) = [body["Properties"] for body in resources.values() if body["Type"] == "AWS::ApiGatewayV2::Stage"]
    settings = expanded_with().resources["Api"]["Properties"]
    assert stage["DefaultRouteSettings"].keys() == settings["DefaultRouteSettings"].keys()
    limits = {stage["DefaultRouteSettings"][f"Throttling{name}Limit"] for name in ("Rate", "Burst")}
    assert {str(limit) for limit in limits} == {"7", "9"}
    assert stage["AccessLogSettings"].keys() == {"DestinationArn", "Format"}
    assert "$context.requestId" in json.dumps(stage["AccessLogSettings"]["Format"])
    assert stage["AutoDeploy"] is True


def test_sam_hands_on_the_whole_of_cors_or_nothing(transform: Any) -> None:
    def cors(**parameters: str) -> Any:
        body = transform(**parameters)["translated"]["Resources"]["Api"]["Properties"]["Body"]
        return body.get("x-amazon-apigateway-cors")

    assert cors() in (None, {}, {"Ref": "AWS::NoValue"})
    given = cors(CorsOrigins="https://a.example,https://b.example")
    assert given["allowOrigins"] == ["https://a.example", "https://b.example"]
    assert given["allowMethods"] == ["GET", "DELETE"]
    assert {"allowHeaders", "exposeHeaders", "maxAge"} <= given.keys()


def test_the_same_release_publishes_no_version_and_another_one_does(transform: Any) -> None:
    """The hash is over code, layer and parameters (tests/iac/test_build.py), so each of them publishes a version."""
    first, same, other = (transform(SnapStart="on", Release=release) for release in ("aa", "aa", "bb"))
    assert versions(first) == versions(same)
    assert len(versions(first)) == 2
    assert not versions(first) & versions(other)


def test_sam_alone_would_not_publish_a_version_of_a_changed_layer_or_parameter(transform: Any) -> None:
    """Why there is a release hash. If this fails, SAM has learnt to see these changes and the hash may go."""
    first = transform(SnapStart="on", Release="aa")
    assert versions(transform("other-layer", SnapStart="on", Release="aa", LogLevel="DEBUG")) == versions(first)


def test_the_api_calls_the_published_version(shown: dict[str, Any]) -> None:
    resources = shown["translated"]["Resources"]
    aliases = {name: body["Properties"] for name, body in resources.items() if body["Type"] == "AWS::Lambda::Alias"}
    assert {alias["Name"] for alias in aliases.values()} == {"live"}
    text = json.dumps(resources["Api"]["Properties"]["Body"]["paths"])
    assert all(f"${{{alias}}}" in text for alias in aliases)


def test_snapstart_is_off_unless_asked_for(expanded_with: Any) -> None:
    for parameters, applied in (
        ({}, "None"),
        ({"SnapStart": "off"}, "None"),
        ({"SnapStart": "on"}, "PublishedVersions"),
    ):
        stack = expanded_with(**parameters)
        functions = [stack.resources[function.logical_id]["Properties"] for function in stack.functions]
        assert [function["SnapStart"] for function in functions] == [{"ApplyOn": applied}] * 2


def test_sam_adds_as_few_resources_as_the_page_on_scale_counts(shown: dict[str, Any], stack: Stack) -> None:
    made = [body for body in shown["translated"]["Resources"].values() if body.get("Condition") != "HasConsole"]
    added = len(made) - len(stack.resources)
    quotas = (ROOT / "delivery" / "quotas.py").read_text(encoding="utf-8")
    assert 0 < added <= MADE_BY_SAM
    assert f"MADE_BY_SAM: Final = {MADE_BY_SAM}" in quotas


def test_the_emulated_cloudformation_transforms_as_sam_does() -> None:
    """`make deploy-check` runs the translator in another virtual environment than `sam` does."""
    locks = [(ROOT / "requirements" / name).read_text(encoding="utf-8") for name in ("sam.txt", "deploy.txt")]
    one, other = (re.findall(r"^aws-sam-translator==(\S+)", lock, re.MULTILINE) for lock in locks)
    assert one == other != []


def test_sam_adds_no_role_of_its_own(shown: dict[str, Any], stack: Stack) -> None:
    made = {name for name, body in shown["translated"]["Resources"].items() if body["Type"] == "AWS::IAM::Role"}
    assert made == {name for name, body in stack.resources.items() if body["Type"] == "AWS::IAM::Role"}


@pytest.mark.parametrize("environment", ["default", "staging", "prod"])
def test_the_template_is_valid_and_lints_in_every_environment(sam: Sam, environment: str) -> None:
    validated = sam("sam", "validate", "--lint", "--config-env", environment)
    assert validated.returncode == 0, validated.stdout + validated.stderr
