"""The one place that knows ministack: puts the rules of this package where it has none.

Names of its own are used (`_RESOURCE_HANDLERS` and the like): it is pinned, and has no other way in. A release that
renames them fails `make deploy-check` at its start.
"""

import json
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import engine, provisioners
from samtranslator.translator import transform as sam

from cloud import alarms, openapi, parameters, references, versions

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]

HANDLERS: Final[dict[str, dict[str, Callable[..., Any]]]] = provisioners._RESOURCE_HANDLERS
DISCOVERY_TIMEOUT_S: Final = 5.0


def fill() -> None:
    """Fill every gap, once, before ministack starts."""
    HANDLERS["AWS::Logs::QueryDefinition"] = {"create": _query, "update": _query_again, "delete": _query_gone}
    _alarms_on_metric_math()
    _api_from_openapi()
    _versions_that_differ()
    _parameters_for_sam()
    _references_that_lead_somewhere()
    _functions_reach_this_emulator()


def _query(*_: Any) -> Made:
    """Make a saved query: Logs Insights itself is not emulated, so it is an id and nothing more."""
    return str(uuid.uuid4()), {}


def _query_again(physical_id: str, *_: Any) -> Made:
    return physical_id, {}


def _query_gone(*_: Any) -> None:
    """Leave nothing behind: there was nothing."""


def _alarms_on_metric_math() -> None:
    """Record such an alarm, in the state of one that has no data; it is never evaluated."""
    record = provisioners._cw_metric_alarm_record

    def recorded(name: str, properties: Properties) -> Any:
        if not properties.get("Metrics"):
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        watched = {"MetricName": alarms.total(properties["Metrics"]), "Namespace": "(metric math)"}
        return record(name, {**plain, **watched})

    provisioners._cw_metric_alarm_record = recorded


def _api_from_openapi() -> None:
    """Import the body after all is known to be right: with FailOnWarnings an API stays as it was."""
    handlers = HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handlers["create"], handlers["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        found = _imported(properties)
        made: Made = create(logical_id, properties, stack)
        _put(made[0], found, stack)
        return made

    def updated(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None) -> Made:
        found = _imported(new)
        made: Made = update(physical_id, old, new, stack, logical_id)
        _put(made[0], found, stack)
        return made

    handlers.update(create=created, update=updated)


def _imported(properties: Properties) -> openapi.Imported:
    found = openapi.read(properties["Body"], _issue)
    if found.warnings and str(properties.get("FailOnWarnings")).lower() == "true":
        raise openapi.OpenApiError("Warnings found during import:\n\t" + "\n\t".join(found.warnings))
    return found


def _issue(issuer: str) -> str | None:
    place = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(place, timeout=DISCOVERY_TIMEOUT_S) as answer:  # noqa: S310  # of the template
            document = json.load(answer)
    except (OSError, ValueError) as error:
        return f"Caught exception when connecting to {place} for issuer {issuer}: {error}"
    return None if document.get("issuer") == issuer else f"{place} is of another issuer: {document.get('issuer')}"


def _put(api_id: str, found: openapi.Imported, stack: str) -> None:
    for store in (apigateway._routes, apigateway._integrations, apigateway._authorizers):
        store[api_id] = {}

    def make(kind: str, name: str, **properties: Any) -> str:
        made: str = HANDLERS[f"AWS::ApiGatewayV2::{kind}"]["create"](name, {"ApiId": api_id, **properties}, stack)[0]
        return made

    ids = {name: make("Authorizer", name, **_authorizer(name, one)) for name, one in found.authorizers.items()}
    for route in found.routes:
        target = make("Integration", route.key, **_integration(route.integration))
        closed = {"AuthorizationType": "JWT", "AuthorizerId": ids[route.authorizer]} if route.authorizer else {}
        scopes = list(route.scopes)
        make(
            "Route",
            route.key,
            RouteKey=route.key,
            Target=f"integrations/{target}",
            AuthorizationScopes=scopes,
            **closed,
        )
    if found.cors:
        apigateway._apis[api_id]["corsConfiguration"] = dict(found.cors)


def _authorizer(name: str, one: Any) -> Properties:
    jwt = one["jwtConfiguration"]
    return {
        "Name": name,
        "AuthorizerType": one["type"].upper(),
        "IdentitySource": [one["identitySource"]],
        "JwtConfiguration": {"Audience": jwt["audience"], "Issuer": jwt["issuer"]},
    }


def _integration(one: Any) -> Properties:
    return {
        "IntegrationType": one["type"].upper(),
        "IntegrationUri": one["uri"],
        "IntegrationMethod": one["httpMethod"],
        "PayloadFormatVersion": one["payloadFormatVersion"],
    }


def _versions_that_differ() -> None:
    """Compare what a version holds; ministack compares when the function was written last."""
    create = HANDLERS["AWS::Lambda::Version"]["create"]

    def created(logical_id: str, properties: Properties, stack: str) -> Made:
        function = lambda_svc._functions[properties["FunctionName"]]
        last = max(function["versions"], key=int, default=None)
        if last is not None and versions.same(function["config"], function["versions"][last]["config"]):
            told = f"A version for this Lambda function exists ( {last} ). Modify the function to create a new version."
            raise ValueError(told)
        made: Made = create(logical_id, properties, stack)
        return made

    HANDLERS["AWS::Lambda::Version"]["create"] = created


def _parameters_for_sam() -> None:
    """Give SAM's transform the parameters' values; ministack gives it none."""
    resolve, transform = engine._transform_parameters, sam.transform
    told: dict[str, Any] = {}

    def resolved(template: Any, *given: Any) -> Any:
        values = resolve(template, *given)
        told.clear()
        told.update(parameters.for_macro(template.get("Parameters") or {}, values))
        return values

    engine._transform_parameters = resolved
    sam.transform = lambda template, _, policies: transform(template, dict(told), policies)


def _references_that_lead_somewhere() -> None:
    """Refuse a template that names what it does not have; ministack puts something else in its place."""
    judge = engine._validate_template_statics

    def judged(template: Any) -> None:
        judge(template)
        references.check(template)

    engine._validate_template_statics = judged


def _functions_reach_this_emulator() -> None:
    """Pass over the endpoints of AWS that the template declares; ministack's own is then what the SDK takes."""
    lambda_runtime._RESERVED_RUNTIME_ENV_VARS |= {"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SQS"}
