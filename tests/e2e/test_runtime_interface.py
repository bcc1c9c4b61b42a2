"""What `make build` made, under Lambda's real runtime interface, against the running stack's tables and queues.

aws-lambda-rie and awslambdaric are AWS's own; the tables are emulated. Function and layer see nothing of this project's
virtual environment.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builds import built
from emulators import ROOT, expanded
from runtime import invocable, invoke, machine

pytestmark = [pytest.mark.e2e, pytest.mark.build]

EVENTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "events").glob("*.json")}
EXPECTED = {name: 404 if name.startswith("stop") else 200 for name in EVENTS} | {"no_domain": 403}
"""The contract's example script does not run in the sample fleet, so its stop finds nothing."""


@pytest.fixture(scope="module")
def ports(stack, tmp_path_factory) -> Iterator[dict[str, int]]:
    """Both functions, started: the port of each by the method of its route."""
    folder: Path = tmp_path_factory.mktemp("rie")
    build = built(machine())
    variables = json.loads(stack.sam_variables.read_text(encoding="utf-8"))
    by_id = {function.logical_id: function.environment for function in expanded().functions}
    environment = {name: {**by_id[name], **variables[name], **stack.credentials_of(name)} for name in by_id}
    listing = invocable(build, "ListRuntimesFunction", environment["ListRuntimesFunction"], folder)
    stopping = invocable(build, "StopRuntimeFunction", environment["StopRuntimeFunction"], folder)
    with listing as list_port, stopping as stop_port:
        yield {"GET": list_port, "DELETE": stop_port}


def send(ports: dict[str, int], event: dict[str, Any]) -> Any:
    return invoke(ports[event["requestContext"]["http"]["method"]], event)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_ready_made_event_is_answered(ports, name) -> None:
    answer = send(ports, EVENTS[name])
    assert answer["statusCode"] == EXPECTED[name], answer
    assert answer["headers"]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "event",
    [
        *(None, "ping", "\ud800", 7, True, [], {}, {"requestContext": None}, {"version": "2.0"}),
        {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event"},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"version": "1.0", "httpMethod": "GET", "path": "/", "headers": {}, "requestContext": {"requestId": "r"}},
    ],
)
def test_what_is_no_http_request_is_refused_and_no_function_error(ports, method, event) -> None:
    """`null` and `"ping"` ended in a function error, which the alarm on failed functions counts."""
    answer = invoke(ports[method], event)
    assert (answer.get("statusCode"), answer.get("errorType")) == (400, None)
    assert json.loads(answer["body"])["errors"][0]["place"].startswith("event")


def test_the_sample_rows_are_listed_and_one_is_stopped(ports, stack) -> None:
    """As docs/deploy.md shows it with `sam local invoke`: the ready-made events, with the id of a row that runs."""
    rows = json.loads(send(ports, EVENTS["list"])["body"])
    assert rows
    assert {row["domain"] for row in rows} == {"test.rootdomain.ru"}
    stop = {**EVENTS["stop"], "pathParameters": {"id": rows[-1]["id"]}}
    answer = send(ports, stop)
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["stop-request-id"] == EVENTS["stop"]["headers"]["idempotency-key"]
