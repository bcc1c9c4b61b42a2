"""`make bench-stop`: the stop path and the agent's loops on the embedded stack, against the bare AWS SDK.

Starts the stack with one site of one node, ends that node's engine and takes its place: an engine that runs no scripts,
but notes when it is told. Everything else is what `make run` starts. Prints a line per measurement and, last, one JSON
object (docs/agent.md explains its members). Under 60 s; means little on a machine that does other work.
"""

import asyncio
import http.client
import importlib
import itertools
import json
import os
import re
import secrets
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import boto3
from botocore.config import Config

from ivr_agent.settings import Settings
from ivr_agent.wiring import MESSAGE_THREADS
from ivr_runtimes.command import Command
from ivr_runtimes.http.caller import caller_of
from ivr_runtimes.model import Verb
from ivr_runtimes.stores import boto
from stack import RESOURCE, Stack, running_stack

DOMAIN: Final = "bench.example"
SITE: Final = "BENCH"
FLEET: Final = f"""
[[sites]]
code = "{SITE}"
nodes = ["bench@127.0.0.1"]
[[domains]]
name = "{DOMAIN}"
scripts = ["player"]
calls_per_minute = 0
[[clients]]
id = "bench"
secret = "{secrets.token_hex(16)}"
domain = "{DOMAIN}"
scopes = ["ivrscript_runtimes:read", "ivrscript_runtimes:stop"]
"""

FEW, MANY = 10, 10_000
"""Runtimes on the agent: what it must cope with, and what must make no difference to its lease."""

STOPS: Final = 150
COMMANDS: Final = 3_000
ROWS: Final = 5_000
TOGETHER: Final = 50
"""Starts told in one request: what an engine with a backlog may do (docs/engine-protocol.md)."""

ROUNDS: Final = 2
"""Rates are the best of so many rounds: whatever else the machine does can only lower them."""

STEADY_S: Final = 18.0
CHURN: Final = 40
"""Starts per second, and as many ends, while the agent holds `MANY`: calls of four minutes each."""

POLLS: Final = Settings.model_fields["poll_threads"].default
WRITES: Final = Settings.model_fields["write_threads"].default


class BenchEngine:
    """The engine side of docs/engine-protocol.md without scripts. `told` maps stop ids to when they came."""

    def __init__(self) -> None:
        self.session = uuid4().hex
        self.seq = 0
        self.runtimes: dict[str, dict[str, Any]] = {}
        self.told: dict[str, float] = {}
        self.heard = asyncio.Event()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and content of the answer to a request."""
        if method == "POST":
            return self._command(path.split("/")[3], json.loads(body)["stop_id"])
        about = {"session": self.session, "seq": self.seq}
        return 200, about if path == "/v1/status" else {**about, "runtimes": [*self.runtimes.values()]}

    def _command(self, runtime_id: str, stop_id: str) -> tuple[int, dict[str, Any]]:
        self.told.setdefault(stop_id, time.perf_counter())
        self.heard.set()
        if runtime_id not in self.runtimes:
            return 404, {"error": "unknown_runtime", "session": self.session}
        return 200, {"session": self.session, "state": "running", "result": "acted"}

    def start(self) -> bytes:
        """Start a runtime; return its event as the request to send."""
        event = self._started()
        return _request("PUT", f"/v1/runtimes/{event['runtime']['id']}", {"session": self.session, **event})

    def start_together(self, count: int) -> bytes:
        """Start runtimes; return their events as one request."""
        return _request(
            "POST", "/v1/events", {"session": self.session, "events": [self._started() for _ in range(count)]}
        )

    def _started(self) -> dict[str, Any]:
        self.seq += 1
        runtime_id = str(uuid4())
        state = {"id": runtime_id, "domain": DOMAIN, "type": "ivr", "code": "player", "name": "TEST PLAY"}
        state |= {"starttime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "state": "running"}
        self.runtimes[runtime_id] = state
        return {"seq": self.seq, "runtime": state}

    def end(self, runtime_id: str) -> bytes:
        """End a runtime; return its event as the request to send."""
        self.seq += 1
        del self.runtimes[runtime_id]
        query = f"session={self.session}&seq={self.seq}&stoptype=normal"
        return f"DELETE /v1/runtimes/{runtime_id}?{query} HTTP/1.1\r\nHost: agent\r\n\r\n".encode()


class EngineLink(asyncio.Protocol):
    """One connection of the agent to our engine, as bare as HTTP/1.1 goes: the engine must not be the limit."""

    def __init__(self, engine: BenchEngine) -> None:
        self._engine = engine
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *([0-9]+)", head)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            self._received = rest[size:]
            method, path, _ = head.decode().split(" ", 2)
            status, content = self._engine.answer(method, path, rest[:size])
            body = json.dumps(content).encode()
            self._transport.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


def _request(method: str, path: str, content: object) -> bytes:
    body = json.dumps(content)
    return f"{method} {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Events:
    """One kept-alive connection to the agent, pipelined (RFC 9112 section 9.3.2): the engine must not be the limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *requests: bytes) -> None:
        """Send events and await their answers."""
        answers = asyncio.create_task(self._answers(len(requests)))
        for at in range(0, len(requests), 50):
            self._writer.write(b"".join(requests[at : at + 50]))
            await self._writer.drain()
        await answers

    async def _answers(self, count: int) -> None:
        for _ in range(count):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 204"), head


