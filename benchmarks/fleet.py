"""The fleet that every benchmark measures with: runtimes and nodes as items of the two tables (docs/architecture.md).

Owns the data and nothing else. The items are written down here, not made by the product's own code, so that a defect
of that code cannot hide in its measurement. The same number gives the same row, always.
"""

import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

Item = dict[str, dict[str, str]]

DOMAIN: Final = "test.rootdomain.ru"
SITES: Final = ("SITE1", "SITE2")
RUNTIMES_TABLE: Final = "bench-runtimes"
NODES_TABLE: Final = "bench-nodes"
BEGIN_S: Final = 1_794_000_000
"""Start of the oldest runtime: November 2026."""

LEASE_S: Final = 55.0
"""How far ahead a node's lease lies: no more than the 60 s that count as a proof of life."""

SCRIPTS: Final = (
    ("player", "TEST PLAY"),
    ("welcome", "Main scenario"),
    ("queue_vip", "Очередь: ждёт оператора"),
    ("survey", "Quality survey after the call"),
    ("callback", 'Call-back order, "second" attempt'),
)


def environment(endpoint: str) -> dict[str, str]:
    """Return what a function needs of its environment, beside what the operating system gives."""
    return {
        "RUNTIMES_TABLE": RUNTIMES_TABLE,
        "NODES_TABLE": NODES_TABLE,
        "SITES": ",".join(SITES),
        "DOMAIN_CLAIM": "domain",
        "POWERTOOLS_METRICS_NAMESPACE": "IvrRuntimes",
        "POWERTOOLS_SERVICE_NAME": "list_runtimes",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def event(query: str = "", *, domain: str = DOMAIN) -> dict[str, Any]:
    """Return the HTTP API event (payload 2.0) of a list request with that raw query string; no gzip is accepted."""
    path = "/rest/v1/uc/ivrscript_runtimes"
    claims = {"sub": "operator-console", "domain": domain, "scope": "ivrscript_runtimes:read"}
    host = "r3pmxmplak.execute-api.eu-central-1.amazonaws.com"
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept": "application/json", "host": host, "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "r3pmxmplak",
            "authorizer": {"jwt": {"claims": claims, "scopes": ["ivrscript_runtimes:read"]}},
            "domainName": host,
            "domainPrefix": "r3pmxmplak",
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"},
            "requestId": "UbYxPhfcFiAEMnA=",
            "routeKey": f"GET {path}",
            "stage": "$default",
            "time": "23/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1795420800000,
        },
        "isBase64Encoded": False,
    }
    return made


def nodes(count: int) -> list[Item]:
    """Return the nodes' rows, all alive for `LEASE_S` from now."""
    until = f"{time.time() + LEASE_S:.3f}"
    return [_node(number, until) for number in range(count)]


def runtimes(count: int, *, nodes: int, domain: str = DOMAIN) -> Iterator[Item]:
    """Yield a domain's rows in start order, spread over that many nodes."""
    for number in range(count):
        yield runtime(number, nodes=nodes, domain=domain)


def runtime(number: int, *, nodes: int, domain: str = DOMAIN) -> Item:
    """Return a domain's row of that number in start order. How many nodes there are changes nothing of its keys."""
    begin_s, node_number = BEGIN_S + number // 3, number % nodes
    started = datetime.fromtimestamp(begin_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    runtime_id, (site, node) = _runtime_id(number, begin_s, domain), _node_name(node_number)
    code, name = SCRIPTS[number % len(SCRIPTS)]
    item = {
        "site": {"S": site},
        "id": {"S": runtime_id},
        "domain": {"S": domain},
        "node": {"S": node},
        "session": {"S": f"s-{node_number:08x}"},
        "type": {"S": "ivr"},
        "code": {"S": code},
        "name": {"S": name},
        "starttime": {"S": started},
        "state": {"S": "running"},
        "lwt": {"S": started},
        "start_key": {"S": f"{started}#{runtime_id}"},
        "expires_at": {"N": str(begin_s + 21_600)},
    }
    if number % 10 == 0:  # a nested script runs
        item |= {"rootcode": {"S": "welcome"}, "rootname": {"S": "Main scenario"}}
    return item


def size(item: Item) -> int:
    """Return an item's size as DynamoDB counts it, in bytes (AWS: "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, str]) -> int:
    ((kind, text),) = value.items()
    return len(text) // 2 + 1 if kind == "N" else len(text.encode())


def _node_name(number: int) -> tuple[str, str]:
    site = number % len(SITES)
    return SITES[site], f"site{site + 1}_h{number}@10.{site}.{number // 250}.{number % 250 + 1}"


def _node(number: int, lease_until: str) -> Item:
    site, name = _node_name(number)
    return {
        "site": {"S": site},
        "node": {"S": name},
        "session": {"S": f"s-{number:08x}"},
        "lease_until": {"N": lease_until},
        "agent_id": {"S": f"agent-{number:032x}"},
        "control_port": {"N": "7001"},
        "agent_version": {"S": "0.1.0"},
        "started_at": {"S": "2026-11-01T00:00:00Z"},
        "expires_at": {"N": str(int(float(lease_until)) + 86_400)},
    }


def _runtime_id(number: int, begin_s: int, domain: str) -> str:
    """Make an id as the platform does, with the domain in place of the node; within a second ids ascend."""
    microseconds = (number % 3) * 300_000
    bits = ((number * 2_654_435_761) % 2**32 >> 2 | (number % 3) << 30) << 96
    bits |= begin_s // 1_000_000 << 80 | begin_s % 1_000_000 << 60 | microseconds << 40 | zlib.crc32(domain.encode())
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
