"""An HTTP API of Amazon API Gateway, on loopback: routes, authorizer, event, function, answer.

Owns the order of these steps and the errors that AWS would give. Never throttles: AWS's default is 10,000
requests a second, which one machine does not reach. `server` mounts it.
"""

import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from aiohttp import web

from ivr_local.authorizer import AuthorizationError, JwtAuthorizer
from ivr_local.event import Api, HttpRequest, HttpResponse, MalformedResponseError, build, map_answer
from ivr_local.functions import FunctionError, FunctionTimeoutError
from ivr_local.template import Route

MAX_HEAD_BYTES: Final = 10_240
"""The limit on "total combined size of request line and header values" (page http-api-quotas; it names no status)."""

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""The limit on "payload size", 10 MB (page http-api-quotas)."""

log: Final = logging.getLogger(__name__)


class Invocable(Protocol):
    """A function that can be called with an event."""

    async def invoke(self, event: Mapping[str, object], *, request_id: str) -> bytes:
        """Return its answer's JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The API: its routes, who may use them and what answers. `functions` has the names that the routes use."""

    routes: tuple[Route, ...]
    authorizer: JwtAuthorizer
    functions: Mapping[str, Invocable]
    api: Api
    port: int

    async def handle(self, received: web.Request) -> web.Response:
        """Answer a request, whatever it is."""
        request_id = str(uuid.uuid4())
        try:
            answer = await self._answer(received, request_id)
        except _GatewayError as error:
            answer = error.response()
        headers = [*answer.headers, ("apigw-requestid", request_id)]
        return web.Response(status=answer.status, headers=headers, body=answer.body or None)

    async def _answer(self, received: web.Request, request_id: str) -> HttpResponse:
        target = _target(received)
        if _head_bytes(received) > MAX_HEAD_BYTES:
            raise _GatewayError(431, "Request Header Fields Too Large")
        route, parameters = self._route(received.method, target.partition("?")[0])
        # Joined, as all repeated headers are. So two tokens, even equal ones, are no valid token: 401.
        authorization = ",".join(received.headers.getall("Authorization", ()))
        try:
            grant = self.authorizer.authorize(authorization, route.scopes)
        except AuthorizationError as refused:
            raise _GatewayError(refused.status, refused.message, challenge=refused.challenge) from None
        request = await self._read(received, target=target, request_id=request_id)
        route_key = f"{route.method} {route.path}"
        event = build(request, api=self.api, route_key=route_key, parameters=parameters, grant=grant)
        return await self._call(self.functions[route.function], event, request_id)

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Find the route; a path without parameters wins. HTTP APIs answer 404 to a known path's other methods, too."""
        for route in sorted(self.routes, key=lambda one: one.path.count("{")):
            parameters = match(route.path, path)
            if route.method == method and parameters is not None:
                return route, parameters
        raise _GatewayError(404, "Not Found")

    async def _read(self, received: web.Request, *, target: str, request_id: str) -> HttpRequest:
        try:
            body = await received.read()
        except web.HTTPRequestEntityTooLarge:
            raise _GatewayError(413, "Request Entity Too Large") from None
        return HttpRequest(
            method=received.method,
            target=target,
            protocol=f"HTTP/{received.version.major}.{received.version.minor}",
            headers=[
                (name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in received.raw_headers
            ],
            body=body,
            source_ip=received.remote or "",
            port=self.port,
            request_id=request_id,
            received_at_s=time.time(),
        )

    async def _call(self, function: Invocable, event: Mapping[str, object], request_id: str) -> HttpResponse:
        """Call the function (page http-api-troubleshooting-lambda: whatever goes wrong in it is a bare 500)."""
        try:
            return map_answer(await function.invoke(event, request_id=request_id))
        except FunctionTimeoutError as error:
            # AWS answers so after the integration timeout. A caller should do the same in both cases: try again.
            log.warning("request %s: %s", request_id, error)
            raise _GatewayError(503, "Service Unavailable") from None
        except (FunctionError, MalformedResponseError) as error:
            log.warning("request %s: %s", request_id, error)
            raise _GatewayError(500, "Internal Server Error") from None


class _GatewayError(Exception):
    """An error that API Gateway answers itself."""

    def __init__(self, status: int, message: str, *, challenge: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.challenge = challenge

    def response(self) -> HttpResponse:
        headers = [("content-type", "application/json")]
        if self.challenge is not None:
            headers.append(("www-authenticate", self.challenge))
        return HttpResponse(
            self.status, tuple(headers), json.dumps({"message": str(self)}, separators=(",", ":")).encode()
        )


def match(pattern: str, path: str) -> dict[str, str] | None:
    """Match a path to a route's; return the parameters, still percent-encoded, or None. A parameter is never empty."""
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    parameters: dict[str, str] = {}
    for want, part in zip(wanted, given, strict=True):
        if want.startswith("{") and part:
            parameters[want.strip("{}")] = part
        elif want != unquote(part):
            return None
    return parameters


def _target(received: web.Request) -> str:
    """Return the request target as sent, without scheme and host if it has them (RFC 9112 section 3.2.2)."""
    try:
        target = received.raw_path.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        raise _GatewayError(400, "Bad Request") from None
    if target.startswith("/"):
        return target
    _, slash, path = target.partition("://")[2].partition("/")
    return slash + path


def _head_bytes(received: web.Request) -> int:
    line = f"{received.method} {received.raw_path} HTTP/1.1".encode("utf-8", "surrogateescape")
    return len(line) + _total(value for _, value in received.raw_headers)


def _total(values: Iterable[bytes]) -> int:
    return sum(map(len, values))