class Bench:
    """The running stack, our engine in it, and clients of the emulator."""

    def __init__(self, stack: Stack, engine: BenchEngine, events: Events) -> None:
        self.stack = stack
        self.state = stack.state
        self.node = self.state["nodes"][0]
        self.engine = engine
        self.events = events
        self.token = stack.token(DOMAIN)
        self.queue_url = next(url for name, url in self.state["queue_urls"].items() if name.endswith(f"-stop-{SITE}"))
        self.table = next(name for name in self.state["tables"].values() if "runtimes" in name.lower().split("-")[-1])
        self.nodes_table = next(name for name in self.state["tables"].values() if name != self.table)
        self.sqs, self.dynamodb = self._client("sqs"), self._client("dynamodb")
        self.pool = ThreadPoolExecutor(16)

    def _client(self, service: str) -> Any:
        """Return a client as the AWS SDK's own documentation makes it."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # a str, not one of the literals: two services are meant
            endpoint_url=self.state["endpoint_url"],
            region_name=self.state["region"],
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106  # the emulator takes any
            config=Config(max_pool_connections=16),
        )

    async def threads(self, count: int, work: Callable[[], object]) -> float:
        """Run `work` in so many threads at the same time; return the seconds it took."""
        begun_s = time.perf_counter()
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self.pool, work) for _ in range(count)))
        return time.perf_counter() - begun_s

    async def metric(self, pattern: str) -> float:
        """Return the sum of the agent's metrics whose line begins with that pattern."""
        return sum(value for _, value in await self.metrics(pattern))

    async def metrics(self, pattern: str) -> list[tuple[str, float]]:
        """Return name and value of the agent's metrics whose line begins with that pattern."""
        url = f"http://127.0.0.1:{self.node['control_port']}/metrics"

        def read() -> str:
            with urllib.request.urlopen(url, timeout=10) as answer:  # our own loopback address
                return str(answer.read().decode())

        text = await asyncio.to_thread(read)
        found = re.findall(rf"^(ivr_agent_{pattern}\S*) (\S+)$", text, re.MULTILINE)
        return [(name, float(value)) for name, value in found]

    @contextmanager
    def agent_halted(self) -> Iterator[None]:
        """Keep the agent's process from running at all."""
        os.kill(self.node["agent_pid"], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.node["agent_pid"], signal.SIGCONT)


async def until(check: Callable[[], Awaitable[bool]], *, every_s: float = 0.02, within_s: float = 30.0) -> None:
    """Wait until the check is true."""
    end_s = time.monotonic() + within_s
    while not await check():
        assert time.monotonic() < end_s, f"not within {within_s} s"
        await asyncio.sleep(every_s)


