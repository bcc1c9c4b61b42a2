"""How near the service comes to AWS's quotas: those that depend on runtimes and callers, and those on sites.

Owns the quotas as AWS states them. What the stack itself uses is read from the expanded template. Used by `scale` and
`cost`.
"""

import functools
import json
from collections.abc import Callable
from typing import Any, Final

from delivery import units
from delivery.units import ASSUMED, MEASURED, NODE_BYTES, NODES, ROW_BYTES, SERIALISED_BYTES, SITES, Load
from ivr_local.template import Stack, expand
from ivr_runtimes.command import DEADLINE_S, Command
from ivr_runtimes.http.response import MAX_RESPONSE_BYTES
from ivr_runtimes.listing.reader import BUDGET_S, MAX_ROWS
from ivr_runtimes.model import Verb

MADE_BY_SAM: Final = 10
"""How many resources SAM adds at most: stage, permissions, versions, aliases (a test counts them)."""

ITEM_OVERHEAD_BYTES: Final = 100
"""What DynamoDB adds to each item for storage, and to its projection in an index (page "Item sizes")."""


@functools.cache
def stack(sites: int) -> Stack:
    """Expand the template for that many sites, with the longest codes."""
    codes = ",".join(f"S{number:031}" for number in range(sites))
    given = {"JwtIssuer": "https://tokens.example", "JwtAudience": "ivr-runtimes", "Sites": codes}
    return expand(
        units.ROOT / "template.yaml", parameters=given, stack_name="ivr-runtimes-prod", region="r", account_id="0" * 12
    )


def _of_type(sites: int, kind: str) -> list[dict[str, Any]]:
    return [body["Properties"] for body in stack(sites).resources.values() if body["Type"] == kind]


def alarm_metrics(sites: int) -> int:
    """Return how many metrics the alarms watch: CloudWatch bills each."""
    alarms = _of_type(sites, "AWS::CloudWatch::Alarm")
    return sum(sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1 for alarm in alarms)


def stored_bytes(load: Load) -> int:
    """Return the bytes that the tables store, index included."""
    return load.runtimes * 2 * (ROW_BYTES + ITEM_OVERHEAD_BYTES) + NODES * (NODE_BYTES + ITEM_OVERHEAD_BYTES)


def key_requests() -> float:
    """Return KMS requests per second: those of every agent for two tables. The functions make few in comparison."""
    return NODES * 2 / ASSUMED["a caller has KMS open a table's key every, s"]


def _domain_reads(load: Load) -> float:
    return load.pages * MEASURED["page_read_units"] + units.list_read_units(load.runtimes)


def _table_writes(load: Load) -> float:
    return load.row_writes + NODES * units.RENEWALS


def _list_s(load: Load) -> float:
    return units.list_ms(load.runtimes) / 1e3


BY_LOAD: Final[tuple[tuple[str, float, Callable[[Load], float]], ...]] = (
    ("DynamoDB: writes to one index partition (one domain), units/s", 1_000, lambda load: load.row_writes),
    (
        "DynamoDB: reads of one index partition (one domain), with one list of everything a second, units/s",
        3_000,
        _domain_reads,
    ),
    ("DynamoDB: writes to one table partition (one site of 20), units/s", 1_000, lambda load: load.row_writes / SITES),
    ("DynamoDB: a table's initial on-demand writes, both tables together, units/s", 4_000, _table_writes),
    ("DynamoDB: reads of one table, units/s", 40_000, _domain_reads),
    ("DynamoDB: writes to one table, units/s", 40_000, _table_writes),
    ("DynamoDB: one page of a Scan of the nodes, bytes", 1_048_576, lambda _: NODE_BYTES * NODES),
    ("KMS: requests/s of the account and region", 5_500, lambda _: key_requests()),
    (
        "Lambda: answer to a list of everything, plain, bytes",
        MAX_RESPONSE_BYTES,
        lambda load: load.runtimes * SERIALISED_BYTES,
    ),
    (
        "Lambda: the same with gzip (about a tenth), bytes",
        MAX_RESPONSE_BYTES,
        lambda load: load.runtimes * SERIALISED_BYTES / 10,
    ),
    ("a list's own limit: rows", MAX_ROWS, lambda load: load.runtimes),
    ("a list's own limit: time, s (Lambda's is 15, API Gateway's 30)", BUDGET_S, _list_s),
    ("Lambda: concurrent executions of the account", 1_000, lambda load: load.concurrency),
    ("API Gateway: requests/s of the account", 10_000, lambda load: load.requests),
    ("API Gateway: the stack's own throttle per route, requests/s", 100, lambda load: load.pages + load.lists),
    ("SQS: messages in flight in a site's queue", 120_000, lambda load: load.stops / SITES * 15),
    ("X-Ray: segments/s", 2_600, lambda load: load.requests * ASSUMED["requests that X-Ray samples"] * 2),
)


