"""delivery/deployer-policy.json: enough to deploy every resource of the template, by AWS's own word, and little more.

Which permissions a type's creation, reading, update and deletion ask for, AWS tells in the type's schema (`handlers`;
CloudFormation CLI user guide, "Resource type schema"), and cfn-lint ships these schemas. They name what any property
may need, so what only others need is left out here, with the reason.
"""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from subprocess import CompletedProcess
from typing import Any

import pytest

from emulators import ROOT
from ivr_local.template import Stack

Sam = Callable[..., "CompletedProcess[str]"]
ExpandedWith = Callable[..., Stack]

POLICY = json.loads((ROOT / "delivery" / "deployer-policy.json").read_text(encoding="utf-8"))

MANAGED_POLICY_CHARACTERS = 6_144
"""Of a managed policy, white space aside (AWS: "IAM and AWS STS quotas")."""

MADE_OF = {
    "AWS::Serverless::Function": ["AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"],
    "AWS::Serverless::HttpApi": ["AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::Lambda::Permission"],
    "AWS::Serverless::LayerVersion": ["AWS::Lambda::LayerVersion"],
}
"""AWS: "Generated CloudFormation resources for AWS SAM"."""

OF_SAM = ["AWS::S3::Bucket", "AWS::S3::BucketPolicy"]
"""The stack that `sam deploy --resolve-s3` makes once for what it uploads."""

ARNS = {
    "dynamodb": "arn:aws:dynamodb:eu-central-1:000000000000:table/{stack}-runtimes",
    "sqs": "arn:aws:sqs:eu-central-1:000000000000:{stack}-stop-SITE1-dlq",
    "lambda": "arn:aws:lambda:eu-central-1:000000000000:function:{stack}-StopRuntimeFunction-1A2B3C",
    "apigateway": "arn:aws:apigateway:eu-central-1::/apis/a1b2c3",
    "s3": "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1a2b3c",
    "AWS::S3::Bucket": "arn:aws:s3:::{stack}-consolebucket-1a2b3c",
    "AWS::S3::BucketPolicy": "arn:aws:s3:::{stack}-consolebucket-1a2b3c",
    "cloudfront": "*",
    "cloudformation": "arn:aws:cloudformation:eu-central-1:000000000000:stack/{stack}/uuid",
    "logs": "arn:aws:logs:eu-central-1:000000000000:log-group:/aws/vendedlogs/{stack}-api:*",
    "AWS::Logs::QueryDefinition": "*",
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:eu-central-1:000000000000:alarm:{stack}-ApiErrors",
    "AWS::CloudWatch::Dashboard": "arn:aws:cloudwatch::000000000000:dashboard/{stack}-eu-central-1",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:eu-central-1:000000000000:layer:CoreLayer:7",
    "AWS::IAM::Role": "arn:aws:iam::000000000000:role/{stack}-StopRuntimeRole-1A2B3C",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::000000000000:policy/{stack}-AgentPolicySITE1-1A2B3C",
    "iam": "arn:aws:iam::000000000000:role/{stack}-StopRuntimeRole-1A2B3C",
}
"""One of each type, or of the service of an action, named as AWS does (AWS: "Service Authorization Reference")."""

NOT_OURS = {
    r"kms:.*": "no key of the customer's",
    r"(kinesis|firehose):.*|dynamodb:\w+KinesisStreamingDestination": "no stream",
    r"(ec2|elasticfilesystem|s3files):.*": "no VPC, no file system",
    r"codedeploy:.*|lambda:\w*CapacityProvider": "no gradual deployment, no machines of one's own",
    r"s3tables:.*|.*Metadata\w*Configuration": "no tables in S3",
    r"s3:REST.PUT.OBJECT|s3:GetObjectMetadata": "no such action",
    r"dynamodb:(\w+TableReplica|ImportTable)": "no replica, no import",
    r"dynamodb:(BatchWrite|Delete|Get|Put|Update)Item|dynamodb:(Query|Scan)": "rows, which imports and replicas copy",
    r"logs:(CreateLogStream|DescribeLogStreams|PutLogEvents)": "an import's log",
    r"logs:(Put(BearerToken|DataProtection|Index)\w*|\w+KmsKey|PutLogGroupDeletionProtection)": "properties not set",
    r"iam:(Attach|Detach)\w+Policy|iam:\w+RolePermissionsBoundary": "the template attaches none, and sets no boundary",
    r"iam:CreateServiceLinkedRole": "for replicas",
}
"""Actions that a schema names for properties that the template does not set."""

FOR_OTHERS = {
    ("AWS::S3::Bucket", "iam:PassRole"): "replication",
    ("AWS::DynamoDB::Table", "s3:GetObject"): "an import",
    ("AWS::DynamoDB::Table", "s3:ListBucket"): "an import",
    ("AWS::DynamoDB::Table", "logs:CreateLogGroup"): "an import's log",
    ("AWS::DynamoDB::Table", "logs:DescribeLogGroups"): "an import's log",
    ("AWS::DynamoDB::Table", "logs:PutRetentionPolicy"): "an import's log",
}

