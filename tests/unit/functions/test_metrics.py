"""What the functions write for CloudWatch: metrics in its embedded format, read back from their output."""

import json
import time
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from emulators import ROOT, expanded
from ivr_runtimes.http import meter
from ivr_runtimes.http.caller import Caller
from ivr_runtimes.http.edge import answer
from ivr_runtimes.http.event import Event
from ivr_runtimes.http.response import Response
from ivr_runtimes.identifiers import Site
from ivr_runtimes.ports import WriteBatch
from rows import PLAYER, node_of

LIST, STOP = "ListRuntimesFunction", "StopRuntimeFunction"
NAMESPACE = "IvrRuntimes/ivr-test"


def event(name: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8")), **changes}


@pytest.fixture
def emitted(cloud, invoke, capsys):
    cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[PLAYER]))
    cloud.nodes.renew(node_of(PLAYER, lease_until_s=time.time() + 50), now_s=time.time())

    def emitted(function: str, sent: dict[str, Any]) -> dict[tuple[str, ...], float]:
        """Invoke the function; return its metrics by name and dimensions' values."""
        capsys.readouterr()
        invoke(function, sent)
        return read_back(capsys.readouterr().out)

    return emitted


def read_back(output: str) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for line in output.splitlines():
        written = json.loads(line)
        for block in written.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert block["Namespace"] == NAMESPACE
            (names,) = block["Dimensions"]
            of = tuple(f"{name}={written[name]}" for name in sorted(names) if name != "function_name")
            found |= {(metric["Name"], *of): sum(written[metric["Name"]]) for metric in block["Metrics"]}
    return found


def test_a_list_tells_its_size_its_latency_and_that_it_was_answered(emitted) -> None:
    metrics = emitted(LIST, event("list"))
    assert metrics["RuntimesListed", "service=list_runtimes"] == 1
    assert metrics["Status2xx", "service=list_runtimes"] == 1
    assert metrics["Requests", "outcome=listed", "service=list_runtimes"] == 1
    assert 0 < metrics["Latency", "service=list_runtimes"] < 10_000


@pytest.mark.parametrize(
    ("sent", "outcome", "status"),
    [
        (event("stop"), "external_stop", "Status2xx"),
        (event("stop_unknown"), "runtime_not_found", "Status4xx"),
        (event("stop", rawQueryString="force=1"), "invalid_request", "Status4xx"),
        (event("stop", requestContext={}), "no_domain", "Status4xx"),
    ],
)
def test_a_stop_is_counted_by_what_became_of_it(emitted, sent, outcome, status) -> None:
    metrics = emitted(STOP, sent)
    assert metrics["Requests", f"outcome={outcome}", "service=stop_runtime"] == 1
    assert metrics[status, "service=stop_runtime"] == 1
    assert [name for name, *_ in metrics if name == "Requests"] == ["Requests"]


def test_a_stop_that_cannot_tell_counts_as_the_alarm_wants_it(emitted, cloud) -> None:
    alarm = expanded().resources["StopFailures"]["Properties"]
    watched = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
    cloud.dynamodb.delete_table(TableName="ivr-test-runtimes")
    metrics = emitted(STOP, event("stop"))
    outcomes = {one["Value"] for metric in watched for one in metric["Dimensions"] if one["Name"] == "outcome"}
    assert outcomes == {"outcome_unknown", "internal_error"}
    assert {metric["Namespace"] for metric in watched} == {NAMESPACE}
    assert metrics["Requests", "outcome=outcome_unknown", "service=stop_runtime"] == 1


def test_a_defect_of_ours_is_counted_and_logged(capsys, caplog) -> None:
    metrics = Metrics(namespace=NAMESPACE, service="list_runtimes")

    def defective(_event: Event, _caller: Caller) -> Response:
        raise ZeroDivisionError

    answered = answer(event("list"), defective, domain_claim="domain", logger=Logger(), metrics=metrics)
    metrics.flush_metrics()
    assert answered["statusCode"] == 500
    assert read_back(capsys.readouterr().out)["Requests", "outcome=internal_error", "service=list_runtimes"] == 1
    assert [record.action for record in caplog.records] == ["failed", "refused"]


def test_rows_that_cannot_be_read_are_counted_by_table_and_told_once_in_a_functions_life(
    cloud, load_function, context, capsys, caplog
) -> None:
    """A row of a site and a node's name, nothing else, once made every list of every tenant a 500."""
    cloud.nodes.renew(node_of(PLAYER, lease_until_s=time.time() + 50), now_s=time.time())
    cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[PLAYER]))
    for site in ("SITE1", "OLDSITE"):
        item = {"site": {"S": site}, "node": {"S": "x@127.0.0.1"}}
        cloud.dynamodb.put_item(TableName="ivr-test-nodes", Item=item)
    function = load_function(LIST)
    capsys.readouterr()
    for _ in range(2):
        answer = function.lambda_handler(event("list"), context)
        assert (answer["statusCode"], len(json.loads(answer["body"]))) == (200, 1)
        assert answer["headers"]["site-nodes"] == "SITE1=1/2, SITE2=0/0"
    output = capsys.readouterr().out
    assert read_back(output)["UnreadableRows", "service=list_runtimes", "table=nodes"] == 1
    lines = [vars(record) for record in caplog.records if getattr(record, "action", "") == "table_row_unreadable"]
    told = [{name: line[name] for name in ("levelname", "table", "site", "key", "fault")} for line in lines]
    fault = "session, lease_until: missing, or not of its type"
    assert told == [{"levelname": "WARNING", "table": "nodes", "site": "SITE1", "key": "x@127.0.0.1", "fault": fault}]


@pytest.mark.parametrize("name", ["UnreadableRows", "table_row_unreadable"])
def test_the_operators_page_explains_it(name) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_plan_and_read_units_are_told_where_they_are_known(capsys) -> None:
    metrics = Metrics(namespace=NAMESPACE, service="list_runtimes")
    meter.listed(metrics, rows=3, plan="page+range+site", read_units=1.5)
    metrics.flush_metrics()
    found = read_back(capsys.readouterr().out)
    assert found["ReadUnits", "service=list_runtimes"] == 1.5
    assert found["Lists", "plan=page", "service=list_runtimes"] == 1
    assert found["RuntimesListed", "service=list_runtimes"] == 3
