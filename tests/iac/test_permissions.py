"""Least privilege: who may do what. No emulator enforces these conditions, so the documents themselves are judged."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from ivr_local.template import Stack
from ivr_runtimes.ports import Message, WriteBatch
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable
from ivr_runtimes.stores.sqs import Inbox
from rows import PLAYER, node_of

Statement = dict[str, Any]

LIST = {"dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"}
STOP = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "sqs:SendMessage"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
SHIPPING = {"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}
"""What the log shipper of the agents' hosts calls."""
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


def called(use: Callable[[Any], object], service: str) -> set[str]:
    """The actions of whatever a store calls; a batch of SQS needs the permission for its single action."""
    client = boto3.client(service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")  # type: ignore[call-overload]
    operations: set[str] = set()

    def note(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        """Answer in AWS's place that there is nothing."""
        operations.add(model.name.removesuffix("Batch"))
        return SimpleNamespace(status_code=200), {"Items": [], "ResponseMetadata": {}}

    client.meta.events.register("before-call", note)
    use(client)
    return {f"{service}:{operation}" for operation in operations}


def test_the_agents_may_do_exactly_what_their_stores_call(stack: Stack) -> None:
    """Each store through the whole of the port by which an agent knows it: writer, lease table, inbox."""

    def runtimes(client: Any) -> None:
        table = RuntimeTable(client, "t")
        table.write(WriteBatch(site=PLAYER.site, puts=[PLAYER]))
        list(table.rows_of_node(PLAYER.site, PLAYER.node))

    def nodes(client: Any) -> None:
        NodeTable(client, "t").read(PLAYER.site, PLAYER.node)
        NodeTable(client, "t").renew(node_of(PLAYER, lease_until_s=1), now_s=0)

    def queue(client: Any) -> None:
        inbox = Inbox(client, "queue", "dead letters")
        inbox.receive(wait_s=0)
        inbox.delete(["r"])
        inbox.set_visibility(["r"], visibility_s=0)

    def dead_letters(client: Any) -> None:
        Inbox(client, "queue", "dead letters").dead_letter(
            Message(body="body", receipt="r", message_id="m", receive_count=1)
        )

    for site in ("SITE1", "SITE2"):
        allowed = {one["Sid"]: set(listed(one["Action"])) for one in of_agents(stack, site)}
        assert allowed == {
            "OwnRuntimes": called(runtimes, "dynamodb"),
            "OwnNodes": called(nodes, "dynamodb"),
            "OwnQueue": called(queue, "sqs"),
            "OwnDeadLetters": called(dead_letters, "sqs"),
            "ShipLogs": SHIPPING,
        }


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
    assert {action for action in actions(role) if action.startswith("dynamodb:")} == STOP - {"sqs:SendMessage"}


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
        rows = [one for one in of_agents(stack, site) if str(listed(one["Action"])[0]).startswith("dynamodb:")]
        for statement in rows:
            assert statement["Condition"] == {
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [site]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            }
        assert sorted(statement["Resource"] for statement in rows) == [f"{TABLES}st-nodes", f"{TABLES}st-runtimes"]


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
