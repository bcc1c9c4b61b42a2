"""What operators look at: the dashboard's metrics and the saved queries' fields are such as something really emits."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from emulators import ROOT
from ivr_agent.outcome import described
from ivr_local.template import Stack
from ivr_runtimes.command import Command
from ivr_runtimes.http import Caller, meter
from ivr_runtimes.http.response import no_content
from ivr_runtimes.identifiers import StopId
from ivr_runtimes.model import Verb
from ivr_runtimes.stopping.acceptance import StopReceipt
from ivr_runtimes.stopping.request import StopRequest
from ivr_runtimes.stopping.wait import Waited
from rows import DOMAIN, PLAYER

NAMESPACE = "IvrRuntimes/st"
OF_AWS = {
    *(("AWS/ApiGateway", name, "ApiId") for name in ("Count", "4xx", "5xx", "Latency")),
    *(("AWS/Lambda", name, "FunctionName") for name in ("ConcurrentExecutions", "Throttles")),
    *(("AWS/DynamoDB", f"Consumed{kind}CapacityUnits", "TableName") for kind in ("Read", "Write")),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits", "GlobalSecondaryIndexName", "TableName"),
    *(
        ("AWS/SQS", name, "QueueName")
        for name in ("ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible")
    ),
}
"""AWS's metrics that the dashboard shows, with their dimensions, from AWS's pages on each service's metrics."""
SEARCH = re.compile(r"""SEARCH\('\{(?P<schema>[^}]*)\} MetricName="(?P<metric>\w+)"(?P<terms>[^']*)', '\w+', \d+\)""")
OF_EVERY_LINE = {"action", "service", "correlation_id"}
"""Fields of every line: `action`, and of the functions' logger what the handler has injected."""
WORDS = {"fields", "filter", "sort", "limit", "in", "asc", "desc", "stats", "count", "as", "pct", "by"}
"""Words of Logs Insights' language in our queries."""


def of_type(stack: Stack, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body["Properties"] for name, body in stack.resources.items() if body["Type"] == kind}


@pytest.fixture(scope="module")
def widgets(stack: Stack) -> list[dict[str, Any]]:
    (dashboard,) = of_type(stack, "AWS::CloudWatch::Dashboard").values()
    found: list[dict[str, Any]] = json.loads(dashboard["DashboardBody"])["widgets"]
    return found


def rows(widget: dict[str, Any]) -> Iterator[list[str]]:
    """Each metric of a widget in full: `...` repeats the row before, `.` its member at that place."""
    before: list[str] = []
    for row in widget["properties"]["metrics"]:
        members = [member for member in row if isinstance(member, str)]
        if members == ["..."]:
            members = before
        before = [before[i] if member == "." else member for i, member in enumerate(members)]
        if before:
            yield before


def searches(widgets: list[dict[str, Any]]) -> list[dict[str, str]]:
    expressions = [
        options["expression"]
        for widget in widgets
        for row in widget["properties"]["metrics"]
        for options in row
        if isinstance(options, dict) and "expression" in options
    ]
    found = [SEARCH.fullmatch(expression) for expression in expressions]
    assert None not in found, expressions
    return [match.groupdict() for match in found if match is not None]


@pytest.fixture
def emitted(stack: Stack, capsys: pytest.CaptureFixture[str]) -> set[tuple[str, ...]]:
    """What the meter writes, and what the metric filters count: namespace, metric, dimensions' names."""
    metrics = Metrics(namespace=NAMESPACE, service="list_runtimes")
    meter.answered(metrics, no_content(headers={}), latency_ms=1)
    meter.listed(metrics, rows=1, plan="page+range", read_units=1.0)
    meter.waited(metrics, "ended", effect_s=0.1)
    metrics.flush_metrics()
    blocks = [json.loads(line)["_aws"]["CloudWatchMetrics"] for line in capsys.readouterr().out.splitlines()]
    written = {
        (block["Namespace"], metric["Name"], *sorted(names))
        for (block,) in blocks
        for metric in block["Metrics"]
        for names in block["Dimensions"]
    }
    filters = of_type(stack, "AWS::Logs::MetricFilter").values()
    counted = [transformation for one in filters for transformation in one["MetricTransformations"]]
    return written | {(one["MetricNamespace"], one["MetricName"]) for one in counted}


