"""Every store the project supports, behind the same ports."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws

from emulators import STACK, clients, listing_client, provisioned, provisioned_tables
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable
from ivr_runtimes.stores.memory import MemoryQueue, MemoryStore
from ivr_runtimes.stores.sqs import Inbox, Outbox

STORES = ("memory", "moto", "ministack")


@dataclass
class Tables:
    """One store's ports of the tables."""

    runtimes: Any
    nodes: Any


@dataclass
class Stores(Tables):
    """One store's ports: those of the tables, and `outbox` and `inbox` for SITE1's queue."""

    outbox: Any
    inbox: Any
    dead_letters: Callable[[], list[str]]


@pytest.fixture(params=(*STORES, "dynalite"))
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    if request.param == "memory":
        store = MemoryStore()
        yield Tables(store, store)
    elif request.param == "moto":
        with mock_aws():
            provisioned()
            yield in_dynamodb(None)
    else:
        endpoint = request.getfixturevalue(f"{request.param}_endpoint")
        provisioned_tables(endpoint)
        yield in_dynamodb(endpoint)
        wipe(*clients(endpoint), queues=False)


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        yield in_memory()
    elif request.param == "moto":
        with mock_aws():
            provisioned()
            yield on_aws(*clients())
    else:
        endpoint = request.getfixturevalue("ministack_endpoint")
        dynamodb, sqs = clients(endpoint)
        provisioned(endpoint)
        yield on_aws(dynamodb, sqs)
        wipe(dynamodb, sqs)


def in_memory() -> Stores:
    store, queue = MemoryStore(), MemoryQueue()
    return Stores(store, store, queue, queue, lambda: list(queue.dead_letters))


def in_dynamodb(endpoint: str | None) -> Tables:
    dynamodb = listing_client(endpoint)
    return Tables(RuntimeTable(dynamodb, f"{STACK}-runtimes"), NodeTable(dynamodb, f"{STACK}-nodes"))


def on_aws(dynamodb: Any, sqs: Any) -> Stores:
    prefix = sqs.get_queue_url(QueueName=f"{STACK}-stop-SITE1")["QueueUrl"].removesuffix("SITE1")
    dead_url = f"{prefix}SITE1-dlq"

    def dead_letters() -> list[str]:
        answer = sqs.receive_message(QueueUrl=dead_url, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]

    return Stores(
        runtimes=RuntimeTable(dynamodb, f"{STACK}-runtimes"),
        nodes=NodeTable(dynamodb, f"{STACK}-nodes"),
        outbox=Outbox(sqs, prefix),
        inbox=Inbox(sqs, f"{prefix}SITE1", dead_url),
        dead_letters=dead_letters,
    )


def wipe(dynamodb: Any, sqs: Any, *, queues: bool = True) -> None:
    for table in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=table)
        dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 0.05})
    if not queues:
        return
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)
