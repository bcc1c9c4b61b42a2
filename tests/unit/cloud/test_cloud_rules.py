"""What the emulated AWS of `make deploy-check` refuses, as AWS's pages have it."""

import re
from typing import Any

import pytest

from cloud import alarms, openapi, parameters, references, versions


def metric(name: str) -> dict[str, Any]:
    return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": {}, "Period": 60, "Stat": "Sum"}}


SUM = {"Id": "total", "Expression": "FILL(m0, 0) + FILL(m1, 0)"}


def test_an_alarm_watches_the_one_query_that_returns_data() -> None:
    assert alarms.total([metric("m0"), metric("m1"), SUM]) == SUM["Expression"]
    assert alarms.total([{**metric("m0"), "ReturnData": True}]) == "m0"
    assert alarms.total([metric("m0"), {"Id": "total", "Expression": "IF(m0 > 0 AND m0 < 1e3, m0)"}])


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ([metric("m0"), SUM], "m1"),
        ([metric("m0"), metric("m0"), SUM], "unique"),
        ([metric("M0")], "small letter"),
        ([metric("m0"), metric("m1")], "exactly one"),
        ([metric("m0"), metric("m1"), SUM, {"Id": "other", "Expression": "m0"}], "exactly one"),
        ([{"Id": "m0"}], "either"),
        ([*(metric(f"m{n}") for n in range(11)), SUM], "at most 10"),
        ([{"Id": "s", "Expression": "SEARCH('{AWS/SQS,QueueName} x', 'Sum', 60)"}], "SEARCH"),
    ],
)
def test_an_alarm_that_cloudwatch_would_not_take_is_refused(queries: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(alarms.AlarmError, match=told):
        alarms.total(queries)


def document(**changes: Any) -> dict[str, Any]:
    """As SAM writes it for one route."""
    authorizer = {"type": "jwt", "identitySource": "$request.header.Authorization"}
    jwt = {"issuer": "https://issuer.example", "audience": changes.pop("audience", ["ivr"])}
    scheme = {"type": "oauth2", "x-amazon-apigateway-authorizer": {**authorizer, "jwtConfiguration": jwt}}
    operation = {
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": "arn"},
        "security": changes.pop("security", [{"Jwt": ["read"]}]),
    }
    operation |= changes.pop("operation", {})
    paths = {"/things": {"get": {name: value for name, value in operation.items() if value is not None}}}
    return {"paths": paths, "components": {"securitySchemes": {"Jwt": scheme}}, **changes}


def answers(_: str) -> None:
    """An issuer that answers."""


def test_a_document_comes_to_authorizers_and_routes() -> None:
    found = openapi.read(document(), answers)
    (route,) = found.routes
    assert (route.key, route.authorizer, route.scopes) == ("GET /things", "Jwt", ("read",))
    assert found.authorizers.keys() == {"Jwt"}
    assert (found.cors, found.warnings) == (None, ())


def test_an_open_route_stays_open() -> None:
    (route,) = openapi.read(document(security=[]), answers).routes
    assert (route.authorizer, route.scopes) == (None, ())


def test_an_issuer_that_does_not_answer_is_a_warning() -> None:
    """Which FailOnWarnings makes an error of: the likeliest one of a first deployment."""
    (warning,) = openapi.read(document(), lambda issuer: f"nobody at {issuer}").warnings
    assert warning == "Unable to create Authorizer 'Jwt': nobody at https://issuer.example"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"audience": "a,b"}, "audience must be a list"),
        ({"security": [{"Jwt": ["s" * 65]}]}, "1 to 64"),
        ({"security": [{"Jwt": [""]}]}, "1 to 64"),
        ({"security": [{"Jwt": []}, {"Other": []}]}, "one authorizer"),
        ({"security": [{"Other": ["read"]}]}, "no security scheme is named Other"),
        ({"operation": {"x-amazon-apigateway-integration": None}}, "no integration"),
        ({"x-amazon-apigateway-cors": {"allowOrigins": "https://a,https://b"}}, "allowOrigins must be a list"),
        ({"x-amazon-apigateway-cors": {"allowMethods": "GET"}}, "allowMethods must be a list"),
    ],
)
def test_a_document_that_api_gateway_would_not_take_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(openapi.OpenApiError, match=told):
        openapi.read(document(**changes), answers)


def test_cors_is_taken_as_it_is() -> None:
    cors = {"allowOrigins": ["https://a"], "maxAge": 600}
    assert openapi.read(document(**{"x-amazon-apigateway-cors": cors}), answers).cors == cors


CONFIGURATION = {"CodeSha256": "c", "Description": "d", "Version": "$LATEST", "RevisionId": "1", "LastModified": "now"}


def test_a_version_is_the_same_whenever_it_was_made() -> None:
    published = {**CONFIGURATION, "Version": "3", "RevisionId": "2", "LastModified": "then", "FunctionArn": "f:3"}
    optimized = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}}
    latest = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}
    updating = {"State": "Pending", "StateReason": "The function is being updated.", "StateReasonCode": "Updating"}
    assert versions.same({**CONFIGURATION, **updating}, published)
    assert versions.same({**CONFIGURATION, **latest}, {**published, **optimized})


@pytest.mark.parametrize("changed", ["CodeSha256", "Description", "MemorySize", "Environment", "Layers"])
def test_a_version_of_other_code_or_configuration_is_another(changed: str) -> None:
    assert not versions.same({**CONFIGURATION, changed: "other"}, CONFIGURATION)


def test_a_macro_gets_lists_where_they_are_lists() -> None:
    declared = {"Sites": {"Type": "CommaDelimitedList"}, "Issuer": {"Type": "String"}}
    values = {"Sites": "A,B", "Issuer": "a,b", "AWS::Region": "eu-central-1"}
    assert parameters.for_macro(declared, values) == {"Sites": ["A", "B"], "Issuer": "a,b"}


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Queue"},
        {"Ref": "Site"},
        {"Ref": "AWS::Region"},
        {"Fn::GetAtt": ["Queue", "Arn"]},
        {"Fn::GetAtt": "Queue.Arn"},
        {"Fn::Sub": "${Site}-${Queue.Arn}-${AWS::Region}-${!Literal}"},
        {"Fn::Sub": ["${own}", {"own": {"Ref": "Site"}}]},
        "${Unknown} &{Unknown}",
    ],
)
def test_a_reference_to_what_the_template_has_is_taken(value: Any) -> None:
    references.check({"Parameters": {"Site": {}}, "Resources": {"Queue": {}}, "Outputs": {"O": {"Value": value}}})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"Ref": "Lost"}, "Lost"),
        ({"Fn::GetAtt": ["Queue&{Site}", "Arn"]}, "Queue&{Site}"),
        ({"Fn::GetAtt": "Lost.Arn"}, "Lost"),
        ({"Fn::Sub": "a-${Lost.Arn}"}, "Lost"),
        ({"Fn::Sub": ["${own}", {"own": [{"Ref": "Lost"}]}]}, "Lost"),
    ],
)
def test_a_reference_to_nothing_is_refused_by_its_name(value: Any, named: str) -> None:
    with pytest.raises(references.UndefinedError, match=re.escape(f"[{named}]")):
        references.check({"Resources": {"Queue": {"Properties": {"Name": value}}}})
