"""What the functions answer when they are invoked with something else than an HTTP request.

A schedule that keeps a function warm, or a test in the console, sent `null`, `"ping"` or `{"requestContext": null}`:
the handler raised, and the alarm on functions that fail went off. Each is a refusal as any other, and one line of the
log.
"""

import json
from typing import Any

import pytest

from emulators import ROOT

FUNCTIONS = ["ListRuntimesFunction", "StopRuntimeFunction"]

SCHEDULED = {"version": "0", "id": "x", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
QUEUED = {"Records": [{"messageId": "m", "body": "{}", "eventSource": "aws:sqs"}]}
BALANCED = {"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": "GET", "path": "/", "headers": {}}
REST = {"version": "1.0", "httpMethod": "GET", "path": "/", "headers": None, "requestContext": {"requestId": "r"}}

FOREIGN: list[tuple[object, str]] = [
    (None, "null"),
    ("ping", 'the string "ping"'),
    ("\x1b[2J\n{", "\\x1b[2J\\n{"),
    ("x" * 9_000, "…"),
    (7, "a number"),
    (1.5, "a number"),
    (True, "a truth value"),
    ([], "a list"),
    ([{"requestContext": {"requestId": "r"}}], "a list"),
    ({}, "an empty object"),
    ({"requestContext": None}, '"requestContext"'),
    ({"requestContext": {"requestId": {"a": [1]}}}, '"requestContext"'),
    ({f"k\x1b{n}": 1 for n in range(900)}, '"k\\x1b4"'),
    ({"warmer": True, "concurrency": 3}, '"warmer", "concurrency"'),
    (SCHEDULED, '"source"'),
    (QUEUED, '"Records"'),
    (BALANCED, '"httpMethod"'),
    (REST, '"httpMethod"'),
]


def event(**changes: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "events" / "stop.json").read_text(encoding="utf-8"))
    return {**loaded, **changes}


@pytest.fixture
def refused(invoke, caplog):
    def refused(function: str, sent: object) -> dict[str, Any]:
        """Invoke the function; return the problem, told in one line of the log."""
        caplog.clear()
        answer = invoke(function, sent)
        problem: dict[str, Any] = json.loads(json.loads(json.dumps(answer))["body"])
        assert (answer["statusCode"], problem["code"]) == (400, "invalid_request")
        (line,) = caplog.records
        assert (line.action, line.levelname, line.detail) == ("refused", "WARNING", problem["detail"])
        assert problem["detail"].isprintable()
        assert len(problem["detail"]) < 500
        return problem

    return refused


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("sent", "told"), FOREIGN)
def test_what_is_no_http_request_is_refused_in_one_line_that_says_what_came(refused, function, sent, told) -> None:
    problem = refused(function, sent)
    assert told in problem["detail"]
    assert (problem["errors"][0]["place"], bool(problem["errors"][0]["remedy"])) == ("event", True)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"requestContext": None}, "event.requestContext"),
        ({"requestContext": []}, "event.requestContext"),
        ({"headers": 7}, "event.headers"),
        ({"headers": ["prefer"]}, "event.headers"),
        ({"headers": ""}, "event.headers"),
        ({"pathParameters": "id"}, "event.pathParameters"),
        ({"rawQueryString": {"limit": "1"}}, "event.rawQueryString"),
        ({"rawQueryString": None, "queryStringParameters": {"limit": "1"}}, "event.rawQueryString"),
    ],
)
def test_a_request_with_a_member_of_another_type_is_refused_by_its_place(refused, function, changes, place) -> None:
    assert refused(function, event(**changes))["errors"][0]["place"] == place


@pytest.mark.parametrize(("function", "name"), [(FUNCTIONS[0], "prefer"), (FUNCTIONS[1], "idempotency-key")])
@pytest.mark.parametrize("value", [7, ["v"], {"v": 1}, False])
def test_a_header_that_is_no_text_is_refused_not_ignored(refused, function, name, value) -> None:
    assert refused(function, event(headers={name: value}))["errors"][0]["place"] == f"event.headers.{name}"


@pytest.mark.parametrize("member", ["rawPath", "rawQueryString", "headers", "cookies", "isBase64Encoded", "routeKey"])
@pytest.mark.parametrize("empty", [True, False])
def test_members_that_say_nothing_may_be_missing_or_null(invoke, member, empty) -> None:
    sparse = event(**{member: None})
    if not empty:
        del sparse[member]
    assert invoke("ListRuntimesFunction", sparse)["statusCode"] == 200
    assert invoke("StopRuntimeFunction", sparse)["statusCode"] == 404


@pytest.mark.parametrize("parameters", [None, {}, {"id": None}, {"id": 7}, {"id": ["x"]}, {"ID": "x"}])
def test_a_stop_without_an_id_finds_nothing(invoke, parameters) -> None:
    assert invoke("StopRuntimeFunction", event(pathParameters=parameters))["statusCode"] == 404


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("context", [{}, {"authorizer": None}, {"authorizer": {"jwt": []}}, {"requestId": ["r"]}])
def test_an_http_request_without_claims_is_403_whatever_stands_in_their_place(invoke, function, context) -> None:
    assert invoke(function, event(requestContext=context))["statusCode"] == 403


@pytest.mark.parametrize("body", ["x", "AAAA", None, 7])
def test_a_body_is_not_read(invoke, body) -> None:
    assert invoke("ListRuntimesFunction", event(body=body, isBase64Encoded=True))["statusCode"] == 200
