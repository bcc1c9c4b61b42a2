"""Forged answers are such as AWS gives: boto reads them, and nothing of a batch is both done and refused."""

from random import Random

import pytest

from chaos import wire
from chaos.schedule import Kind

PUTS = [{"PutRequest": {"Item": {"site": {"S": "SITE1"}, "id": {"S": str(number)}}}} for number in range(25)]
KEYS = [{"site": {"S": site}, "id": {"S": "1"}} for site in ("SITE1", "SITE2")]
ENTRIES = [{"Id": str(number), "ReceiptHandle": f"receipt-{number}"} for number in range(10)]


def test_an_operation_is_known_by_its_target():
    assert wire.operation("DynamoDB_20120810.BatchWriteItem") == ("dynamodb", "BatchWriteItem")
    assert wire.operation("AmazonSQS.ReceiveMessage") == ("sqs", "ReceiveMessage")


def test_what_sets_the_stack_up_is_never_broken():
    assert wire.fitting("CreateTable") == wire.fitting("") == ()


def test_only_writes_land_late_only_batches_are_torn_and_only_messages_come_twice():
    for name in wire.READS | wire.WRITES:
        kinds = set(wire.fitting(name))
        assert (Kind.HELD in kinds) is (name in wire.WRITES)
        assert (Kind.PARTIAL in kinds) is ("Batch" in name)
        assert (Kind.TWICE in kinds) is (Kind.LATE in kinds) is (name == "SendMessage")
        assert {Kind.THROTTLED, Kind.FAILED, Kind.HUNG, Kind.CUT, Kind.LOST} <= kinds


@pytest.mark.parametrize("seed", range(30))
def test_a_torn_batch_of_rows_loses_none_and_repeats_none(seed):
    request = {"RequestItems": {"t": PUTS}, "ReturnConsumedCapacity": "NONE"}
    left, addition = wire.split("BatchWriteItem", request, Random(seed))
    kept = left["RequestItems"]["t"] if left else []
    refused = addition["UnprocessedItems"]["t"]
    assert refused
    assert sorted(map(str, kept + refused)) == sorted(map(str, PUTS))


@pytest.mark.parametrize("seed", range(10))
def test_unprocessed_keys_can_be_asked_for_again_as_they_are(seed):
    request = {"RequestItems": {"t": {"Keys": KEYS, "ConsistentRead": True}}}
    left, addition = wire.split("BatchGetItem", request, Random(seed))
    again = addition["UnprocessedKeys"]["t"]
    assert again["ConsistentRead"] is True
    kept = left["RequestItems"]["t"]["Keys"] if left else []
    assert sorted(map(str, kept + again["Keys"])) == sorted(map(str, KEYS))


@pytest.mark.parametrize("name", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
def test_failed_entries_are_named_by_their_ids(name):
    left, addition = wire.split(name, {"QueueUrl": "q", "Entries": ENTRIES}, Random(3))
    failed = {entry["Id"] for entry in addition["Failed"]}
    kept = {entry["Id"] for entry in left["Entries"]}
    assert failed | kept == {entry["Id"] for entry in ENTRIES}
    assert not failed & kept


def test_a_delayed_message_is_the_same_message():
    assert wire.delayed({"QueueUrl": "q", "MessageBody": "b"}, 5) == {
        "QueueUrl": "q",
        "MessageBody": "b",
        "DelaySeconds": 5,
    }