# What is measured.


async def stops(bench: Bench) -> dict[str, Any]:
    """Stop one runtime after the other, always `FEW` running: milliseconds from DELETE sent to engine told."""
    engine, took_ms = bench.engine, []
    await bench.events.send(*(engine.start() for _ in range(FEW)))
    connection = http.client.HTTPConnection("127.0.0.1", bench.stack.port, timeout=10)
    headers = {"Authorization": f"Bearer {bench.token}"}
    await asyncio.sleep(0.5)

    def delete(runtime_id: str, key: str) -> float:
        begun_s = time.perf_counter()
        connection.request("DELETE", f"{RESOURCE}/{runtime_id}", headers={**headers, "Idempotency-Key": key})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 204, (answer.status, body)
        return begun_s

    for number in range(STOPS):
        runtime_id, key = next(iter(engine.runtimes)), f"stop-{number}"
        begun_s = await asyncio.to_thread(delete, runtime_id, key)
        while key not in engine.told:
            engine.heard.clear()
            await asyncio.wait_for(engine.heard.wait(), 10)
        took_ms.append((engine.told[key] - begun_s) * 1000)
        await bench.events.send(engine.end(runtime_id), engine.start())
    cuts = statistics.quantiles(took_ms, n=100, method="inclusive")
    return {"stop_p50_ms": round(cuts[49], 1), "stop_p99_ms": round(cuts[98], 1), "stops": STOPS}


def calls_per_stop(bench: Bench) -> float:
    """Run the stop function in this process on the same tables and count the requests its AWS clients send."""
    pid = next(pids[0] for name, pids in bench.state["function_pids"].items() if "stop" in name.lower())
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    os.environ.update({name: value for name, equals, value in (line.partition("=") for line in variables) if equals})
    sent: list[str] = []
    session = boto._session()  # noqa: SLF001  # the one session that the function makes its clients with
    session.register("before-send", lambda event_name, **_: sent.append(event_name))
    root = Path(__file__).parents[1]
    sys.path.insert(0, str(root / "functions" / "stop_runtime"))
    function = importlib.import_module("app")
    event = json.loads((root / "events" / "stop.json").read_text())
    function.logger.setLevel("ERROR")
    event["requestContext"]["authorizer"]["jwt"]["claims"][function.settings.domain_claim] = DOMAIN
    chosen = list(bench.engine.runtimes)[:5]
    for runtime_id in chosen:
        event["pathParameters"]["id"], event["headers"]["idempotency-key"] = runtime_id, secrets.token_hex(8)
        answer = function.serve(event, caller_of(event, domain_claim=function.settings.domain_claim))
        assert answer["statusCode"] == 204, answer
    return len(sent) / len(chosen)


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


async def steady(bench: Bench) -> dict[str, Any]:
    """Let calls come and go on `MANY` for a while: lag of the table behind the engine, memory and CPU of the agent."""
    engine = bench.engine
    before, cpu_s, begun_s = dict(await bench.metrics("flush_lag")), agent_cpu_s(bench), time.monotonic()
    while time.monotonic() < begun_s + STEADY_S:
        requests = [engine.end(next(iter(engine.runtimes))) for _ in range(2)] + [engine.start() for _ in range(2)]
        await bench.events.send(*requests)
        await asyncio.sleep(2 / CHURN)
    took_s = time.monotonic() - begun_s
    cpu_percent = 100 * (agent_cpu_s(bench) - cpu_s) / took_s
    await asyncio.sleep(0.5)
    lags = {name: value - before.get(name, 0) for name, value in await bench.metrics("flush_lag")}
    return {
        "runtimes": len(engine.runtimes),
        "flush_lag_p99_ms": p99_ms(lags),
        "agent_rss_mib": agent_rss_mib(bench),
        "agent_cpu_percent": round(cpu_percent, 1),
    }


