"""A DynamoDB of prebuilt bytes: answers Query and Scan over HTTP, so that only the caller's work is measured.

Owns the paging by 1 MB and the headers of DynamoDB's answers, checksum included. Every Query gets the domain's pages
in start order, whole: conditions and projections are not looked at, a `Limit` or another direction is refused, since no
benchmark that uses this server asks for one. A process of its own, started by `running`.
"""

import http.client
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks import fleet
from benchmarks.fleet import Item

PAGE_BYTES: Final = 1_000_000
"""One Query or Scan reads at most 1 MB of items (DynamoDB API reference, "Query")."""

NODES_AGE_S: Final = 5.0
"""How old the nodes' leases may become before they are written anew."""


def pages(items: Iterable[Item], *, key: tuple[str, ...]) -> list[bytes]:
    """Return the answers' bodies: items up to 1 MB each, and in all but the last the key to go on from."""
    cut = list(_cut(items))
    return [_body(page, key if page is not cut[-1] else ()) for page in cut]


def _cut(items: Iterable[Item]) -> Iterator[list[Item]]:
    page: list[Item] = []
    taken = 0
    for item in items:
        if taken + fleet.size(item) > PAGE_BYTES:
            yield page
            page, taken = [], 0
        page.append(item)
        taken += fleet.size(item)
    yield page


def _body(items: list[Item], key: tuple[str, ...]) -> bytes:
    answer: dict[str, Any] = {"Count": len(items), "Items": items, "ScannedCount": len(items)}
    if key:
        answer["LastEvaluatedKey"] = {name: items[-1][name] for name in key}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


INDEX_KEY: Final = ("domain", "start_key", "site", "id")


class _Answers:
    """What the server knows: the runtimes' pages, and the nodes, whose leases go on."""

    def __init__(self, rows: int, nodes: int) -> None:
        self._nodes = nodes
        self._node_page, self._noded_at_s = b"", float("-inf")
        self._pages: dict[str, bytes] = {}
        after = ""
        for page in pages(fleet.runtimes(rows, nodes=nodes), key=INDEX_KEY):
            self._pages[after] = page
            after = json.loads(page).get("LastEvaluatedKey", {}).get("start_key", {}).get("S", "")

    def find(self, operation: str, request: dict[str, Any]) -> bytes | None:
        """Return the body to answer with, None for what is not canned."""
        if operation == "Query" and "Limit" not in request and request.get("ScanIndexForward", True):
            return self._pages.get(request.get("ExclusiveStartKey", {}).get("start_key", {}).get("S", ""))
        if operation == "Scan" and request["TableName"] == fleet.NODES_TABLE:
            return self._living_nodes()
        return None

    def _living_nodes(self) -> bytes:
        if time.monotonic() - self._noded_at_s > NODES_AGE_S:
            (self._node_page,) = pages(fleet.nodes(self._nodes), key=())
            self._noded_at_s = time.monotonic()
        return self._node_page


def _handler(answers: _Answers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "Server", ""
        wbufsize = -1  # headers and body in as few packets as fit
        disable_nagle_algorithm = True

        def do_POST(self) -> None:  # the name that http.server calls
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            operation = self.headers["x-amz-target"].partition(".")[2]
            body = answers.find(operation, request)
            if body is None:
                refusal = {"__type": "com.amazon.coral.validate#ValidationException", "message": f"no can: {request}"}
                self._send(400, json.dumps(refusal).encode())
            else:
                self._send(200, body)

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "V4UPVN2EQ3BVQ0HJ4PVRC3RC3FVV4KQNSO5AEMVJF66Q9ASUAAJG")
            self.send_header("x-amz-crc32", str(zlib.crc32(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that http.server gives it
            """Say nothing."""

    return Handler


@contextmanager
def running(*, rows: int, nodes: int) -> Iterator[str]:
    """Run the server in a process of its own; yield its endpoint."""
    command = [sys.executable, "-m", "benchmarks.canned", str(rows), str(nodes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # this very module
    try:
        assert process.stdout is not None  # asked for above
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def fetch(endpoint: str) -> list[bytes]:
    """Return the bodies of all pages of runtimes, as a caller of Query gets them."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))
    bodies: list[bytes] = []
    request: dict[str, Any] = {"TableName": fleet.RUNTIMES_TABLE}
    while True:
        connection.request("POST", "/", json.dumps(request), {"x-amz-target": "DynamoDB_20120810.Query"})
        bodies.append(connection.getresponse().read())
        key = json.loads(bodies[-1]).get("LastEvaluatedKey")
        if not key:
            connection.close()
            return bodies
        request["ExclusiveStartKey"] = key


def main() -> None:
    """Serve on a free loopback port, whose URL is the one line printed."""
    rows, nodes = map(int, sys.argv[1:])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(_Answers(rows, nodes)))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # read by `running`
    server.serve_forever()


if __name__ == "__main__":
    main()
