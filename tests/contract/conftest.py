"""Every store the project supports, behind the same ports."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws

from emulators import MINISTACK, STACK, clients, ministack, provisioned
from ivr_runtimes.dynamo import NodeTable, RuntimeTable
from ivr_runtimes.memory import MemoryQueue, MemoryStore
from ivr_runtimes.sqs import Inbox, Outbox

STORES = ("memory", "moto", "ministack")


@dataclass
class Stores:
    """One store's ports: `runtimes` and `nodes` for the tables, `outbox` and `inbox` for SITE1's queue."""

    runtimes: Any
    nodes: Any
    outbox: Any
    inbox: Any
    dead_letters: Callable[[], list[str]]


@pytest.fixture(scope="session")
def ministack_endpoint() -> Iterator[str]:
    if not MINISTACK.exists():
        pytest.skip("ministack is not installed: run `make setup`")
    with ministack() as endpoint:
        yield endpoint


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


def wipe(dynamodb: Any, sqs: Any) -> None:
    for table in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=table)
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)
