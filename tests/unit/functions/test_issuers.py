"""Tokens as the issuers of docs/deploy.md make them get through the authorizer to the functions.

The samples are claims of access tokens as each issuer's documentation has them, with the stack's parameters beside
them. Here they are signed with a key of ours and take the way a request takes: authorizer, event, function.
"""

import json
import time
from typing import Any

import jwt
import pytest

from emulators import ACCOUNT, REGION, ROOT, SITES, STACK
from ivr_local import event, template
from ivr_local.authorizer import AuthorizationError, Grant, JwtAuthorizer
from ivr_local.issuer import Issuer
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import Site
from ivr_runtimes.ports import WriteBatch
from rows import PLAYER, node_of

SAMPLES = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "events" / "tokens").glob("*.json")}

FUNCTIONS = {"GET": "ListRuntimesFunction", "DELETE": "StopRuntimeFunction"}


def expanded(sample: dict[str, Any]) -> template.Stack:
    parameters = {**sample["parameters"], "Sites": SITES}
    return template.expand(
        ROOT / "template.yaml", parameters=parameters, stack_name=STACK, region=REGION, account_id=ACCOUNT
    )


def route_of(stack: template.Stack, method: str) -> template.Route:
    (route,) = [route for route in stack.routes if route.method == method]
    return route


def granted(stack: template.Stack, claims: dict[str, Any], method: str) -> Grant:
    """What the authorizer makes of a token with these claims."""
    issuer = Issuer(url=stack.authorizer.issuer, audience="", clients={})
    token = jwt.encode(claims, issuer.key, algorithm="RS256", headers={"kid": issuer.key_id})
    gate = JwtAuthorizer(config=stack.authorizer, jwks=issuer.jwks(), clock=lambda: claims["iat"] + 60.0)
    return gate.authorize(f"Bearer {token}", route_of(stack, method).scopes)


@pytest.fixture
def answered(cloud, invoke):
    """Take a token with these claims the whole way; return the function's answer."""
    cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[PLAYER]))
    cloud.nodes.renew(node_of(PLAYER, lease_until_s=time.time() + 50), now_s=time.time())

    def answered(sample: dict[str, Any], claims: dict[str, Any], method: str, query: str = "") -> dict[str, Any]:
        stack = expanded(sample)
        route = route_of(stack, method)
        request = event.HttpRequest(
            method=method,
            target=route.path.format(id=PLAYER.id) + query,
            protocol="HTTP/1.1",
            headers=[("host", "api.example")],
            body=b"",
            source_ip="203.0.113.7",
            port=443,
            request_id="request-1",
            received_at_s=time.time(),
        )
        sent = event.build(
            request,
            api=event.Api(account_id=ACCOUNT, api_id="api"),
            route_key=f"{method} {route.path}",
            parameters={"id": PLAYER.id} if "{id}" in route.path else {},
            grant=granted(stack, claims, method),
        )
        return invoke(FUNCTIONS[method], sent, stack)

    return answered


@pytest.mark.parametrize("name", SAMPLES)
def test_a_token_of_each_issuer_lists_its_domains_scripts(answered, name):
    answer = answered(SAMPLES[name], SAMPLES[name]["claims"], "GET")
    assert answer["statusCode"] == 200
    assert [row["id"] for row in json.loads(answer["body"])] == [PLAYER.id]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_token_of_each_issuer_shows_numbers_only_with_the_scope_of_its_own(answered, name):
    sample, claim = SAMPLES[name], "scp" if "scp" in SAMPLES[name]["claims"] else "scope"
    needed = sample["parameters"].get("ScopeNumbers", "ivrscript_runtimes:numbers")
    held = sample["claims"][claim]
    more = {**sample["claims"], claim: [*held, needed] if isinstance(held, list) else f"{held} {needed}"}
    statuses = [
        answered(sample, claims, "GET", "?mask=ext.caller")["statusCode"] for claims in (sample["claims"], more)
    ]
    assert statuses == [403, 200]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_token_of_each_issuer_stops_a_script_in_its_subjects_name(answered, cloud, name):
    answer = answered(SAMPLES[name], SAMPLES[name]["claims"], "DELETE")
    assert answer["statusCode"] == 204
    (body,) = cloud.queued("SITE1")
    assert Command.from_body(body).requested_by == SAMPLES[name]["claims"]["sub"]


def test_keycloaks_token_without_the_clients_own_mappers_opens_nothing(answered):
    """Keycloak 26.3 and a requested scope with a colon: the token comes without the claims of the client's mappers."""
    claims = {name: value for name, value in SAMPLES["keycloak"]["claims"].items() if name != "domain"}
    answer = answered(SAMPLES["keycloak"], claims, "GET")
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (403, "no_domain")


def test_a_claim_that_is_a_list_of_one_value_is_no_domain(answered):
    """Entra ID's directory extensions and Keycloak's multivalued mappers make lists; an HTTP API writes `[value]`."""
    claims = {**SAMPLES["entra-id"]["claims"], "domain": ["test.rootdomain.ru"]}
    answer = answered(SAMPLES["entra-id"], claims, "GET")
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (403, "no_domain")


def test_entra_ids_tokens_for_machines_have_roles_and_no_scope():
    """The authorizer looks at `scope` and `scp` alone, so an application role of the right name does not help."""
    claims = {name: value for name, value in SAMPLES["entra-id"]["claims"].items() if name != "scp"}
    with pytest.raises(AuthorizationError) as caught:
        granted(expanded(SAMPLES["entra-id"]), {**claims, "roles": ["ivrscript_runtimes:read"]}, "GET")
    assert (caught.value.status, caught.value.message) == (403, "Forbidden")
