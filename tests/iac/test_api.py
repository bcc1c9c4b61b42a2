"""The API: what is served, and to whom."""

import json
import re
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


def test_a_scope_is_as_long_as_api_gateway_takes_it(expanded_with: Any) -> None:
    """AuthorizationScopes: strings of 1 to 64 characters (API Gateway V2 API reference, "Routes")."""
    stack = expanded_with(ScopeRead="r" * 64, ScopeStop="s" * 64, ScopeNumbers="n" * 64)
    assert {scope for route in stack.routes for scope in route.scopes} == {"r" * 64, "s" * 64}
    assert stack.outputs["NumbersScope"] == "n" * 64


def test_scopes_issuer_and_audiences_are_the_installations(expanded_with: Any) -> None:
    stack = expanded_with(ScopeRead="calls/read", ScopeStop="calls/stop", JwtIssuer="https://i", JwtAudience="a, b")
    assert {scope for route in stack.routes for scope in route.scopes} == {"calls/read", "calls/stop"}
    assert (stack.authorizer.issuer, stack.authorizer.audience) == ("https://i", ("a", "b"))


def test_the_list_function_alone_knows_the_scope_of_numbers_and_no_route_asks_for_it(expanded_with: Any) -> None:
    stack = expanded_with(ScopeNumbers="calls/numbers")
    told = {function.logical_id: function.environment.get("SCOPE_NUMBERS") for function in stack.functions}
    assert told == {"ListRuntimesFunction": "calls/numbers", "StopRuntimeFunction": None}
    assert "calls/numbers" not in {scope for route in stack.routes for scope in route.scopes}


def test_every_route_names_the_authorizer_itself(stack: Stack) -> None:
    """So that a route stays closed even if the API's default is taken away."""
    functions = [body["Properties"] for body in stack.resources.values() if body["Type"] == "AWS::Serverless::Function"]
    events = [event["Properties"] for function in functions for event in function["Events"].values()]
    assert [event["Auth"].get("Authorizer") for event in events] == ["Jwt"] * len(stack.routes)
    assert {event["PayloadFormatVersion"] for event in events} == {"2.0"}


def test_every_route_is_throttled_as_the_installation_says(expanded_with: Any) -> None:
    api = expanded_with(ThrottleRate="7", ThrottleBurst="9").resources["Api"]["Properties"]
    settings = api["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("7", "9")
    assert "RouteSettings" not in api, "a route with settings of its own would leave these"


def test_no_page_of_another_origin_calls_the_api_unless_it_is_named(expanded_with: Any) -> None:
    assert "CorsConfiguration" not in expanded_with().resources["Api"]["Properties"]
    cors = expanded_with(CorsOrigins="https://a.example,https://b.example").resources["Api"]["Properties"]
    assert cors["CorsConfiguration"]["AllowOrigins"] == ["https://a.example", "https://b.example"]
    assert cors["CorsConfiguration"]["AllowMethods"] == ["GET", "DELETE"]
    assert "AllowCredentials" not in cors["CorsConfiguration"]


def test_an_access_log_is_one_line_of_json_that_says_who_asked_but_never_what_for(expanded_with: Any) -> None:
    stack = expanded_with(DomainClaim="tenant")
    settings = stack.resources["Api"]["Properties"]["AccessLogSettings"]
    assert settings["DestinationArn"].startswith("arn:aws:logs:eu-central-1:000000000000:log-group:/aws/vendedlogs/st-")
    assert "\n" not in settings["Format"]
    line = json.loads(settings["Format"])
    assert line["subject"] == "$context.authorizer.claims.sub"
    assert line["domain"] == "$context.authorizer.claims.tenant"
    assert line.keys() >= {"requestId", "route", "status", "authorizerError", "responseLatencyMs"}
    assert not re.search(r"\$context\.(path|identity\.userAgent|authorizer\.claims\.\w*token)", settings["Format"])


def test_an_output_tells_whatever_a_client_or_an_agent_needs(stack: Stack, document: dict[str, Any]) -> None:
    assert stack.outputs["ApiUrl"].startswith("https://")
    assert (stack.outputs["TokenIssuer"], stack.outputs["TokenAudiences"]) == ("https://issuer.example", "ivr")
    assert {stack.outputs["ReadScope"], stack.outputs["StopScope"]} == set(PUBLIC.values())
    assert stack.outputs["NumbersScope"] == "ivrscript_runtimes:numbers"
    assert stack.outputs["TokenDomainClaim"] == "domain"
    assert (stack.outputs["Region"], stack.outputs["SiteCodes"]) == ("eu-central-1", "SITE1,SITE2")
    urls = {f"{stack.outputs['StopQueueUrlPrefix']}{site}{end}" for site in ("SITE1", "SITE2") for end in ("", "-dlq")}
    assert {url.rpartition("/")[2] for url in urls} == {queue.name for queue in stack.queues}
    named = {stack.outputs["ListFunctionName"], stack.outputs["StopFunctionName"]}
    assert named == {f"st-{function.logical_id}" for function in stack.functions}, "for a rollback"
    assert not stack.outputs.keys() & document["Parameters"].keys(), "SAM's command line mixes up equal names"


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
        ("ScopeRead", "r" * 65),
        ("ScopeStop", "s" * 65),
        ("ScopeNumbers", ""),
        ("ScopeNumbers", "n" * 65),
        ("ScopeNumbers", "two scopes"),
        ("DomainClaim", "a b"),
        ("LogLevel", "info"),
        ("Architecture", "riscv"),
        ("LogRetention", "2"),
        ("ThrottleRate", "0"),
        ("ThrottleRate", "10001"),
        ("ThrottleBurst", "0"),
        ("ThrottleBurst", "5001"),
        ("AlarmTopic", "my-topic"),
        ("SnapStart", "true"),
        ("Environment", "test"),
        ("CorsOrigins", "*"),
        ("CorsOrigins", "https://a.example/path"),
        ("CorsOrigins", "https://a.example, https://b.example"),
        ("CorsOrigins", "https://a.example,"),
        ("Release", "latest"),
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
        assert parameter.keys() & {"AllowedPattern", "AllowedValues"} or parameter.keys() >= {"MinValue", "MaxValue"}, (
            name
        )
        if "AllowedValues" not in parameter:
            assert parameter["ConstraintDescription"].startswith("must "), name
