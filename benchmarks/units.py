"""bench-units: what docs/scale.md computes with: calls, read units and CPU of a page, of a whole list and of a stop.

The real functions over dynalite, with 10,000 runtimes on 1,000 nodes and 20 sites. Calls and read units are counted on
the wire; CPU is the handler's. Run by `make bench-units`; the agents' share comes from bench-stop.
"""

import hashlib
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks import canned, dynalite, fleet, meter, report
from benchmarks.function import OURS, ROOT, Called, Function, started
from benchmarks.meter import Meter

ROWS: Final = 10_000
NODES: Final = 1_000
SITES: Final = 20
RUNS: Final = 7
NODES_SERVE_S: Final = 1.05
"""One reading of the nodes serves for a second."""

STOP: Final = ROOT / "functions" / "stop_runtime"
PAGE: Final = "order=starttime&limit=50"


class _Sqs(BaseHTTPRequestHandler):
    """Takes every message and notes that it did."""

    protocol_version = "HTTP/1.1"
    taken: Final[list[str]] = []

    def do_POST(self) -> None:  # the name that http.server calls
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))["MessageBody"]
        self.taken.append(message)
        digest = hashlib.md5(message.encode(), usedforsecurity=False).hexdigest()
        body = json.dumps({"MessageId": str(len(self.taken)), "MD5OfMessageBody": digest}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that http.server gives it
        """Say nothing."""


@contextmanager
def queue() -> Iterator[str]:
    """Run the queue in a thread; yield its endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sqs)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def stop_event(number: int, runtime_id: str) -> dict[str, Any]:
    """Return the event of a first stop."""
    event: dict[str, Any] = json.loads((ROOT / "events" / "stop.json").read_text(encoding="utf-8"))
    event["pathParameters"]["id"], event["headers"]["idempotency-key"] = runtime_id, f"stop-{number}"
    return event


def cpu_ms(call: Callable[[], Called], *, apart_s: float = 0) -> float:
    """Return the median CPU of calls, after one to warm up."""
    found = []
    for _ in range(RUNS + 1):
        time.sleep(apart_s)
        found.append(call().cpu_ms)
    return round(statistics.median(found[1:]), 2)


def pages(function: Function, counted: Meter) -> dict[str, float]:
    """A page of 50 while the nodes are known, and what reading them adds.

    Their read units are not taken: dynalite counts a consistent Scan as one that is not.
    """

    def page() -> Called:
        called = function(fleet.event(PAGE))
        assert len(called.rows) == 50
        return called

    with_nodes_ms = cpu_ms(page, apart_s=NODES_SERVE_S)
    counted.take()
    alone_ms = cpu_ms(page)
    calls, units = counted.take()
    return {
        "page_calls": calls / (RUNS + 1),
        "page_read_units": units / (RUNS + 1),
        "page_cpu_ms": alone_ms,
        "nodes_cpu_ms": round(with_nodes_ms - alone_ms, 2),
    }


def whole(function: Function, counted: Meter) -> dict[str, float]:
    """A list of everything; the nodes have just been read. Its CPU is taken over canned bytes: dynalite is slow."""
    counted.take()
    assert len(function(fleet.event()).rows) == ROWS
    _, units = counted.take()
    with canned.running(rows=ROWS, nodes=NODES) as endpoint, started(OURS, fleet.environment(endpoint)) as quick:
        return {"list_10k_read_units": units, "list_10k_cpu_ms": cpu_ms(lambda: quick(fleet.event()))}


def stops(function: Function, counted: Meter, ids: list[str]) -> dict[str, float]:
    """Stops of scripts that run, each sent to its site's queue."""
    numbers = iter(range(100))

    def stop() -> Called:
        number = next(numbers)
        called = function(stop_event(number, ids[number]))
        assert called.response["statusCode"] == 204, called.response
        return called

    stop()
    counted.take()
    before = len(_Sqs.taken)
    stop()
    calls, units = counted.take()
    sent = len(_Sqs.taken) - before
    return {"stop_read_units": units, "aws_calls_per_stop": calls + sent, "stop_cpu_ms": cpu_ms(stop)}


def main() -> None:
    """Load, measure and tell."""
    report.head(f"bench-units: {ROWS:,} runtimes on {NODES:,} nodes, {SITES} sites")
    with ExitStack() as stack:
        server = stack.enter_context(dynalite.running())
        counted = stack.enter_context(meter.before(server.endpoint))
        environment = fleet.environment(counted.endpoint)
        environment["SITES"] = ",".join(f"SITE{number + 1}" for number in range(SITES))
        environment["STOP_QUEUE_URL_PREFIX"] = "https://sqs.eu-central-1.amazonaws.com/123456789012/bench-stop-"
        environment["AWS_ENDPOINT_URL_SQS"] = stack.enter_context(queue())
        server.put(fleet.RUNTIMES_TABLE, fleet.runtimes(ROWS, nodes=NODES))
        server.put(fleet.NODES_TABLE, fleet.nodes(NODES))
        listing = stack.enter_context(started(OURS, environment))
        stopping = stack.enter_context(started(STOP, environment))
        figures = pages(listing, counted)
        ids = [row["id"] for row in listing(fleet.event(PAGE)).rows]
        figures |= stops(stopping, counted, ids)
        figures |= whole(listing, counted)
    report.tell(figures)


if __name__ == "__main__":
    main()