def _variables(sites: int) -> int:
    """Return the bytes of the longer function's variables."""
    found = (function.environment.items() for function in stack(sites).functions)
    return max(sum(len(name) + len(value) for name, value in pairs) for pairs in found)


def _written(document: object) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def _message(sites: int) -> int:  # noqa: ARG001  # the same whatever the sites
    row = units.ROW
    command = Command(
        stop_id="x" * 64,
        verb=Verb.EXTERNAL_STOP,
        site=row.site,
        node=row.node,
        session=row.session,
        runtime_id=row.id,
        domain=row.domain,
        requested_by="x" * 256,
        accepted_at_s=1572943000.123,
        deadline_s=1572943000.123 + DEADLINE_S,
    )
    return len(command.to_body())


def _role_policy(sites: int) -> int:
    roles = _of_type(sites, "AWS::IAM::Role")
    return max(sum(_written(policy["PolicyDocument"]) for policy in role["Policies"]) for role in roles)


def _agents_policy(sites: int) -> int:
    return max(_written(policy["PolicyDocument"]) for policy in _of_type(sites, "AWS::IAM::ManagedPolicy"))


BY_SITES: Final[tuple[tuple[str, float, Callable[[int], float]], ...]] = (
    ("CloudFormation: resources of a stack", 500, lambda sites: len(stack(sites).resources) + MADE_BY_SAM),
    ("CloudFormation: outputs of a stack", 200, lambda sites: len(stack(sites).outputs)),
    ("CloudFormation: expanded template, bytes", 1_048_576, lambda sites: _written(stack(sites).resources)),
    ("CloudFormation: value of the parameter `Sites`, bytes", 4_096, lambda sites: 33 * sites - 1),
    ("DynamoDB: keys in the stop's BatchGetItem", 100, lambda sites: sites),
    ("Lambda: variables of a function, bytes", 4_096, _variables),
    (
        "Lambda: code kept by 1,000 releases, GB",
        75,
        lambda _: ASSUMED["a release's layer and functions, zipped, MB"],
    ),
    ("SQS: bytes of a message", 1_048_576, _message),
    ("IAM: customer managed policies of the account", 1_500, lambda sites: sites),
    ("IAM: managed policies of a role (an agents' role is of one site)", 10, lambda _: 1),
    ("IAM: the agents' policy, characters", 6_144, _agents_policy),
    ("IAM: policies within a function's role, characters", 10_240, _role_policy),
    ("CloudWatch: alarms of the account", 5_000, lambda sites: len(_of_type(sites, "AWS::CloudWatch::Alarm"))),
    ("CloudWatch: series in one graph", 500, lambda sites: sites + 1),
    ("API Gateway: routes of an API", 300, lambda sites: len(stack(sites).routes)),
    ("API Gateway: audiences of an authorizer (as many as `JwtAudience` names)", 50, lambda _: 1),
    ("API Gateway: request line and headers, bytes (token and query together)", 10_240, lambda _: 2_500),
)
"""Quotas that depend on sites alone, however few the calls; with the longest site codes."""
