"""A proxy before a DynamoDB that counts what a caller asks of it: calls, and read units as the answers state them.

Owns the counting; passes requests and answers on as they are, except that each request asks for its consumed capacity.
So the caller's code has no say in what is counted.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PASSED = ("x-amz-target", "x-amz-date", "authorization", "content-type")
RETURNED = ("content-type", "x-amzn-requestid", "x-amz-crc32")


class Meter:
    """What has been counted since it was last taken."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._calls, self._units = 0, 0.0
        self._lock = threading.Lock()

    def take(self) -> tuple[int, float]:
        """Return calls and read units, and begin anew."""
        with self._lock:
            taken = self._calls, self._units
            self._calls, self._units = 0, 0.0
        return taken

    def count(self, answer: bytes) -> None:
        """Count one answer."""
        consumed: Any = json.loads(answer).get("ConsumedCapacity", [])
        consumed = consumed if isinstance(consumed, list) else [consumed]
        with self._lock:
            self._calls += 1
            self._units += sum(table["CapacityUnits"] for table in consumed)


def _handler(target: str, meter: Meter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in as few packets as fit
        disable_nagle_algorithm = True

        def do_POST(self) -> None:  # the name that http.server calls
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({**request, "ReturnConsumedCapacity": "TOTAL"})
            connection = http.client.HTTPConnection(target)
            connection.request("POST", "/", body, {name: self.headers[name] for name in PASSED})
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            meter.count(answer)
            self.send_response(response.status)
            for name in RETURNED:
                if value := response.getheader(name):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that http.server gives it
            """Say nothing."""

    return Handler


@contextmanager
def before(endpoint: str) -> Iterator[Meter]:
    """Run the proxy in threads of this process; yield its meter, which knows where it listens."""
    meter = Meter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint.removeprefix("http://"), meter))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    meter.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield meter
    finally:
        server.shutdown()
        server.server_close()
