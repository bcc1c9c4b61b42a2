"""The API: what is served, and to whom."""

from typing import Any

import pytest

from ivr_local.template import Stack

PUBLIC = {
    ("GET", "/rest/v1/uc/ivrscript_runtimes"): "ivrscript_runtimes:read",
    ("DELETE", "/rest/v1/uc/ivrscript_runtimes/{id}"): "ivrscript_runtimes:stop",
}


def test_the_routes_are_those_of_the_contract(stack: Stack) -> None:
    assert {(route.method, route.path): route.scopes for route in stack.routes} == {
        route: (scope,) for route, scope in PUBLIC.items()
    }


def test_every_route_asks_for_exactly_one_scope_of_its_own(stack: Stack) -> None:
    scopes = [route.scopes for route in stack.routes]
    assert all(len(of_route) == 1 for of_route in scopes)
    assert len(set(scopes)) == len(scopes)


def test_scopes_issuer_and_audiences_are_the_installations(expanded_with: Any) -> None:
    stack = expanded_with(ScopeRead="calls/read", ScopeStop="calls/stop", JwtIssuer="https://i", JwtAudience="a, b")
    assert {scope for route in stack.routes for scope in route.scopes} == {"calls/read", "calls/stop"}
    assert (stack.authorizer.issuer, stack.authorizer.audience) == ("https://i", ("a", "b"))


def test_every_route_names_the_authorizer_itself(stack: Stack) -> None:
    """So that a route stays closed even if the API's default is taken away."""
    functions = [body["Properties"] for body in stack.resources.values() if body["Type"] == "AWS::Serverless::Function"]
    events = [event["Properties"] for function in functions for event in function["Events"].values()]
    assert [event["Auth"].get("Authorizer") for event in events] == ["Jwt"] * len(stack.routes)
    assert {event["PayloadFormatVersion"] for event in events} == {"2.0"}


def test_nothing_but_the_api_invokes_a_function(stack: Stack) -> None:
    kinds = {body["Type"] for body in stack.resources.values()}
    assert not kinds & {
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::Serverless::Api",
        "AWS::ApiGatewayV2::Route",
    }
    for body in stack.resources.values():
        assert "FunctionUrlConfig" not in body.get("Properties", {})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("JwtIssuer", "http://issuer.example"),
        ("JwtIssuer", "https://issuer.example/?x=1"),
        ("JwtAudience", ""),
        ("ScopeRead", "two scopes"),
        ("ScopeStop", ""),
        ("DomainClaim", "a b"),
        ("LogLevel", "info"),
        ("Architecture", "riscv"),
        ("LogRetentionDays", "2"),
    ],
)
def test_a_parameter_that_would_open_or_break_the_api_is_refused(
    expanded_with: Any, parameter: str, value: str
) -> None:
    with pytest.raises(Exception, match=f"parameter {parameter}"):
        expanded_with(**{parameter: value})


def test_every_parameter_says_what_it_is_and_what_it_may_be(document: dict[str, Any]) -> None:
    for name, parameter in document["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert "AllowedPattern" in parameter or "AllowedValues" in parameter, name
        if "AllowedPattern" in parameter:
            assert parameter["ConstraintDescription"].startswith("must "), name
