"""Permissions on the emulated AWS: creates the template's roles and policies there, and assumes the roles.

Owns the roles of a stack whose emulator enforces IAM: one per function, as the template has it, and one per site, with
its agents' policy. Each principal gets temporary credentials of its role and nothing else. `stack` calls it when it is
started with --iam.

These differences from AWS are made up for in `enforceable`:

* The emulator does not know `dynamodb:LeadingKeys`. Conditions on it are removed, because with them nothing would be
  allowed; tests judge the documents instead.
* For a batch the emulator wants an action of its own, where AWS wants the single action.
* The emulator names a log group without the `:*` that AWS puts behind it.

Another difference: here the emulator's root assumes the roles, on AWS the Lambda service or the agents' hosts do.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ivr_local.emulator import Endpoint, StartError
from ivr_local.template import Stack
from ivr_runtimes.telling import told

SESSION_S: Final = 12 * 3600
"""How long credentials last: the longest that IAM allows (MaxSessionDuration), so a stack may run for a day's work."""

NOT_ENFORCED: Final = "dynamodb:LeadingKeys"

BATCHES: Final = {name: f"{name}Batch" for name in ("sqs:DeleteMessage", "sqs:ChangeMessageVisibility")}
"""On AWS a batch needs the permission for its single action (SQS developer guide, "Amazon SQS API permissions")."""

Document = dict[str, Any]


def documents(stack: Stack) -> dict[str, Document]:
    """Return each principal's policy: of functions by logical id, of agents by `AgentPolicy<site>`."""
    by_function = {function.logical_id: _of_role(stack, function.logical_id) for function in stack.functions}
    by_site = {
        name: body["Properties"]["PolicyDocument"]
        for name, body in stack.resources.items()
        if body["Type"] == "AWS::IAM::ManagedPolicy"
    }
    return by_function | by_site


def enforceable(document: Document) -> Document:
    """Return a policy with which the emulator decides as AWS would, conditions on rows aside."""
    return {**document, "Statement": [_enforceable(statement) for statement in document["Statement"]]}


def admit(stack: Stack, endpoint: Endpoint, account_id: str) -> dict[str, dict[str, str]]:
    """Make every principal's role and return its credentials as environment variables. Blocks; raises `StartError`."""
    try:
        return {
            name: credentials(endpoint, _make(endpoint, name, enforceable(document), account_id))
            for name, document in documents(stack).items()
        }
    except (BotoCoreError, ClientError) as error:
        raise StartError(f"the roles of the template could not be made: {told(error)}") from error


def credentials(endpoint: Endpoint, role_arn: str) -> dict[str, str]:
    """Assume a role; return its credentials as environment variables."""
    answer = endpoint.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="stack", DurationSeconds=SESSION_S)[
        "Credentials"
    ]
    return {
        "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
        "AWS_SESSION_TOKEN": answer["SessionToken"],
    }


def _make(endpoint: Endpoint, name: str, document: Document, account_id: str) -> str:
    iam = endpoint.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"}}
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        MaxSessionDuration=SESSION_S,
    )["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="template", PolicyDocument=json.dumps(document))
    arn: str = role["Arn"]
    return arn


def _of_role(stack: Stack, function: str) -> Document:
    arn = stack.resources[function]["Properties"]["Role"]
    (role,) = [
        body["Properties"]
        for name, body in stack.resources.items()
        if body["Type"] == "AWS::IAM::Role" and arn.endswith(f"-{name}")
    ]
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    return {"Version": "2012-10-17", "Statement": statements}


def _enforceable(statement: Mapping[str, Any]) -> Document:
    actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
    batches = [BATCHES[action] for action in actions if action in BATCHES]
    groups = [resource.removesuffix(":*") for resource in resources if ":log-group:" in resource]
    return _without_rows({**statement, "Action": actions + batches, "Resource": resources + groups})


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _without_rows(statement: Mapping[str, Any]) -> Document:
    conditions = {
        operator: {key: value for key, value in keys.items() if key != NOT_ENFORCED}
        for operator, keys in statement.get("Condition", {}).items()
    }
    kept = {operator: keys for operator, keys in conditions.items() if keys}
    return {**statement, "Condition": kept} if kept else {k: v for k, v in statement.items() if k != "Condition"}
