"""What the service costs per month: the prices, in one table to be checked against AWS's pages, and the arithmetic.

Owns prices. Left out: free tiers, taxes, support, and SnapStart, which is off by default. Used by `scale`.
"""

from typing import Final

from delivery import quotas, units
from delivery.units import ASSUMED, MEASURED, NODES, Load

MONTH_S: Final = 30 * 86_400

PRICES: Final = {
    "DynamoDB, write request unit": (0.625e-6, "Amazon DynamoDB pricing, on-demand"),
    "DynamoDB, read request unit": (0.125e-6, "Amazon DynamoDB pricing, on-demand"),
    "DynamoDB, GB stored and month": (0.25, "Amazon DynamoDB pricing, on-demand"),
    "DynamoDB, GB of point-in-time recovery and month": (0.20, "Amazon DynamoDB pricing, on-demand"),
    "SQS, standard request": (0.40e-6, "Amazon SQS pricing"),
    "API Gateway, HTTP API request": (1.00e-6, "Amazon API Gateway pricing"),
    "Lambda, request": (0.20e-6, "AWS Lambda pricing"),
    "Lambda arm64, GB-second": (13.3334e-6, "AWS Lambda pricing"),
    "KMS, request": (3.00e-6, "AWS KMS pricing"),
    "data out, GB": (0.09, "Amazon EC2 on-demand pricing, data transfer"),
    "CloudWatch Logs, GB ingested": (0.50, "Amazon CloudWatch pricing"),
    "CloudWatch Logs, GB kept and month": (0.03, "Amazon CloudWatch pricing"),
    "CloudWatch, metric and month": (0.30, "Amazon CloudWatch pricing"),
    "CloudWatch, metric of an alarm and month": (0.10, "Amazon CloudWatch pricing"),
    "CloudWatch, dashboard and month": (3.00, "Amazon CloudWatch pricing"),
    "X-Ray, trace recorded": (5.00e-6, "AWS X-Ray pricing"),
}
"""US dollars in US East (N. Virginia), without free tiers."""


def price(name: str) -> float:
    """Return a price in dollars."""
    return PRICES[name][0]


def monthly(load: Load) -> dict[str, float]:
    """Return the monthly cost in US dollars by item: those of the domain's load, and the fixed ones of 1,000 nodes."""
    return {name: cost * MONTH_S for name, cost in _a_second(load).items()} | _a_month(load)


def _a_second(load: Load) -> dict[str, float]:
    writes, reads = price("DynamoDB, write request unit"), price("DynamoDB, read request unit")
    sqs = price("SQS, standard request")
    bytes_out = (load.pages * 50 + load.lists * load.runtimes) * units.SERIALISED_BYTES
    return {
        "rows written": load.row_writes * 2 * units.ROW_WRITE_UNITS * writes,
        "pages read": load.pages * MEASURED["page_read_units"] * reads,
        "lists of everything read": load.lists * units.list_read_units(load.runtimes) * reads,
        "nodes read for pages and lists (at most)": (load.pages + load.lists) * units.NODES_READ_UNITS * reads,
        "stops (reads and queue)": load.stops * (MEASURED["stop_read_units"] * reads + 3 * sqs),
        "heartbeats of 1,000 nodes": NODES * units.RENEWALS * units.HEARTBEAT_WRITE_UNITS * writes,
        "long polls of 1,000 nodes": NODES / 5 * sqs,
        "encryption keys (KMS)": quotas.key_requests() * price("KMS, request"),
        "API Gateway": load.requests * price("API Gateway, HTTP API request"),
        "Lambda": _functions(load),
        "data out (without gzip)": bytes_out / 1e9 * price("data out, GB"),
        "logs and traces": _logged(load),
    }


def _functions(load: Load) -> float:
    lists_ms = load.pages * units.PAGE_MS + load.lists * units.list_ms(load.runtimes)
    gb_s = lists_ms / 1e3 * units.LIST_MB / 1024 + load.stops * units.STOP_MS / 1e3 * units.STOP_MB / 1024
    return load.requests * price("Lambda, request") + gb_s * price("Lambda arm64, GB-second")


def _logged(load: Load) -> float:
    of_agents = load.stops * ASSUMED["bytes an agent logs per stop"]
    of_agents += NODES * ASSUMED["bytes an agent logs per day besides"] / 86_400
    logged_gb = (load.requests * ASSUMED["bytes logged per request, all groups"] + of_agents) / 1e9
    kept = ASSUMED["logs are kept, months"] * price("CloudWatch Logs, GB kept and month")
    traced = load.requests * ASSUMED["requests that X-Ray samples"] * price("X-Ray, trace recorded")
    return logged_gb * (price("CloudWatch Logs, GB ingested") + kept) + traced


def _a_month(load: Load) -> dict[str, float]:
    per_gb = price("DynamoDB, GB stored and month") + price("DynamoDB, GB of point-in-time recovery and month")
    watched = quotas.alarm_metrics(units.SITES) * price("CloudWatch, metric of an alarm and month")
    measured = ASSUMED["metrics in use (outcomes, plans, classes, the routes' own)"]
    return {
        "storage and point-in-time recovery": quotas.stored_bytes(load) / 1e9 * per_gb,
        "alarms, metrics, dashboard": watched
        + measured * price("CloudWatch, metric and month")
        + price("CloudWatch, dashboard and month"),
    }
