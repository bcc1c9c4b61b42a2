"""The stack under enforced IAM: each function and each site's agents under the template's role, and nothing beyond.

The emulator judges actions, resources and explicit denials. It does not judge `dynamodb:LeadingKeys`, nor does any
other (docs/deploy.md): tests/iac judges those conditions on the documents. All other end-to-end tests that reach AWS
run with IAM enforced, too; the programs' own tests start a stack as its users do, without.
"""

import json
import sys
import uuid
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from emulators import ROOT
from ivr_local import access, template
from ivr_local.emulator import ACCOUNT_ID, REGION
from stack import eventually

pytestmark = pytest.mark.e2e

ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/"
REFUSALS = {"AccessDenied", "AccessDeniedException", "AccessDeniedFault"}
KEYS = {
    "runtimes": {"site": {"S": "SITE1"}, "id": {"S": "iam"}},
    "nodes": {"site": {"S": "SITE1"}, "node": {"S": "iam"}},
}

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def declared(stack) -> dict[str, Any]:
    """Each principal's policy, as the template has it."""
    expanded = template.expand(
        ROOT / "template.yaml",
        parameters={"JwtIssuer": stack.state["issuer"], "JwtAudience": "a", "Sites": "SITE1,SITE2"},
        stack_name=stack.state["stack_name"],
        region=REGION,
        account_id=ACCOUNT_ID,
    )
    return access.documents(expanded)


@pytest.fixture(scope="module")
def clients_of(stack) -> Callable[[str], Clients]:
    """Make AWS clients that act as a principal."""

    def clients_of(principal: str) -> Clients:
        given = stack.credentials_of(principal)
        session = boto3.Session(
            given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given["AWS_SESSION_TOKEN"], region_name=REGION
        )
        return lambda service: session.client(service, endpoint_url=stack.state["endpoint_url"])

    return clients_of


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allows(document: dict[str, Any], action: str, resource: str) -> bool:
    effects = {
        statement["Effect"]
        for statement in document["Statement"]
        if action in listed(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
    }
    return effects == {"Allow"}


def requests_of(declared: dict[str, Any]) -> set[tuple[str, str]]:
    """Every action with every resource that any principal may use it on; a pattern stands for each queue it matches."""
    prefix = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:ivr-runtimes-local-stop-"
    queues = [f"{prefix}{site}{end}" for site in ("SITE1", "SITE2") for end in ("", "-dlq")]
    found: set[tuple[str, str]] = set()
    for document in declared.values():
        for statement in document["Statement"]:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    matched = [queue for queue in queues if fnmatchcase(queue, resource)]
                    found |= {(action, one) for one in matched or [resource]}
    return {(action, resource) for action, resource in found if not action.startswith("xray:")}  # not emulated


def attempt(clients: Clients, action: str, resource: str) -> bool:
    """Send a request of that action; tell whether it passed IAM. An error of another kind came after that."""
    try:
        CALLS[action.partition(":")[0]](clients, action.partition(":")[2], resource)
    except ClientError as error:
        return error.response["Error"]["Code"] not in REFUSALS
    return True


def on_table(clients: Clients, action: str, resource: str) -> None:
    dynamodb = clients("dynamodb")
    name, _, index = resource.removeprefix(ARN).partition("/index/")
    key = KEYS["nodes" if name.endswith("nodes") else "runtimes"]
    field = "domain" if index else "site"
    query = {
        "KeyConditionExpression": "#f = :v",
        "ExpressionAttributeNames": {"#f": field},
        "ExpressionAttributeValues": {":v": {"S": "SITE1"}},
        **({"IndexName": index} if index else {}),
    }
    match action:
        case "Query":
            dynamodb.query(TableName=name, **query)
        case "Scan":
            dynamodb.scan(TableName=name)
        case "GetItem":
            dynamodb.get_item(TableName=name, Key=key)
        case "PutItem":
            dynamodb.put_item(TableName=name, Item=key, ConditionExpression="attribute_exists(absent)")
        case "BatchGetItem":
            dynamodb.batch_get_item(RequestItems={name: {"Keys": [key]}})
        case "BatchWriteItem":
            dynamodb.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key}}]})
        case unknown:
            raise LookupError(unknown)


def on_queue(clients: Clients, action: str, resource: str) -> None:
    sqs = clients("sqs")
    url = f"http://127.0.0.1/{ACCOUNT_ID}/{resource.rpartition(':')[2]}"
    match action:
        case "SendMessage":
            sqs.send_message(QueueUrl=url, MessageBody="no command", MessageGroupId="iam")
        case "ReceiveMessage":
            sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
        case "DeleteMessage":
            sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "none"}])
        case "ChangeMessageVisibility":
            entry = {"Id": "1", "ReceiptHandle": "none", "VisibilityTimeout": 0}
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])
        case unknown:
            raise LookupError(unknown)


