"""From a template to a `Stack`: what a small template comes to, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ivr_local.intrinsics import TemplateError
from ivr_local.template import Authorizer, QueueSpec, Route, Stack, expand

AUTH = {
    "DefaultAuthorizer": "Jwt",
    "Authorizers": {
        "Jwt": {
            "IdentitySource": "$request.header.Authorization",
            "JwtConfiguration": {"issuer": "https://issuer.example", "audience": ["a", "b"]},
        }
    },
}


def route(**auth: Any) -> dict[str, Any]:
    return {"Type": "HttpApi", "Properties": {"Method": "get", "Path": "/things/{id}", "Auth": auth}}


def template(**resources: Any) -> dict[str, Any]:
    """A small whole template; a resource given as None is left out."""
    whole: dict[str, Any] = {
        "Api": {"Type": "AWS::Serverless::HttpApi", "Properties": {"Auth": AUTH}},
        "Reader": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "CodeUri": "functions/reader/",
                "Handler": "app.lambda_handler",
                "Environment": {"Variables": {"TABLE": {"Ref": "Things"}, "DAYS": 7}},
                "Events": {"Get": route(AuthorizationScopes=["read"])},
            },
        },
        "Things": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": {"Fn::Sub": "${AWS::StackName}-things"},
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                "SSESpecification": {"SSEEnabled": True},
            },
        },
        "Work": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": "work",
                "VisibilityTimeout": 15,
                "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 9},
            },
        },
        "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "dead", "SqsManagedSseEnabled": True}},
    }
    return {
        "Globals": {"Function": {"Timeout": 3, "MemorySize": 128, "Environment": {"Variables": {"LEVEL": "INFO"}}}},
        "Resources": {name: body for name, body in {**whole, **resources}.items() if body is not None},
    }


def expanded(tmp_path: Path, document: dict[str, Any]) -> Stack:
    path = tmp_path / "template.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return expand(path, parameters={}, stack_name="dev", region="eu-central-1", account_id="000000000000")


def test_a_table_is_what_create_table_takes(tmp_path: Path) -> None:
    (table,) = expanded(tmp_path, template()).tables
    assert (table.logical_id, table.name, table.ttl_attribute) == ("Things", "dev-things", "expires_at")
    assert table.create == {
        "TableName": "dev-things",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }


def test_dead_letter_queues_come_before_the_queues_that_name_them(tmp_path: Path) -> None:
    dead, work = expanded(tmp_path, template()).queues
    assert dead == QueueSpec(name="dead", attributes={"SqsManagedSseEnabled": "true"})
    assert work == QueueSpec(
        name="work", attributes={"VisibilityTimeout": "15"}, dead_letter="dead", max_receive_count=9
    )


def test_a_function_has_the_globals_under_its_own_properties(tmp_path: Path) -> None:
    (function,) = expanded(tmp_path, template()).functions
    assert function.code_path == tmp_path / "functions/reader"
    assert (function.handler, function.timeout_s, function.memory_mb) == ("app.lambda_handler", 3, 128)
    assert function.environment == {"LEVEL": "INFO", "TABLE": "dev-things", "DAYS": "7"}


def test_routes_and_authorizer_are_those_of_the_api(tmp_path: Path) -> None:
    stack = expanded(tmp_path, template())
    assert stack.routes == (Route(method="GET", path="/things/{id}", scopes=("read",), function="Reader"),)
    assert stack.authorizer == Authorizer(
        issuer="https://issuer.example", audience=("a", "b"), identity_source="$request.header.Authorization"
    )


def test_a_resource_without_a_name_is_named_after_its_stack(tmp_path: Path) -> None:
    document = template()
    document["Outputs"] = {"Id": {"Value": {"Ref": "Api"}}, "Url": {"Value": {"Fn::GetAtt": ["Work", "QueueUrl"]}}}
    assert expanded(tmp_path, document).outputs == {
        "Id": "dev-Api",
        "Url": "https://sqs.eu-central-1.amazonaws.com/000000000000/work",
    }


def table(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "t", "KeySchema": [], **properties}}


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q", **properties}}


def function(event: dict[str, Any]) -> dict[str, Any]:
    properties = {"CodeUri": "x/", "Handler": "app.f", "Events": {"E": event}}
    return {"Type": "AWS::Serverless::Function", "Properties": properties}


ELSEWHERE = {"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:000000000000:elsewhere", "maxReceiveCount": 1}


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"Api": None}, "0 HTTP APIs"),
        ({"Other": {"Type": "AWS::Serverless::HttpApi"}}, "2 HTTP APIs"),
        ({"Api": {"Type": "AWS::Serverless::HttpApi"}}, "open to everybody"),
        ({"Reader": function(route(Authorizer="NONE"))}, "of its own, or none"),
        ({"Reader": function({"Type": "Schedule", "Properties": {}})}, "Schedule"),
        ({"Extra": table(StreamSpecification={})}, "StreamSpecification"),
        ({"Extra": queue(FifoQueue=True)}, "FifoQueue"),
        ({"Extra": queue(RedrivePolicy=ELSEWHERE)}, "elsewhere"),
        ({"Extra": queue(QueueName={"Ref": "Nobody"})}, "Nobody"),
        ({"Extra": queue(QueueName={"Fn::GetAtt": ["Api", "Arn"]})}, "Arn of Api"),
    ],
)
def test_what_has_no_local_meaning_is_refused_by_name(tmp_path: Path, resources: dict[str, Any], told: str) -> None:
    with pytest.raises(TemplateError, match=told):
        expanded(tmp_path, template(**resources))


def test_globals_of_another_kind_are_refused(tmp_path: Path) -> None:
    document = template()
    document["Globals"] = {"HttpApi": {"FailOnWarnings": True}}
    with pytest.raises(TemplateError, match="HttpApi"):
        expanded(tmp_path, document)


def test_an_unknown_function_is_an_error_wherever_it_stands(tmp_path: Path) -> None:
    document = template()
    document["Outputs"] = {"X": {"Value": {"Fn::Base64": "x"}}}
    with pytest.raises(TemplateError, match="Fn::Base64"):
        expanded(tmp_path, document)
