"""`make scale`: prints the tables of docs/scale.md: what the service costs and which limits it meets, at three sizes.

Owns the arithmetic, the prices (one table, to be checked against AWS's price pages) and the assumptions. Units come
from the code itself: the rows as they are written, the intervals as they are kept. Called by the Makefile; a test
compares its output with the page.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.dynamo import to_item, to_node_item
from ivr_runtimes.lease import HEARTBEAT_INTERVAL_S
from ivr_runtimes.model import Node, Runtime
from ivr_runtimes.names import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.response import MAX_RESPONSE_BYTES

MONTH_S: Final = 30 * 86_400
NODES: Final = 1_000
SITES: Final = 20
SIZES: Final = (10, 1_000, 100_000)
"""Concurrent runtimes of the one domain that is looked at."""

PRICES: Final = {
    "DynamoDB, write request unit": (0.625e-6, "Amazon DynamoDB pricing, on-demand"),
    "DynamoDB, read request unit": (0.125e-6, "Amazon DynamoDB pricing, on-demand"),
    "SQS, standard request": (0.40e-6, "Amazon SQS pricing"),
    "API Gateway, HTTP API request": (1.00e-6, "Amazon API Gateway pricing"),
    "Lambda, request": (0.20e-6, "AWS Lambda pricing"),
    "Lambda arm64, GB-second": (13.3334e-6, "AWS Lambda pricing"),
    "CloudWatch Logs, GB ingested": (0.50, "Amazon CloudWatch pricing"),
    "CloudWatch, metric and month": (0.30, "Amazon CloudWatch pricing"),
    "CloudWatch, alarm and month": (0.10, "Amazon CloudWatch pricing"),
    "CloudWatch, dashboard and month": (3.00, "Amazon CloudWatch pricing"),
    "X-Ray, trace recorded": (5.00e-6, "AWS X-Ray pricing"),
}
"""US dollars in US East (N. Virginia), free tiers aside."""

ASSUMED: Final = {
    "a call lasts, s": 180,
    "rows written per call (start, one change of script, end)": 3,
    "operators who watch the domain": 10,
    "an operator's page is asked for every, s": 5,
    "rows in a page": 50,
    "of all calls, stopped by hand": 0.001,
    "a page is billed, ms at 1,024 MB": 20,
    "a stop is billed, ms at 512 MB": 30,
    "bytes logged per request, all groups": 1_500,
    "requests that X-Ray samples": 0.05,
}

ROW: Final = Runtime(
    id=RuntimeId("244f84aa-0624-e639-8061-a80000000006"),
    site=Site("SITE1"),
    node=NodeName("site1_h6@192.168.0.12"),
    domain=Domain("test.rootdomain.ru"),
    session=Session("5f0c7c9e-5a0e-4a52-9d0c-3f1f7f1d2a11"),
    type="ivr",
    code="welcome",
    name="Main scenario",
    starttime="2019-11-05T08:36:40Z",
    lwt="2019-11-05T08:36:40Z",
)
NODE: Final = Node(
    site=ROW.site,
    node=ROW.node,
    session=ROW.session,
    lease_until_s=1572943000.123,
    agent_id="5f0c7c9e-5a0e-4a52-9d0c-3f1f7f1d2a11",
    control_port=7001,
    agent_version="0.1.0",
    started_at=ROW.starttime,
)


def item_bytes(item: dict[str, dict[str, str]]) -> int:
    """Return an item's size as DynamoDB counts it, names and values in UTF-8, with `expires_at` (page "Item sizes")."""
    members = {**item, "expires_at": {"N": "1572964600"}}
    return sum(
        len(name.encode()) + sum(_value_bytes(*pair) for pair in value.items()) for name, value in members.items()
    )


def _value_bytes(kind: str, value: str) -> int:
    digits = len(value.replace(".", "").strip("0"))
    return math.ceil(digits / 2) + 1 if kind == "N" else len(value.encode())