def on_logs(clients: Clients, action: str, resource: str) -> None:
    logs = clients("logs")
    group = resource.split(":log-group:")[1].removesuffix(":*")
    match action:
        case "CreateLogStream":
            logs.create_log_stream(logGroupName=group, logStreamName="iam")
        case "DescribeLogStreams":
            logs.describe_log_streams(logGroupName=group)
        case "PutLogEvents":
            logs.put_log_events(logGroupName=group, logStreamName="iam", logEvents=[{"timestamp": 1, "message": "x"}])
        case unknown:
            raise LookupError(unknown)


CALLS: dict[str, Callable[[Clients, str, str], None]] = {"dynamodb": on_table, "sqs": on_queue, "logs": on_logs}


@pytest.mark.parametrize(
    "principal", ["ListRuntimesFunction", "StopRuntimeFunction", "AgentPolicySITE1", "AgentPolicySITE2"]
)
def test_a_principal_may_do_what_its_policy_names_and_nothing_that_another_may(declared, clients_of, principal) -> None:
    clients = clients_of(principal)
    wanted = requests_of(declared)
    allowed = {request for request in wanted if allows(declared[principal], *request)}
    assert allowed
    assert allowed != wanted
    assert {request for request in wanted if attempt(clients, *request)} == allowed


def test_every_principal_of_the_template_is_tested(declared) -> None:
    assert set(declared) == {"ListRuntimesFunction", "StopRuntimeFunction", "AgentPolicySITE1", "AgentPolicySITE2"}


@pytest.mark.parametrize("action", ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"])
def test_another_sites_queue_is_refused(clients_of, action) -> None:
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:ivr-runtimes-local-stop-"
    assert attempt(clients_of("AgentPolicySITE1"), f"sqs:{action}", f"{queue}SITE1")
    assert not attempt(clients_of("AgentPolicySITE1"), f"sqs:{action}", f"{queue}SITE2")


def test_nobody_may_make_or_drop_a_table_or_run_partiql(declared, clients_of, stack) -> None:
    table = stack.state["tables"]["RuntimesTable"]
    partiql = f'SELECT * FROM "{table}"'  # noqa: S608  # the table's name is ours
    for principal in declared:
        dynamodb = clients_of(principal)("dynamodb")
        for forbidden in (
            partial(dynamodb.delete_table, TableName=table),
            partial(dynamodb.describe_table, TableName=table),
            partial(dynamodb.execute_statement, Statement=partiql),
        ):
            with pytest.raises(ClientError) as refused:
                forbidden()
            assert refused.value.response["Error"]["Code"] in REFUSALS, (principal, refused.value)


def test_an_unknown_key_is_nobody(stack) -> None:
    for key in ("AKIAUNKNOWN000000000", "testing"):
        session = boto3.Session(key, "secret", region_name=REGION)
        with pytest.raises(ClientError) as refused:
            session.client("dynamodb", endpoint_url=stack.state["endpoint_url"]).list_tables()
        assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"


def environment_of(pid: int | str) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


@pytest.mark.skipif(sys.platform != "linux", reason="reads other processes' environment in /proc")
def test_functions_and_agents_run_under_the_roles_of_the_template(stack) -> None:
    gateway = stack.state["gateway_pid"]
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    started = [environment_of(pid) for pid in children]
    prefix = f"{stack.state['stack_name']}-"
    principals = [
        (own["AWS_LAMBDA_FUNCTION_NAME"].removeprefix(prefix), own)
        for own in started
        if "AWS_LAMBDA_FUNCTION_NAME" in own
    ]
    principals += [(f"AgentPolicy{node['site']}", environment_of(node["agent_pid"])) for node in stack.state["nodes"]]
    assert len(principals) >= 6
    assert len({principal for principal, _ in principals}) == 4
    for principal, own in principals:
        session = boto3.Session(
            own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"], own["AWS_SESSION_TOKEN"], region_name=REGION
        )
        identity = session.client("sts", endpoint_url=stack.state["endpoint_url"]).get_caller_identity()
        assert identity["Arn"].startswith(f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{principal}/")


def test_a_script_is_listed_and_stopped_under_these_roles(stack) -> None:
    token = stack.token(stack.domains[0])
    rows = eventually(lambda: stack.rows(token, order="-starttime"), within_s=40)
    youngest = rows[0]["id"]  # it will not end meanwhile
    assert stack.stop(token, youngest, key=str(uuid.uuid4())).status == 204


def test_the_emulator_still_does_not_know_row_conditions(stack, clients_of) -> None:
    """It takes the key for absent, so the statement allows nothing. If this fails, it can enforce them: let it."""
    root = boto3.Session("local", "local", region_name=REGION)
    iam = root.client("iam", endpoint_url=stack.state["endpoint_url"])
    name = f"rows-{uuid.uuid4()}"
    table = f"{ARN}{stack.state['tables']['NodesTable']}"
    conditions = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["SITE1"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    own_rows = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": table, "Condition": conditions}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}}
    wrapped = [json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, own_rows)]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=wrapped[0], MaxSessionDuration=access.SESSION_S)
    iam.put_role_policy(RoleName=name, PolicyName="rows", PolicyDocument=wrapped[1])
    assert not attempt(clients_of(name), "dynamodb:GetItem", table)