def test_a_dashboards_name_is_its_regions_too(stack: Stack) -> None:
    """Names of dashboards are one set for all regions of an account, so a second region would take the first one's."""
    (dashboard,) = of_type(stack, "AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == "st-eu-central-1"
    assert stack.outputs["DashboardUrl"].endswith(
        f"region=eu-central-1#dashboards/dashboard/{dashboard['DashboardName']}"
    )


def test_every_widget_has_a_title_and_a_place_of_its_own(widgets: list[dict[str, Any]]) -> None:
    titles = [widget["properties"]["title"] for widget in widgets]
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(set(titles)) == len(titles) >= 8
    assert len(set(places)) == len(places)
    assert {widget["properties"]["region"] for widget in widgets} == {"eu-central-1"}


def test_every_metric_shown_is_one_that_is_emitted(
    widgets: list[dict[str, Any]], emitted: set[tuple[str, ...]]
) -> None:
    shown = {(row[0], row[1], *sorted(row[2::2])) for widget in widgets for row in rows(widget)}
    assert shown - emitted <= OF_AWS
    assert {name for name in shown if name[0] == NAMESPACE} <= emitted


def test_every_metric_shown_is_of_this_stack(widgets: list[dict[str, Any]], stack: Stack) -> None:
    own = {table.name for table in stack.tables} | {f"st-{function.logical_id}" for function in stack.functions}
    own |= {"by_domain", "list_runtimes", "stop_runtime", "st-Api"}
    assert {value for widget in widgets for row in rows(widget) for value in row[3::2]} <= own


def test_a_search_is_for_a_schema_that_is_emitted(widgets: list[dict[str, Any]], emitted: set[tuple[str, ...]]) -> None:
    """Names with other than letters and digits stand in quotes there, AWS's own namespaces excepted."""
    for search in searches(widgets):
        namespace, *dimensions = search["schema"].split(",")
        quoted = namespace.startswith('"')
        assert quoted is not namespace.startswith("AWS/")
        known = emitted if quoted else OF_AWS
        assert (namespace.strip('"'), search["metric"], *sorted(dimensions)) in known


def test_queues_are_searched_by_a_part_of_their_names(widgets: list[dict[str, Any]], stack: Stack) -> None:
    """In quotes it would have to be the whole name. Dead-letter queues have a word of their own at the end."""
    terms = {search["metric"]: search["terms"].split() for search in searches(widgets) if search["terms"]}
    assert terms == {
        "ApproximateAgeOfOldestMessage": ["QueueName=st-stop", "NOT", "dlq"],
        "ApproximateNumberOfMessagesVisible": ["QueueName=st-stop", "dlq"],
    }
    for queue in stack.queues:
        assert queue.name.startswith("st-stop-")
        assert queue.name.endswith("-dlq") is (queue.dead_letter is None)


# --- saved queries ----------------------------------------------------------------------------------------------------


def fields_of(query: dict[str, Any]) -> set[str]:
    """The fields a query reads: its words, without the language's, strings and the names it gives itself."""
    text = re.sub(r'"[^"]*"', "", query["QueryString"])
    words = set(re.findall(r"(?<![@\w])[A-Za-z]\w*", text))
    return words - WORDS - set(re.findall(r" as (\w+)", text))


def spread() -> dict[str, set[str]]:
    """The fields that a line gets by `**`: of the agent's commands, and of the function's receipts and waits."""
    command = Command(
        stop_id="s",
        verb=Verb.TERMINATE,
        site="SITE1",
        node="a@b",
        session="s",
        runtime_id="r",
        domain="d",
        accepted_at_s=0,
        deadline_s=0,
    )
    receipt = StopReceipt(StopRequest(PLAYER.id, StopId("s")), Caller(DOMAIN, "c"), PLAYER, Verb.TERMINATE, 0.0)
    return {
        "described(command)": set(described(command)),
        "about": set(receipt.described()),
        "waited.described()": set(Waited().described()),
    }


def logged(path: str) -> dict[str, set[str]]:
    """The fields of each action that a module logs: the keywords of the calls that name it."""
    found: dict[str, set[str]] = {}
    for call in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        given = {one.arg: one.value for one in call.keywords}
        name = given.get("action", call.args[0] if call.args else None)
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            more = [spread().get(ast.unparse(one.value), set()) for one in call.keywords if one.arg is None]
            found[name.value] = found.get(name.value, set()).union({arg for arg in given if arg}, *more)
    return found


STOP, EDGE, DRAIN = (
    "functions/stop_runtime/app.py",
    "layers/core/ivr_runtimes/http/edge.py",
    "agent/ivr_agent/stops/drain.py",
)
OF_FUNCTIONS = ["/aws/lambda/st-list-runtimes", "/aws/lambda/st-stop-runtime"]


@pytest.mark.parametrize(
    ("query", "groups", "lines"),
    [
        ("WhoStoppedWhat", ["/aws/lambda/st-stop-runtime"], [(STOP, "stop_accepted"), (STOP, "stop_waited")]),
        (
            "WhatBecameOfStops",
            ["/aws/lambda/st-stop-runtime", "/ivr-runtimes/st/agents"],
            [(STOP, "stop_accepted"), (STOP, "stop_waited"), (DRAIN, "stop_undelivered"), (DRAIN, "stop_outcome")],
        ),
        ("StopsByOutcome", ["/ivr-runtimes/st/agents"], [(DRAIN, "stop_outcome")]),
        ("RefusedRequests", OF_FUNCTIONS, [(EDGE, "refused"), (EDGE, "failed")]),
    ],
)
def test_a_saved_query_asks_for_fields_that_are_logged(
    stack: Stack, query: str, groups: list[str], lines: list[tuple[str, str]]
) -> None:
    properties = stack.resources[query]["Properties"]
    assert properties["LogGroupNames"] == groups
    assert set(re.findall(r'"(\w+)"', properties["QueryString"])) == {action for _, action in lines}
    known = set().union(*(logged(path)[action] for path, action in lines))
    assert fields_of(properties) <= known | OF_EVERY_LINE


def test_the_busiest_callers_are_found_in_the_access_log(stack: Stack) -> None:
    query = stack.resources["BusiestCallers"]["Properties"]
    access_log = stack.resources["Api"]["Properties"]["AccessLogSettings"]
    assert query["LogGroupNames"] == ["/aws/vendedlogs/st-api"]
    assert fields_of(query) <= json.loads(access_log["Format"]).keys()


def test_every_saved_query_is_tested_and_of_this_stack(stack: Stack) -> None:
    queries = of_type(stack, "AWS::Logs::QueryDefinition")
    assert set(queries) == {
        *("WhoStoppedWhat", "WhatBecameOfStops", "StopsByOutcome", "RefusedRequests", "BusiestCallers")
    }
    assert {query["Name"].partition("/")[0] for query in queries.values()} == {"st"}