def agent_cpu_s(bench: Bench) -> float:
    fields = Path(f"/proc/{bench.node['agent_pid']}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def agent_rss_mib(bench: Bench) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{bench.node['agent_pid']}/status").read_text())
    assert found is not None
    return round(int(found[1]) / 1024)


def p99_ms(lags: dict[str, float]) -> float:
    """Return the 99th percentile of a histogram: within its bucket, as Prometheus reckons it."""
    buckets = [(float(m[1]), value) for name, value in lags.items() if (m := re.search(r'le="([^"]+)"', name))]
    wanted, low, below = 0.99 * buckets[-1][1], 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            return round(1000 * (low + (high - low) * (wanted - below) / (count - below)), 1)
        low, below = high, count
    return float("inf")


class LeaseWatch:
    """Notes every renewal of the node's lease, from the table: what the agent says of itself is not asked."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.renewals: list[float] = []

    async def run(self) -> None:
        """Look until cancelled."""
        key = {"site": {"S": SITE}, "node": {"S": self._bench.node["node"]}}
        while True:
            read = self._bench.dynamodb.get_item
            item = (await asyncio.to_thread(read, TableName=self._bench.nodes_table, Key=key)).get("Item")
            if item and (not self.renewals or float(item["lease_until"]["N"]) > self.renewals[-1]):
                self.renewals.append(float(item["lease_until"]["N"]))
            await asyncio.sleep(0.5)

    def per_minute(self, first: int) -> float:
        """Return the renewals per minute from the one with that number on."""
        gaps = [after - before for before, after in itertools.pairwise(self.renewals[first:])]
        return round(60 / statistics.mean(gaps), 1) if gaps else float("nan")


@asynccontextmanager
async def taking_the_engines_place(stack: Stack) -> Any:
    """Serve our engine where the node's own one was."""
    node = stack.state["nodes"][0]
    os.kill(node["engine_pid"], signal.SIGKILL)
    engine, path = BenchEngine(), node["engine_address"].removeprefix("unix:")
    await asyncio.sleep(0.2)
    Path(path).unlink(missing_ok=True)  # noqa: ASYNC240  # before anything is measured
    server = await asyncio.get_running_loop().create_unix_server(lambda: EngineLink(engine), path)
    streams = await asyncio.open_unix_connection(node["agent_address"].removeprefix("unix:"))
    try:
        yield Bench(stack, engine, Events(*streams))
    finally:
        streams[1].close()
        server.close()


def say(**found: Any) -> dict[str, Any]:
    print("  ".join(f"{name}={value}" for name, value in found.items()), flush=True)  # its output
    return found


async def measure(stack: Stack) -> dict[str, Any]:
    """Take all measurements in turn."""
    async with taking_the_engines_place(stack) as bench:
        watch = LeaseWatch(bench)
        watching = asyncio.create_task(watch.run())

        async def adopted() -> bool:
            return bool(await bench.metric("snapshots_total") >= 2 and await bench.metric("lease_seconds") > 0)

        await until(adopted)
        found = say(**await stops(bench))
        found |= say(aws_calls_per_stop=await asyncio.to_thread(calls_per_stop, bench))
        few = watch.per_minute(0)  # before the agent is halted for a while, which delays a renewal
        found |= say(**await drained(bench))
        found |= say(**await registered(bench))
        first = len(watch.renewals)
        found |= say(**await steady(bench))
        found["lease_writes_per_node_minute"] = {str(FEW): few, str(MANY): watch.per_minute(first)}
        watching.cancel()
        found["drain_vs_bare"] = round(found["drain_per_s"] / found["bare_drain_per_s"], 2)
        found["register_vs_bare"] = round(found["register_per_s"] / found["bare_register_per_s"], 2)
        return found


def main() -> None:
    """Run the benchmark."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fleet.toml"
        config.write_text(FLEET)
        with running_stack(Path(folder), config=config) as stack:
            found = asyncio.run(measure(stack))
    found["took_s"] = round(time.monotonic() - begun_s, 1)
    print(json.dumps(found))  # its output


if __name__ == "__main__":
    main()
