"""Least privilege: who may do what. No emulator enforces these conditions, so the documents themselves are judged."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from ivr_local.template import Stack

Statement = dict[str, Any]

LIST = {"dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"}
STOP = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "sqs:SendMessage"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
AGENT = {
    *("dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
    *("dynamodb:GetItem", "dynamodb:Query"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"),
    *("sqs:SendMessage", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
}
WITHOUT_RESOURCE = TRACES
"""Actions for which AWS knows no resource but "*" (Service Authorization Reference, "Actions ... for AWS X-Ray")."""
TABLES = "arn:aws:dynamodb:eu-central-1:000000000000:table/"
QUEUES = "arn:aws:sqs:eu-central-1:000000000000:"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def of_role(stack: Stack, function: str) -> list[Statement]:
    arn = stack.resources[function]["Properties"]["Role"]
    role = stack.resources[arn.rpartition("/st-")[2]]["Properties"]
    assert not role.keys() & {"ManagedPolicyArns"}
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def of_agents(stack: Stack, site: str) -> list[Statement]:
    document = stack.resources[f"AgentPolicy{site}"]["Properties"]["PolicyDocument"]
    statements: list[Statement] = document["Statement"]
    return statements


def actions(statements: list[Statement]) -> set[str]:
    return {action for statement in statements for action in listed(statement["Action"])}


def allows(statements: list[Statement], action: str, resource: str) -> bool:
    """Judge as IAM does, conditions aside: an explicit deny wins, and what nobody allows is denied."""
    effects = {
        statement["Effect"]
        for statement in statements
        if action in listed(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
    }
    return effects == {"Allow"}


def test_every_function_has_a_role_of_its_own(stack: Stack) -> None:
    functions = [body["Properties"] for body in stack.resources.values() if body["Type"] == "AWS::Serverless::Function"]
    roles = [function["Role"] for function in functions]
    assert len(set(roles)) == len(roles) == 2
    assert not any("Policies" in function for function in functions)


def test_the_functions_may_do_exactly_what_they_do(stack: Stack) -> None:
    assert actions(of_role(stack, "ListRuntimesFunction")) == LIST | LOGS | TRACES
    assert actions(of_role(stack, "StopRuntimeFunction")) == STOP | LOGS | TRACES


def test_the_agents_may_do_exactly_what_they_do(stack: Stack) -> None:
    for site in ("SITE1", "SITE2"):
        assert actions(of_agents(stack, site)) == AGENT


def test_no_statement_is_for_anything_at_all(stack: Stack) -> None:
    """Each resource names service, region, account and this stack; each action is one action."""
    statements = [
        *of_role(stack, "ListRuntimesFunction"),
        *of_role(stack, "StopRuntimeFunction"),
        *of_agents(stack, "SITE1"),
    ]
    for statement in statements:
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        if statement["Resource"] == "*":
            assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE
            continue
        for resource in listed(statement["Resource"]):
            service, region, account, name = resource.split(":", 5)[2:]
            assert (region, account) == ("eu-central-1", "000000000000")
            assert service in {"dynamodb", "sqs", "logs"}
            assert name.startswith(
                ("table/st-", "st-", "log-group:/aws/lambda/st-", "log-group:/ivr-runtimes/st/agents:")
            )


def test_the_list_reads_runtimes_through_the_index_or_by_key(stack: Stack) -> None:
    role = of_role(stack, "ListRuntimesFunction")
    assert allows(role, "dynamodb:Query", f"{TABLES}st-runtimes/index/by_domain")
    assert [action for action in LIST if allows(role, action, f"{TABLES}st-runtimes")] == ["dynamodb:BatchGetItem"]
    assert [action for action in LIST if allows(role, action, f"{TABLES}st-nodes")] == ["dynamodb:Scan"]


def test_the_stop_writes_to_no_table(stack: Stack) -> None:
    role = of_role(stack, "StopRuntimeFunction")
    assert allows(role, "dynamodb:BatchGetItem", f"{TABLES}st-runtimes")
    assert allows(role, "dynamodb:GetItem", f"{TABLES}st-nodes")
    assert not [
        action for action in AGENT if "Item" in action and action != "dynamodb:GetItem" and action in actions(role)
    ]


@pytest.mark.parametrize(
    ("queue", "may"), [("st-stop-SITE1", True), ("st-stop-SITE1-dlq", False), ("other-stop-SITE1", False)]
)
def test_the_stop_sends_to_stop_queues_but_never_to_their_dead_letter_queues(
    stack: Stack, queue: str, may: bool
) -> None:
    assert allows(of_role(stack, "StopRuntimeFunction"), "sqs:SendMessage", f"{QUEUES}{queue}") is may


def test_an_agent_is_confined_to_its_sites_partition_of_both_tables(stack: Stack) -> None:
    """`ForAllValues` holds for a request without any key, so `Null: false` must stand beside it."""
    for site in ("SITE1", "SITE2"):
        (rows,) = [statement for statement in of_agents(stack, site) if "dynamodb:PutItem" in statement["Action"]]
        assert rows["Condition"] == {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [site]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
        assert sorted(rows["Resource"]) == [f"{TABLES}st-nodes", f"{TABLES}st-runtimes"]


@pytest.mark.parametrize(
    ("action", "queue", "may"),
    [
        ("sqs:ReceiveMessage", "st-stop-SITE1", True),
        ("sqs:SendMessage", "st-stop-SITE1-dlq", True),
        ("sqs:SendMessage", "st-stop-SITE1", False),
        ("sqs:ReceiveMessage", "st-stop-SITE1-dlq", False),
        ("sqs:ReceiveMessage", "st-stop-SITE2", False),
        ("sqs:SendMessage", "st-stop-SITE2-dlq", False),
    ],
)
def test_an_agent_works_on_its_own_queues_only(stack: Stack, action: str, queue: str, may: bool) -> None:
    assert allows(of_agents(stack, "SITE1"), action, f"{QUEUES}{queue}") is may


def test_only_lambda_assumes_the_functions_roles(stack: Stack) -> None:
    for body in stack.resources.values():
        if body["Type"] == "AWS::IAM::Role":
            (statement,) = body["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
