"""The fault proxy between real boto clients and a real emulator: each fault is what its name says."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chaos.history import Hidden
from chaos.proxy import Proxy
from chaos.schedule import FUNCTIONS, Kind, Profile, Span, draw
from emulators import free_port, ministack, provisioned
from ivr_local.emulator import Endpoint

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

NODE = "a@127.0.0.1"
QUEUE = "ivr-test-stop-SITE1"
BODY = json.dumps({"stop_id": "k"})


@pytest.fixture(scope="module")
def upstream():
    with ministack() as endpoint:
        provisioned(endpoint)
        yield Endpoint(int(endpoint.rpartition(":")[2]))


@pytest.fixture
def queue(upstream):
    """An empty queue, seen past the proxy."""
    sqs = client("sqs", upstream)
    url = sqs.create_queue(QueueName=f"chaos-{time.time_ns()}")["QueueUrl"]
    return lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []), url


GIVES_UP_S = 2
"""How long a client waits that is to give up; all others wait for as long as a loaded machine may take."""


def client(service, endpoint, read_s=30):
    once = Config(connect_timeout=10, read_timeout=read_s, retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=endpoint.url, region_name="eu-central-1", config=once)


@asynccontextmanager
async def proxied(upstream, *kinds, link=NODE, **spans):
    """Run a proxy whose every fitting request has one of these faults."""
    profile = Profile(weights=dict.fromkeys(kinds, 1.0), chance=1.0, always=True, victims=(), outage=False)
    schedule = replace(
        draw(1, duration_s=600, nodes=(NODE,), swapping=(NODE, NODE), profile=profile), cuts=(), slow=(), blows=()
    )
    for name, value in spans.items():
        object.__setattr__(schedule, name, value)
    links = {link: Endpoint(free_port())}
    proxy = Proxy(upstream=upstream, schedule=schedule, links=links)
    read_s = GIVES_UP_S if {Kind.HUNG, Kind.HELD} & set(kinds) else 30
    await proxy.start()
    try:
        proxy.begin()
        yield proxy, client("sqs", links[link], read_s), client("dynamodb", links[link], read_s)
    finally:
        await proxy.close()


async def refused(call, **request):
    """Call in a thread; return the error code, or the kind of the failure."""
    try:
        await asyncio.to_thread(partial(call, **request))
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    except BotoCoreError as error:
        return type(error).__name__
    return None


@pytest.mark.parametrize(
    ("kind", "answer", "effect"),
    [
        (Kind.THROTTLED, ("RequestThrottled", 400), 0),
        (Kind.FAILED, ("InternalFailure", 500), 0),
        (Kind.FAILED_AFTER, ("InternalFailure", 500), 1),
        (Kind.CUT, "ConnectionClosedError", 0),
        (Kind.LOST, "ConnectionClosedError", 1),
        (Kind.HUNG, "ReadTimeoutError", 0),
        (Kind.TWICE, None, 1),
    ],
)
async def test_a_broken_send_is_answered_and_done_as_its_fault_says(upstream, queue, kind, answer, effect):
    look, url = queue
    async with proxied(upstream, kind) as (proxy, sqs, _):
        assert await refused(sqs.send_message, QueueUrl=url, MessageBody=BODY) == answer
        assert len(await asyncio.to_thread(look)) == effect
        assert proxy.faults == {kind: 1}


async def test_a_held_write_is_done_after_the_client_gave_up(upstream, queue):
    look, url = queue
    async with proxied(upstream, Kind.HELD) as (proxy, sqs, _):
        assert await refused(sqs.send_message, QueueUrl=url, MessageBody=BODY) == "ReadTimeoutError"
        assert await asyncio.to_thread(look) == []
        await proxy.end()
        assert len(await asyncio.to_thread(look)) == 1
        [hidden] = proxy.hidden
        assert hidden.stop_id == "k"


async def test_a_second_delivery_comes_later(upstream, queue):
    look, url = queue
    async with proxied(upstream, Kind.TWICE) as (_, sqs, _):
        await refused(sqs.send_message, QueueUrl=url, MessageBody=BODY)
        bodies, until = [], time.monotonic() + 40
        while len(bodies) < 2 and time.monotonic() < until:
            bodies += [message["Body"] for message in await asyncio.to_thread(look)]
        assert bodies == [BODY, BODY]


async def test_messages_whose_answer_was_lost_are_noted_as_hidden(upstream, queue):
    _, url = queue
    client("sqs", upstream).send_message(QueueUrl=url, MessageBody=BODY)
    async with proxied(upstream, Kind.LOST) as (proxy, sqs, _):
        assert await refused(sqs.receive_message, QueueUrl=url) == "ConnectionClosedError"
        assert [type(one) for one in proxy.hidden] == [Hidden]
        assert proxy.receipts == []


async def test_messages_that_arrived_are_noted_with_who_has_them(upstream, queue):
    _, url = queue
    client("sqs", upstream).send_message(QueueUrl=url, MessageBody=BODY)
    async with proxied(upstream) as (proxy, sqs, _):
        assert await refused(sqs.receive_message, QueueUrl=url) is None
        assert [(receipt.stop_id, receipt.node) for receipt in proxy.receipts] == [("k", NODE)]


async def test_a_torn_batch_writes_exactly_what_its_answer_does_not_name(upstream):
    puts = [
        {"PutRequest": {"Item": {"site": {"S": "TORN"}, "id": {"S": str(number)}, "domain": {"S": "d"},
                                 "start_key": {"S": str(number)}}}}
        for number in range(20)
    ]  # fmt: skip
    async with proxied(upstream, Kind.PARTIAL) as (_, _, dynamodb):
        write = partial(dynamodb.batch_write_item, RequestItems={"ivr-test-runtimes": puts})
        answer = await asyncio.to_thread(write)
    unwritten = {put["PutRequest"]["Item"]["id"]["S"] for put in answer["UnprocessedItems"]["ivr-test-runtimes"]}
    rows = client("dynamodb", upstream).query(
        TableName="ivr-test-runtimes",
        KeyConditionExpression="site = :site",
        ExpressionAttributeValues={":site": {"S": "TORN"}},
    )["Items"]
    assert unwritten
    assert {row["id"]["S"] for row in rows} == {str(number) for number in range(20)} - unwritten


async def test_an_outage_of_sqs_leaves_the_tables_alone_and_a_cut_link_nothing(upstream, queue):
    _, url = queue
    everywhere = (Span("", 0.0, 600.0),)
    async with proxied(upstream, outages=everywhere) as (_, sqs, dynamodb):
        assert await refused(sqs.receive_message, QueueUrl=url) == "ConnectionClosedError"
        assert await refused(dynamodb.scan, TableName="ivr-test-nodes") is None
    async with proxied(upstream, link=FUNCTIONS, cuts=(Span(FUNCTIONS, 0.0, 600.0),)) as (_, _, dynamodb):
        assert await refused(dynamodb.scan, TableName="ivr-test-nodes") == "ConnectionClosedError"


async def test_nothing_is_broken_before_the_beginning_and_after_the_end(upstream, queue):
    _, url = queue
    async with proxied(upstream, Kind.CUT) as (proxy, sqs, _):
        await proxy.end()
        assert await refused(sqs.receive_message, QueueUrl=url) is None
        proxy.begin()
        assert await refused(sqs.receive_message, QueueUrl=url) == "ConnectionClosedError"


async def test_a_link_that_a_starved_machine_makes_slow_is_not_whole():
    """Lateness, ghosts and gaps are laid to the product only while its links were whole."""

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(2.3)
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/", slow)
    runner, endpoint = web.AppRunner(app), Endpoint(free_port())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", endpoint.port).start()
    async with proxied(endpoint) as (proxy, _, _):
        await asyncio.gather(
            refused(client("dynamodb", proxy.links[NODE]).scan, TableName="t"),
            refused(client("sqs", proxy.links[NODE]).receive_message, QueueUrl="q", WaitTimeSeconds=10),
        )
        assert [(trouble.node, trouble.what) for trouble in proxy.troubles] == [(NODE, "link")]
    await runner.cleanup()


async def test_so_are_all_links_while_the_proxy_itself_stood_still(upstream):
    async with proxied(upstream) as (proxy, _, _):
        await asyncio.sleep(0)
        time.sleep(2.5)  # noqa: ASYNC251  # the loop must stand still
        await asyncio.sleep(0.1)
        [trouble] = proxy.troubles
    assert (trouble.node, trouble.what, proxy.stalls) == ("", "link", {"proxy": 1})
    assert trouble.until - trouble.since > 2.4