SCHEMAS = """
import json, sys
from importlib.util import find_spec
from pathlib import Path
schemas = Path(find_spec("cfnlint").origin).parent / "data" / "schemas"
region = json.loads((schemas / "providers" / "eu-central-1.json").read_text())
asked = {}
for kind in json.loads(sys.argv[1]):
    schema = json.loads((schemas / "resources" / f"{region[kind].removesuffix('.json')}.json").read_text())
    parts = [schema["handlers"].get(part, {}) for part in ("create", "read", "update", "delete")]
    asked[kind] = sorted({action for part in parts for action in part.get("permissions", ())})
print(json.dumps(asked))
"""


def listed(value: "str | list[str]") -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(action: str, resource: str) -> bool:
    """Judge as IAM does, conditions aside: names of actions in any letter case, * for any characters."""
    return any(
        any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        for statement in POLICY["Statement"]
    )


@pytest.fixture(scope="module")
def stack(expanded_with: ExpandedWith) -> Stack:
    """All that the template may make: the console, too."""
    return expanded_with(Console="on")


def types(stack: Stack) -> list[str]:
    found = {resource["Type"] for resource in stack.resources.values()}
    return sorted({made for kind in found for made in MADE_OF.get(kind, [kind])} | set(OF_SAM))


def needed(kind: str, actions: list[str], stack_name: str) -> Iterator[tuple[str, str]]:
    """Yield what the template's own use of a type needs, each action with a resource of such a stack."""
    for action in actions:
        if (kind, action) not in FOR_OTHERS and not any(re.fullmatch(one, action) for one in NOT_OURS):
            service = kind.split("::")[1].lower()
            of_type = kind in ARNS and action.partition(":")[0] == service
            yield action, ARNS[kind if of_type else action.partition(":")[0]].format(stack=stack_name)


@pytest.mark.e2e
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_policy_allows_what_every_type_of_the_template_asks_for(stack: Stack, sam: Sam, environment: str) -> None:
    ran = sam("python", "-c", SCHEMAS, json.dumps(types(stack)))
    assert ran.returncode == 0, ran.stderr
    asked: dict[str, list[str]] = json.loads(ran.stdout)
    assert all(asked.values())
    lacking = [
        (kind, action, resource)
        for kind, actions in asked.items()
        for action, resource in needed(kind, actions, f"ivr-runtimes-{environment}")
        if not allows(action, resource)
    ]
    assert lacking == []


def test_every_resource_of_the_template_is_of_a_service_that_the_policy_knows(stack: Stack) -> None:
    """Which needs no SAM, and so fails first where a resource of another kind comes into the template."""
    known = {action.partition(":")[0] for one in POLICY["Statement"] for action in listed(one["Action"])}
    services = {kind.split("::")[1].lower() for kind in types(stack)}
    assert {{"apigatewayv2": "apigateway"}.get(service, service) for service in services} <= known


@pytest.mark.parametrize(
    "action",
    [
        # AWS: "Configure logging for HTTP APIs in API Gateway".
        *(f"logs:{verb}LogDelivery" for verb in ("Create", "Update", "Delete", "Get")),
        *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
    ],
)
def test_the_access_log_can_be_switched_on(action: str) -> None:
    assert allows(action, "*")


def test_both_transforms_and_each_step_of_a_deployment_are_allowed(document: dict[str, Any]) -> None:
    for transform in document["Transform"]:
        arn = f"arn:aws:cloudformation:eu-central-1:aws:transform/{transform.removeprefix('AWS::')}"
        assert allows("cloudformation:CreateChangeSet", arn)
    for stack_name in ("ivr-runtimes-prod", "aws-sam-cli-managed-default"):
        for step in ("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DescribeStackEvents", "DeleteStack"):
            assert allows(f"cloudformation:{step}", ARNS["cloudformation"].format(stack=stack_name))


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("cloudformation:DeleteStack", "cloudformation"),
        ("dynamodb:DeleteTable", "dynamodb"),
        ("sqs:DeleteQueue", "sqs"),
        ("lambda:UpdateFunctionCode", "lambda"),
        ("logs:DeleteLogGroup", "logs"),
        ("cloudwatch:PutMetricAlarm", "AWS::CloudWatch::Alarm"),
        ("cloudwatch:PutDashboard", "AWS::CloudWatch::Dashboard"),
        ("iam:CreateRole", "AWS::IAM::Role"),
        ("iam:PassRole", "AWS::IAM::Role"),
        ("iam:CreatePolicyVersion", "AWS::IAM::ManagedPolicy"),
    ],
)
def test_other_stacks_resources_are_out_of_reach(action: str, kind: str) -> None:
    assert allows(action, ARNS[kind].format(stack="ivr-runtimes-dev"))
    assert not allows(action, ARNS[kind].format(stack="billing"))


def test_it_neither_reads_rows_or_messages_nor_passes_roles_to_other_services() -> None:
    for action, service in [
        ("dynamodb:GetItem", "dynamodb"),
        ("dynamodb:Scan", "dynamodb"),
        ("sqs:SendMessage", "sqs"),
    ]:
        assert not allows(action, ARNS[service].format(stack="ivr-runtimes-prod"))
    (passing,) = [one for one in POLICY["Statement"] if "iam:PassRole" in listed(one["Action"])]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_it_fits_one_managed_policy() -> None:
    assert len(re.sub(r"\s", "", json.dumps(POLICY))) <= MANAGED_POLICY_CHARACTERS
