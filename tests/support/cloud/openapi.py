"""What API Gateway makes of the OpenAPI document that SAM writes for an HTTP API.

Pages: "Import an HTTP API", "x-amazon-apigateway-authorizer", "-integration" and "-cors" of the API Gateway developer
guide; "ReimportApi" (`failOnWarnings`), "Route" and "Authorizer" of its V2 API reference.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_SCOPE: Final = 64
"""`StringWithLengthBetween1And64`: what a route's AuthorizationScopes may hold."""

LISTS_OF_CORS: Final = ("allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders")

Issue = Callable[[str], str | None]
"""Says why an issuer's discovery document cannot be had, or nothing."""


class OpenApiError(ValueError):
    """API Gateway would refuse the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route and its integration; `authorizer` is the name of its security scheme."""

    key: str
    integration: Mapping[str, Any]
    authorizer: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What the document comes to. `warnings` stop an import with FailOnWarnings and are passed over without it."""

    authorizers: dict[str, Mapping[str, Any]]
    routes: tuple[Route, ...]
    cors: Mapping[str, Any] | None
    warnings: tuple[str, ...]


def read(document: Mapping[str, Any], issue: Issue) -> Imported:
    """Read a document; raises `OpenApiError`."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    authorizers = {name: _authorizer(name, scheme) for name, scheme in schemes.items()}
    return Imported(
        authorizers=authorizers,
        routes=tuple(_routes(document["paths"], authorizers)),
        cors=_cors(document.get("x-amazon-apigateway-cors")),
        warnings=tuple(_warnings(authorizers, issue)),
    )


def _authorizer(name: str, scheme: Mapping[str, Any]) -> Mapping[str, Any]:
    authorizer: Mapping[str, Any] = scheme["x-amazon-apigateway-authorizer"]
    audience = authorizer["jwtConfiguration"]["audience"]
    if not isinstance(audience, list):
        raise OpenApiError(f"{name}: audience must be a list, not {audience!r}")
    return authorizer


def _warnings(authorizers: Mapping[str, Mapping[str, Any]], issue: Issue) -> Iterator[str]:
    """An authorizer is made after its issuer has been asked for the discovery document."""
    for name, authorizer in authorizers.items():
        if why := issue(authorizer["jwtConfiguration"]["issuer"]):
            yield f"Unable to create Authorizer '{name}': {why}"


def _routes(paths: Mapping[str, Any], authorizers: Mapping[str, Any]) -> Iterator[Route]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            key = f"{method.upper()} {path}"
            if "x-amazon-apigateway-integration" not in operation:
                raise OpenApiError(f"{key} has no integration")
            name, scopes = _security(key, operation.get("security", []))
            if name is not None and name not in authorizers:
                raise OpenApiError(f"{key}: no security scheme is named {name}")
            integration = operation["x-amazon-apigateway-integration"]
            yield Route(key=key, integration=integration, authorizer=name, scopes=scopes)


def _security(key: str, security: list[dict[str, list[str]]]) -> tuple[str | None, tuple[str, ...]]:
    match security:
        case []:
            return None, ()
        case [dict(one)] if len(one) == 1:
            ((name, scopes),) = one.items()
        case _:
            raise OpenApiError(f"{key}: a route has one authorizer")
    if wrong := [scope for scope in scopes if not 1 <= len(scope) <= MAX_SCOPE]:
        raise OpenApiError(f"{key}: a scope has 1 to {MAX_SCOPE} characters: {wrong}")
    return name, tuple(scopes)


def _cors(cors: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    for name in LISTS_OF_CORS:
        if cors and not isinstance(cors.get(name, []), list):
            raise OpenApiError(f"CORS: {name} must be a list, not {cors[name]!r}")
    return cors or None
