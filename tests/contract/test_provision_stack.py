"""The stack of template.yaml made by `provision`, on moto and on ministack."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from emulators import STACK, clients, expanded
from ivr_local import provision
from ivr_local.template import Stack

Clients = tuple[Any, Any]


@pytest.fixture(params=["moto", "ministack"])
def aws(request: pytest.FixtureRequest) -> Iterator[Clients]:
    if request.param == "moto":
        with mock_aws():
            yield clients()
        return
    dynamodb, sqs = clients(request.getfixturevalue("ministack_endpoint"))
    yield dynamodb, sqs
    for name in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=name)
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)


def attributes(sqs: Any, url: str) -> dict[str, str]:
    answer: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return answer


def test_every_table_stands_with_its_keys_index_and_time_to_live(aws: Clients) -> None:
    dynamodb, sqs = aws
    provision.create(expanded(), dynamodb, sqs)
    runtimes = dynamodb.describe_table(TableName=f"{STACK}-runtimes")["Table"]
    nodes = dynamodb.describe_table(TableName=f"{STACK}-nodes")["Table"]
    assert [key["AttributeName"] for key in runtimes["KeySchema"]] == ["site", "id"]
    assert [key["AttributeName"] for key in nodes["KeySchema"]] == ["site", "node"]
    (index,) = runtimes["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by_domain"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["domain", "start_key"]
    for table in (f"{STACK}-runtimes", f"{STACK}-nodes"):
        ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")


def test_every_queue_stands_with_its_dead_letter_queue(aws: Clients) -> None:
    dynamodb, sqs = aws
    urls = provision.create(expanded(), dynamodb, sqs)
    for site in ("SITE1", "SITE2"):
        work = attributes(sqs, urls[f"{STACK}-stop-{site}"])
        dead = attributes(sqs, urls[f"{STACK}-stop-{site}-dlq"])
        assert (work["MessageRetentionPeriod"], work["VisibilityTimeout"]) == ("7200", "15")
        assert dead["MessageRetentionPeriod"] == "1209600"
        redrive = json.loads(work["RedrivePolicy"])
        assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (dead["QueueArn"], 1000)


def test_a_second_start_keeps_what_is_stored(aws: Clients) -> None:
    dynamodb, sqs = aws
    urls = provision.create(expanded(), dynamodb, sqs)
    row = {"site": {"S": "SITE1"}, "node": {"S": "site1_h6@192.168.0.12"}}
    dynamodb.put_item(TableName=f"{STACK}-nodes", Item=row)
    sqs.send_message(QueueUrl=urls[f"{STACK}-stop-SITE1"], MessageBody="kept")
    assert provision.create(expanded(), dynamodb, sqs) == urls
    assert dynamodb.get_item(TableName=f"{STACK}-nodes", Key=row)["Item"] == row
    (message,) = sqs.receive_message(QueueUrl=urls[f"{STACK}-stop-SITE1"])["Messages"]
    assert message["Body"] == "kept"


def test_a_changed_queue_attribute_is_brought_in_line(aws: Clients) -> None:
    dynamodb, sqs = aws
    stack = expanded()
    older = tuple(replace(queue, attributes={"VisibilityTimeout": "99"}) for queue in stack.queues)
    provision.create(replace(stack, queues=older), dynamodb, sqs)
    urls = provision.create(stack, dynamodb, sqs)
    assert attributes(sqs, urls[f"{STACK}-stop-SITE1"])["VisibilityTimeout"] == "15"


def test_a_table_left_with_other_keys_is_told_not_used(aws: Clients) -> None:
    dynamodb, sqs = aws
    stack = expanded()
    provision.create(replace(stack, tables=(without_index(stack),), queues=()), dynamodb, sqs)
    with pytest.raises(provision.ProvisionError, match=f"{STACK}-runtimes stands with other keys"):
        provision.create(stack, dynamodb, sqs)


def without_index(stack: Stack) -> Any:
    table = stack.tables[0]
    kept = {key: value for key, value in table.create.items() if key != "GlobalSecondaryIndexes"}
    kept["AttributeDefinitions"] = [a for a in kept["AttributeDefinitions"] if a["AttributeName"] in {"site", "id"}]
    return replace(table, create=kept)


class NeverActive:
    """A DynamoDB whose tables stay in creation, as they are on AWS for some seconds."""

    def create_table(self, **_: Any) -> None: ...

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"TableStatus": "CREATING"}}


def test_a_table_that_does_not_become_active_is_an_error() -> None:
    dynamodb: Any = NeverActive()
    sqs: Any = None
    with pytest.raises(provision.ProvisionError, match="not active after 0 s"):
        provision.create(expanded(), dynamodb, sqs, ready_within_s=0)
