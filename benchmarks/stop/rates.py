"""How fast the agent drains its queue and registers starts, against the bare AWS SDK doing the same."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from benchmarks.stop.bench import SITE, Bench, until
from benchmarks.stop.engine import DOMAIN
from ivr_agent.settings import Settings
from ivr_agent.wiring import MESSAGE_THREADS
from ivr_runtimes.command import Command
from ivr_runtimes.model import Verb

COMMANDS: Final = 3_000
ROWS: Final = 5_000
TOGETHER: Final = 50
"""Starts told in one request: what an engine with a backlog may do (docs/engine-protocol.md)."""

ROUNDS: Final = 2
"""Rates are the best of so many rounds: whatever else the machine does can only lower them."""

POLLS: Final = Settings.model_fields["poll_threads"].default
WRITES: Final = Settings.model_fields["write_threads"].default


async def drained(bench: Bench) -> dict[str, Any]:
    """Commands per second: the agent, each carried to the engine, against receive 10 and DeleteMessageBatch."""
    agent, bare = [], []
    for _ in range(ROUNDS):
        with bench.agent_halted():
            await fill(bench)
            took_s = await bench.threads(POLLS + MESSAGE_THREADS, lambda: bare_drain(bench))
            bare.append(COMMANDS / took_s)
            await fill(bench)
            before = len(bench.engine.told)
            begun_s = time.perf_counter()

        async def told(before: int = before) -> bool:
            return len(bench.engine.told) >= before + COMMANDS and await asyncio.to_thread(queued, bench) == 0

        await until(told)
        agent.append(COMMANDS / (time.perf_counter() - begun_s))
    return {"drain_per_s": round(max(agent)), "bare_drain_per_s": round(max(bare))}


def queued(bench: Bench) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = bench.sqs.get_queue_attributes(QueueUrl=bench.queue_url, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


async def fill(bench: Bench) -> None:
    """Queue commands for runtimes that have ended: the engine is asked about every one."""
    batches = iter([range(first, first + 10) for first in range(0, COMMANDS, 10)])
    lock = threading.Lock()

    def send() -> None:
        while True:
            with lock:
                numbers = next(batches, None)
            if numbers is None:
                return
            entries = [{"Id": str(n), "MessageBody": command(bench), "MessageGroupId": DOMAIN} for n in numbers]
            bench.sqs.send_message_batch(QueueUrl=bench.queue_url, Entries=entries)

    await bench.threads(4, send)


def command(bench: Bench) -> str:
    now_s = time.time()
    return Command(
        stop_id=secrets.token_hex(16),
        verb=Verb.EXTERNAL_STOP,
        site=SITE,
        node=bench.node["node"],
        session=bench.engine.session,
        runtime_id=str(uuid4()),
        domain=DOMAIN,
        requested_by="bench",
        accepted_at_s=now_s,
        deadline_s=now_s + 3600,
    ).to_body()


def bare_drain(bench: Bench) -> None:
    while True:
        messages = bench.sqs.receive_message(
            QueueUrl=bench.queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
        if not messages:
            return
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
        bench.sqs.delete_message_batch(QueueUrl=bench.queue_url, Entries=entries)


async def registered(bench: Bench) -> dict[str, Any]:
    """Runtime starts per second, from the engine's event to the row, against bare BatchWriteItem of such rows."""
    agent, bare = [], []
    for _ in range(ROUNDS):
        with bench.agent_halted():
            took_s = await bench.threads(WRITES, bare_write(bench))
            bare.append(ROWS / took_s)
        written = await bench.metric("rows_total.*written")
        requests = [bench.engine.start_together(TOGETHER) for _ in range(ROWS // TOGETHER)]
        begun_s = time.perf_counter()
        await bench.events.send(*requests)

        async def all_written(least: float = written + ROWS) -> bool:
            return await bench.metric("rows_total.*written") >= least and await bench.metric("dirty_rows") == 0

        await until(all_written)
        agent.append(ROWS / (time.perf_counter() - begun_s))
    return {"register_per_s": round(max(agent)), "bare_register_per_s": round(max(bare))}


def bare_write(bench: Bench) -> Callable[[], None]:
    rows = [
        {
            **{name: {"S": str(value)} for name, value in sample(bench).items()},
            "expires_at": {"N": str(int(time.time()) + 600)},
        }
        for _ in range(ROWS)
    ]
    batches, lock = iter([rows[first : first + 25] for first in range(0, ROWS, 25)]), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                batch = next(batches, None)
            if batch is None:
                return
            bench.dynamodb.batch_write_item(RequestItems={bench.table: [{"PutRequest": {"Item": r}} for r in batch]})

    return work


def sample(bench: Bench) -> dict[str, str]:
    """Return a row as the agent writes it, of another domain and session."""
    now, runtime_id = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), str(uuid4())
    row = {"site": SITE, "id": runtime_id, "domain": "bare.example", "node": bench.node["node"], "session": uuid4().hex}
    row |= {"type": "ivr", "code": "player", "name": "TEST PLAY", "starttime": now, "state": "running", "lwt": now}
    return row | {"start_key": f"{now}#{runtime_id}"}
