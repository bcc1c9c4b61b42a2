"""Creates what a template declares: tables with their time to live, queues with their dead-letter queues.

Owns the order and the waiting. Never deletes, and changes nothing that is already as declared, so it may run at every
start. `emulator` calls it with its own clients.
"""

import json
import time
from typing import TYPE_CHECKING, Final, cast

from ivr_local.template import QueueSpec, Stack, TableSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType

READY_WITHIN_S: Final = 30.0
"""How long a table may take to become active. Emulators need milliseconds, AWS some ten seconds."""

POLL_INTERVAL_S: Final = 0.1


class ProvisionError(Exception):
    """A table is not as the template declares, and cannot be changed to that."""


def create(
    stack: Stack, dynamodb: "DynamoDBClient", sqs: "SQSClient", *, ready_within_s: float = READY_WITHIN_S
) -> dict[str, str]:
    """Create all tables and queues of a stack; return each queue's URL by its name.

    Returns when every table is active. Raises `ProvisionError` when one is not in time, or exists with other keys.
    """
    for table in stack.tables:
        _create_table(table, dynamodb)
    _wait_until_active(stack.tables, dynamodb, within_s=ready_within_s)
    for table in stack.tables:
        _expire(table, dynamodb)
    urls: dict[str, str] = {}
    for queue in stack.queues:
        urls[queue.name] = sqs.create_queue(QueueName=queue.name)["QueueUrl"]
        _set_attributes(queue, urls, sqs)
    return urls


def _create_table(table: TableSpec, dynamodb: "DynamoDBClient") -> None:
    try:
        dynamodb.create_table(**table.create)
    except dynamodb.exceptions.ResourceInUseException:
        _check_keys(table, dynamodb)


def _check_keys(table: TableSpec, dynamodb: "DynamoDBClient") -> None:
    """Check the keys of a table that exists already: a table's keys cannot be changed."""
    standing = dynamodb.describe_table(TableName=table.name)["Table"]
    declared = {"": table.create["KeySchema"]}
    declared |= {index["IndexName"]: index["KeySchema"] for index in table.create.get("GlobalSecondaryIndexes", ())}
    found = {"": standing.get("KeySchema", [])}
    found |= {
        index.get("IndexName", ""): index.get("KeySchema", []) for index in standing.get("GlobalSecondaryIndexes", ())
    }
    if found != declared:
        raise ProvisionError(
            f"table {table.name} stands with other keys or indexes than the template's: delete it first"
        )


def _wait_until_active(tables: tuple[TableSpec, ...], dynamodb: "DynamoDBClient", *, within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    for table in tables:
        while dynamodb.describe_table(TableName=table.name)["Table"].get("TableStatus") != "ACTIVE":
            if time.monotonic() >= deadline_s:
                raise ProvisionError(f"table {table.name} is not active after {within_s:g} s")
            time.sleep(POLL_INTERVAL_S)


def _expire(table: TableSpec, dynamodb: "DynamoDBClient") -> None:
    """Turn time to live on, once: AWS refuses to set what is already set."""
    if table.ttl_attribute is None:
        return
    standing = dynamodb.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    if standing.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        return
    dynamodb.update_time_to_live(
        TableName=table.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
    )


def _set_attributes(queue: QueueSpec, urls: dict[str, str], sqs: "SQSClient") -> None:
    """Set what the template declares, also on a queue that exists already: CreateQueue would refuse other values."""
    attributes = dict(queue.attributes)
    if queue.dead_letter is not None:
        answer = sqs.get_queue_attributes(QueueUrl=urls[queue.dead_letter], AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": queue.max_receive_count}
        attributes["RedrivePolicy"] = json.dumps(policy)
    sqs.set_queue_attributes(
        QueueUrl=urls[queue.name], Attributes=cast("Mapping[QueueAttributeNameType, str]", attributes)
    )