ROW_BYTES: Final = item_bytes(to_item(ROW)) + len("start_key") + len(f"{ROW.starttime}#{ROW.id}")
NODE_BYTES: Final = item_bytes(to_node_item(NODE))
JSON_FIELDS: Final = ("id", "site", "node", "domain", "type", "code", "name", "starttime")
JSON_ROW: Final = json.dumps({name: getattr(ROW, name) for name in JSON_FIELDS}, separators=(",", ":"))
SERIALISED_BYTES: Final = len(json.dumps(JSON_ROW)) - 1
"""A row within Lambda's envelope: its quotes are escaped there, a comma stands between rows."""


def read_units(size: int) -> float:
    """Return what reading so many bytes costs in one Query, eventually consistent."""
    return math.ceil(size / 4096) / 2


@dataclass(frozen=True, slots=True)
class Load:
    """What the domain with so many concurrent runtimes does in a second."""

    runtimes: int

    @property
    def calls(self) -> float:
        """Calls that start, and that end."""
        return self.runtimes / ASSUMED["a call lasts, s"]

    @property
    def row_writes(self) -> float:
        """Rows written or deleted; each is one write in the table and one in the index."""
        return self.calls * ASSUMED["rows written per call (start, one change of script, end)"]

    @property
    def pages(self) -> float:
        """Pages asked for."""
        return ASSUMED["operators who watch the domain"] / ASSUMED["an operator's page is asked for every, s"]

    @property
    def stops(self) -> float:
        """Stops."""
        return self.calls * ASSUMED["of all calls, stopped by hand"]


UNITS: Final[dict[str, float | str]] = {
    "a row of `runtimes`, bytes": ROW_BYTES,
    "a row of `nodes`, bytes": NODE_BYTES,
    "a row in a list's answer, bytes as Lambda serialises it": SERIALISED_BYTES,
    "write units per row written (table and index)": 2 * math.ceil(ROW_BYTES / 1024),
    "write units per heartbeat": math.ceil(NODE_BYTES / 1024),
    "read units of a page of 50 (Query of the index)": read_units(ROW_BYTES * 60),
    "read units of 10,000 rows (Query of the index)": read_units(ROW_BYTES * 10_000),
    f"read units of {NODES:,} nodes (Scan, consistent; once a second per environment)": math.ceil(
        NODE_BYTES * NODES / 4096
    ),
    f"read units of a stop ({SITES} sites, consistent)": SITES + 1,
    "requests per stop: API, Lambda, DynamoDB, SQS (send, receive, delete)": "1, 1, 2, 3",
    "SQS requests of an idle node, per minute (long poll of 5 s)": 12,
}


def monthly(load: Load) -> dict[str, float]:
    """Return the monthly cost by service, US dollars: the domain's own, and what 1,000 nodes cost whoever calls."""
    price = {name: amount for name, (amount, _) in PRICES.items()}
    wru, rru, sqs = (price[f"{name}"] for name in list(PRICES)[:3])
    requests = load.pages + load.stops
    gb_s = (
        load.pages * ASSUMED["a page is billed, ms at 1,024 MB"] / 1e3
        + load.stops * ASSUMED["a stop is billed, ms at 512 MB"] / 2e3
    )
    scans = load.pages * math.ceil(NODE_BYTES * NODES / 4096)
    second = {
        "rows written": load.row_writes * 2 * math.ceil(ROW_BYTES / 1024) * wru,
        "pages read": load.pages * read_units(ROW_BYTES * 60) * rru,
        "nodes read for pages (at most)": scans * rru,
        "stops (reads and queue)": load.stops * ((SITES + 1) * rru + 3 * sqs),
        "heartbeats of 1,000 nodes": NODES / HEARTBEAT_INTERVAL_S * math.ceil(NODE_BYTES / 1024) * wru,
        "long polls of 1,000 nodes": NODES / 5 * sqs,
        "API Gateway": requests * price["API Gateway, HTTP API request"],
        "Lambda": requests * price["Lambda, request"] + gb_s * price["Lambda arm64, GB-second"],
        "logs and traces": requests
        * (
            ASSUMED["bytes logged per request, all groups"] / 1e9 * price["CloudWatch Logs, GB ingested"]
            + ASSUMED["requests that X-Ray samples"] * price["X-Ray, trace recorded"]
        ),
    }
    fixed = (8 + 2 * SITES) * price["CloudWatch, alarm and month"] + 40 * price["CloudWatch, metric and month"]
    return {name: cost * MONTH_S for name, cost in second.items()} | {
        "alarms, metrics, dashboard": fixed + price["CloudWatch, dashboard and month"]
    }


