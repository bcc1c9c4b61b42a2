"""Calls every function until it works, so that a stack that is ready answers its first request without delay.

Owns one harmless call per route: for a domain of the fleet, with an id that no runtime has. `stack` runs it once.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable
from typing import Final

from ivr_local.authorizer import Grant
from ivr_local.event import Api, HttpRequest, MalformedResponseError, build, map_answer
from ivr_local.functions import Function, FunctionError, FunctionTimeoutError
from ivr_local.template import Route

NOWHERE: Final = "00000000-0000-0000-0000-000000000000"
RETRY_S: Final = 0.2


async def warm(function: Function, routes: Iterable[Route], *, api: Api, domain: str, port: int) -> None:
    """Call the function by all its routes, on all workers at once, until no answer is a server error."""
    for route in (one for one in routes if one.function == function.spec.logical_id):
        calls = [_works(function, route, api, domain, port) for _ in range(function.workers)]
        while not all(await asyncio.gather(*calls)):
            await asyncio.sleep(RETRY_S)
            calls = [_works(function, route, api, domain, port) for _ in range(function.workers)]


async def _works(function: Function, route: Route, api: Api, domain: str, port: int) -> bool:
    request_id = str(uuid.uuid4())
    request = HttpRequest(
        method=route.method,
        target=_concrete(route.path),
        protocol="HTTP/1.1",
        headers=[("host", f"127.0.0.1:{port}"), ("user-agent", "warm-up")],
        body=b"",
        source_ip="127.0.0.1",
        port=port,
        request_id=request_id,
        received_at_s=time.time(),
    )
    grant = Grant({"sub": "warm-up", "domain": domain, "scope": " ".join(route.scopes)}, route.scopes)
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    parameters = dict.fromkeys(names, NOWHERE)
    event = build(request, api=api, route_key=f"{route.method} {route.path}", parameters=parameters, grant=grant)
    try:
        return map_answer(await function.invoke(event, request_id=request_id)).status < 500
    except (FunctionError, FunctionTimeoutError, MalformedResponseError):
        return False


def _concrete(path: str) -> str:
    return "/".join(NOWHERE if part.startswith("{") else part for part in path.split("/"))
