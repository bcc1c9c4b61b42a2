"""The ready-made events: each is what API Gateway sends for a route of the template (payload format 2.0)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ivr_local.template import Route, Stack
from ivr_runtimes.identifiers import is_runtime_id, is_stop_id

EVENTS = Path(__file__).resolve().parents[2] / "events"
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))


def event(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def route_of(stack: Stack, sent: dict[str, Any]) -> Route:
    (found,) = [route for route in stack.routes if f"{route.method} {route.path}" == sent["routeKey"]]
    return found


def test_there_is_an_event_for_every_case_that_matters() -> None:
    assert [
        *("list", "list_all_parameters", "list_numbers", "no_domain"),
        *("stop", "stop_reason", "stop_unknown", "stop_wait"),
    ] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_event_is_of_a_route_of_the_template(stack: Stack, name: str) -> None:
    sent = event(name)
    route = route_of(stack, sent)
    filled = route.path.format(**sent.get("pathParameters", {}))
    assert sent["rawPath"] == sent["requestContext"]["http"]["path"] == filled
    assert sent["requestContext"]["routeKey"] == sent["routeKey"]
    assert sent["requestContext"]["http"]["method"] == route.method


@pytest.mark.parametrize("name", NAMES)
def test_an_events_caller_passed_the_authorizer(stack: Stack, name: str) -> None:
    jwt = event(name)["requestContext"]["authorizer"]["jwt"]
    scopes = route_of(stack, event(name)).scopes
    assert tuple(jwt["scopes"]) == scopes
    assert set(scopes) <= set(jwt["claims"]["scope"].split())
    assert all(isinstance(claim, str) for claim in jwt["claims"].values())
    assert jwt["claims"].get("domain") == (None if name == "no_domain" else "test.rootdomain.ru")


@pytest.mark.parametrize("name", NAMES)
def test_an_event_agrees_with_itself(name: str) -> None:
    sent = event(name)
    context = sent["requestContext"]
    assert (sent["version"], sent["isBase64Encoded"]) == ("2.0", False)
    at = datetime.strptime(context["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert at == datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC)
    assert int(context["authorizer"]["jwt"]["claims"]["exp"]) > context["timeEpoch"] / 1000
    assert (
        context["domainName"] == sent["headers"]["host"] == f"{context['apiId']}.execute-api.eu-central-1.amazonaws.com"
    )
    assert sent["headers"]["x-forwarded-for"] == context["http"]["sourceIp"]
    assert dict(parse_qsl(sent["rawQueryString"])) == sent.get("queryStringParameters", {})
    assert all(header == header.lower() for header in sent["headers"])


def test_one_event_uses_every_parameter_of_the_contract() -> None:
    assert set(event("list_all_parameters")["queryStringParameters"]) == {
        *("filter", "mask", "offset", "limit", "order", "flat")
    }


@pytest.mark.parametrize("name", ["stop", "stop_reason", "stop_unknown", "stop_wait"])
def test_a_stop_names_a_runtime_and_carries_a_key(name: str) -> None:
    assert is_runtime_id(event(name)["pathParameters"]["id"])
    assert is_stop_id(event(name)["headers"]["idempotency-key"])


def test_request_ids_are_not_repeated() -> None:
    ids = [event(name)["requestContext"]["requestId"] for name in NAMES]
    assert len(set(ids)) == len(ids)
