"""The whole document: what is said of the API itself, its paths and its components."""

import json
from pathlib import Path
from typing import Final

from delivery.openapi import examples, headers, models, query
from delivery.openapi.parameters import OF_A_LIST, RUNTIME_ID
from delivery.openapi.refusals import codes, refusals
from delivery.openapi.schema import Json, model
from ivr_local import template
from ivr_runtimes import __version__
from ivr_runtimes.http.response import JSON_TYPE
from ivr_runtimes.query.request import PARAMETERS

ROOT: Final = Path(__file__).resolve().parents[2]

ABOUT: Final = """\
Lists and stops running IVR scripts of the caller's domain at all sites.

Every request carries an access token of the installation's OIDC issuer. Its domain claim decides whose scripts are
seen. docs/api.md says more, docs/query.md has the query language."""

SERVER: Final[Json] = {
    "url": "https://{host}",
    "description": "An installation.",
    "variables": {
        "host": {
            "default": "ivr.example.com",
            "description": "The host in the stack's output ApiUrl, or your own, with its base path if it has one.",
        }
    },
}

TOKEN: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token of the installation's OIDC issuer, with the operation's scope and a domain.",
}


def document() -> Json:
    """Return the whole document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Management of IVR scripts execution",
            "version": __version__,
            "summary": "List and stop running IVR scripts",
            "description": ABOUT,
            "contact": {"name": "The operators of the installation"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [SERVER],
        "tags": [{"name": "runtimes", "description": "Running IVR scripts."}],
        "paths": _paths(),
        "components": {
            "schemas": models.schemas(codes()),
            "securitySchemes": {"token": TOKEN},
            "x-query": query.schemas(),
        },
    }


def written() -> str:
    """Return the file's content."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _paths() -> Json:
    paths: Json = {}
    for route in _routes():
        paths.setdefault(route.path, {})[route.method.lower()] = _OPERATIONS[route.method](route)
    return paths


def _routes() -> tuple[template.Route, ...]:
    given = {"Sites": "SITE1", "JwtIssuer": "https://issuer.example", "JwtAudience": "ivr-runtimes"}
    stack = template.expand(
        ROOT / "template.yaml", parameters=given, stack_name="st", region="eu-central-1", account_id="000000000000"
    )
    return stack.routes


def _list(route: template.Route) -> Json:
    rows = {"type": "array", "items": model("Runtime")}
    content = {JSON_TYPE.partition(";")[0]: {"schema": rows, "examples": examples.rows()}}
    answer = {"description": "The running scripts.", "headers": headers.LISTED, "content": content}
    parameters = [{"name": name, "in": "query", **OF_A_LIST[name]} for name in PARAMETERS]
    parameters += headers.OF_A_LIST
    return _operation(route, "list_runtimes", "List the running scripts", parameters, {"200": answer})


def _stop(route: template.Route) -> Json:
    answer = {"description": "The stop is on its way, or has taken effect.", "headers": headers.STOPPED}
    return _operation(route, "stop_runtime", "Stop a running script", [RUNTIME_ID, *headers.OF_A_STOP], {"204": answer})


_OPERATIONS: Final = {"GET": _list, "DELETE": _stop}


def _operation(route: template.Route, name: str, summary: str, parameters: list[Json], answers: Json) -> Json:
    return {
        "operationId": name,
        "tags": ["runtimes"],
        "summary": summary,
        "description": f"Needs the scope `{' '.join(route.scopes)}`.",
        "security": [{"token": list(route.scopes)}],
        "parameters": parameters,
        "responses": answers | refusals(route.method),
    }
