"""dynalite (npm), a DynamoDB that counts read units as AWS does, with the two tables of template.yaml in it.

Owns its process, the tables' making and the loading of items; knows nothing of what is measured. `make dynalite`
installs it. It keeps everything in memory, and verifies no signatures.
"""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from benchmarks import fleet
from benchmarks.fleet import Item
from benchmarks.function import ROOT
from ivr_local import emulator, template

PROGRAM: Final = ROOT / "requirements" / "dynalite" / "node_modules" / "dynalite" / "cli.js"
MAX_BATCH: Final = 25
"""BatchWriteItem takes at most 25 requests (DynamoDB API reference)."""

CREATION: Final = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
"""What dynalite takes of CreateTable."""

LOADERS: Final = 4
AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=bench/20261123/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


class Dynalite:
    """A running dynalite at `endpoint`, spoken to without an SDK: loading 100,000 rows has to be quick."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def call(self, operation: str, request: dict[str, Any], connection: http.client.HTTPConnection) -> dict[str, Any]:
        """Call one operation; raises `RuntimeError` for any answer but 200."""
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION,
            "X-Amz-Date": "20261123T000000Z",
        }
        connection.request("POST", "/", json.dumps(request), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"dynalite refused {operation}: {body[:300]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def connection(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=30)

    def put(self, table: str, items: Iterable[Item]) -> None:
        """Write items over a few connections at once."""
        todo = iter(items)
        with ThreadPoolExecutor(LOADERS) as loaders:
            # Each loader takes its share as it comes: all rows in memory at once would be much.
            for loaded in [loaders.submit(self._load, table, share) for share in _shares(todo)]:
                loaded.result()

    def _load(self, table: str, items: list[Item]) -> None:
        connection = self.connection()
        for at in range(0, len(items), MAX_BATCH):
            wanted = {table: [{"PutRequest": {"Item": item}} for item in items[at : at + MAX_BATCH]]}
            while wanted:
                wanted = self.call("BatchWriteItem", {"RequestItems": wanted}, connection).get("UnprocessedItems", {})
        connection.close()


def _shares(items: Iterator[Item]) -> Iterator[list[Item]]:
    while share := list(islice(items, 2_500)):
        yield share


@contextmanager
def running() -> Iterator[Dynalite]:
    """Run dynalite on a free loopback port, with both tables."""
    node = shutil.which("node")
    if node is None or not PROGRAM.exists():
        raise SystemExit("bench-page needs Node.js and dynalite: install Node.js, then `make dynalite`")
    port = str(emulator.free_ports(1)[0])  # for port 0 it takes 4567, whoever has that already
    command = [node, str(PROGRAM), "--host", "127.0.0.1", "--port", port, "--createTableMs", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own pinned program
    try:
        if process.stdout is None or (found := re.search(r":(\d+)\s*$", process.stdout.readline())) is None:
            raise RuntimeError("dynalite did not say where it listens")
        server = Dynalite(f"http://127.0.0.1:{found[1]}")
        _create_tables(server)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _create_tables(server: Dynalite) -> None:
    given = {"Sites": ",".join(fleet.SITES), "JwtIssuer": "https://issuer.example", "JwtAudience": "bench"}
    stack = template.expand(
        ROOT / "template.yaml", parameters=given, stack_name="bench", region="eu-central-1", account_id="123456789012"
    )
    connection = server.connection()
    for table in stack.tables:
        server.call("CreateTable", {name: table.create[name] for name in CREATION if name in table.create}, connection)
    connection.close()