QUOTAS: Final = (
    ("DynamoDB: writes to one index partition (one domain), units/s", 1_000, lambda load: load.row_writes),
    ("DynamoDB: writes to one table partition (one site of 20), units/s", 1_000, lambda load: load.row_writes / SITES),
    (
        "DynamoDB: table's initial on-demand writes, units/s",
        4_000,
        lambda load: load.row_writes + NODES / HEARTBEAT_INTERVAL_S,
    ),
    ("DynamoDB: one page of a Scan of the nodes, bytes", 1_048_576, lambda _: NODE_BYTES * NODES),
    ("DynamoDB: keys in the stop's BatchGetItem (sites)", 100, lambda _: SITES),
    (
        "Lambda: answer to a list of everything, bytes (gzip: about a tenth)",
        MAX_RESPONSE_BYTES,
        lambda load: load.runtimes * SERIALISED_BYTES,
    ),
    ("Lambda: concurrent executions of the account", 1_000, lambda load: load.pages * 0.02 + load.stops * 0.03),
    ("API Gateway: requests/s of the account", 10_000, lambda load: load.pages + load.stops),
    ("API Gateway: the stack's own throttle per route, requests/s", 100, lambda load: load.pages),
    ("SQS: messages in flight in a site's queue", 120_000, lambda load: load.stops / SITES * 15),
    ("CloudFormation: resources of a stack (30 + 6 per site + what SAM adds)", 500, lambda _: 40 + 6 * SITES),
    ("CloudFormation: outputs of a stack", 200, lambda _: 16 + SITES),
)


def table(*rows: tuple[str, ...]) -> Iterator[str]:
    """Yield a Markdown table's lines; the first row is its head, all columns but the first are numbers."""
    head, *body = rows
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in body:
        yield f"| {' | '.join(row)} |"


def number(value: float) -> str:
    """Write a number for people."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def tables() -> Iterator[str]:
    """Yield the lines of all tables."""
    loads = [Load(size) for size in SIZES]
    heads = tuple(f"{size:,}" for size in SIZES)
    yield "### Prices\n"
    yield from table(("input", "USD per million, or each", "page"), *(_price(name) for name in PRICES))
    yield "\n### Assumptions\n"
    yield from table(("assumption", "value"), *((name, f"{value:,}") for name, value in ASSUMED.items()))
    yield "\n### Units\n"
    yield from table(
        ("unit", "value"),
        *((name, value if isinstance(value, str) else number(value)) for name, value in UNITS.items()),
    )
    yield "\n### Monthly cost, USD, by concurrent runtimes of the domain\n"
    costs = [monthly(load) for load in loads]
    rows = [(name, *(f"{cost[name]:,.2f}" for cost in costs)) for name in costs[0]]
    yield from table(("cost", *heads), *rows, ("**sum**", *(f"**{sum(cost.values()):,.2f}**" for cost in costs)))
    yield "\n### Quotas, by concurrent runtimes of the domain\n"
    quotas = [(name, number(quota), *(_used(use(load), quota) for load in loads)) for name, quota, use in QUOTAS]
    yield from table(("quota", "limit", *heads), *quotas)


def _price(name: str) -> tuple[str, str, str]:
    amount, page = PRICES[name]
    return name, f"{amount * 1e6:,.4g}" if amount < 0.01 else f"{amount:.2f} each", page


def _used(value: float, quota: float) -> str:
    return f"**{number(value)}**" if value > quota else number(value)


if __name__ == "__main__":
    print("\n".join(tables()))  # noqa: T201  # its output
