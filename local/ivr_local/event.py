"""The event that an HTTP API passes to a Lambda function, and the response to its answer: payload format 2.0.

Owns the two mappings of the page "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway"
(http-api-develop-integrations-lambda). Pure: no sockets, no function calls. The gateway calls it.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from ivr_local.authorizer import Grant

TEXT_TYPES: Final = ("application/json", "application/javascript", "application/xml")
"""Bodies of these types, and of every text/…, are passed as text; others in Base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An HTTP request as received. `target` is unchanged; `received_at_s` is in epoch seconds."""

    method: str
    target: str
    protocol: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    port: int
    request_id: str
    received_at_s: float

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the first question mark, unchanged."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return a header's value, or None; values of a repeated header are joined by commas."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What an event says about the API itself."""

    account_id: str
    api_id: str


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response to send. `headers` may repeat a name (Set-Cookie)."""

    status: int
    headers: Sequence[tuple[str, str]] = field(default_factory=tuple)
    body: bytes = b""


class MalformedResponseError(Exception):
    """The function's answer is not one that API Gateway can map: the caller sees 500."""


def build(
    request: HttpRequest, *, api: Api, route_key: str, parameters: Mapping[str, str], grant: Grant
) -> dict[str, Any]:
    """Build the event of payload format 2.0. `parameters` are the route's path parameters, still percent-encoded."""
    body, is_base64 = _body(request)
    host = (request.header("host") or "").rsplit(":", 1)[0]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        # HTTP APIs decode the path (unlike the query): functions find "/a b" here for "/a%20b".
        "rawPath": unquote(request.path),
        "rawQueryString": request.query,
        "cookies": list(_cookies(request)),
        "headers": _headers(request),
        "queryStringParameters": _query(request.query),
        "requestContext": {
            "accountId": api.account_id,
            "apiId": api.api_id,
            "authorizer": {
                "jwt": {
                    "claims": {name: claim_text(value) for name, value in grant.claims.items()},
                    "scopes": list(grant.scopes) or None,
                }
            },
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": unquote(request.path),
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": request.header("user-agent") or "",
            },
            "requestId": request.request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": datetime.fromtimestamp(request.received_at_s, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(request.received_at_s * 1000),
        },
        "pathParameters": {name: unquote(value) for name, value in parameters.items()},
        "body": body,
        "isBase64Encoded": is_base64,
    }
    # Fields without content are left out, the query and the body among them.
    return {name: value for name, value in event.items() if value not in ({}, [], None)}


def claim_text(value: object) -> str:
    """Render a claim as API Gateway does: everything becomes a string, an array `[a b]`, an object `map[k:v]`."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case None:
            return "<nil>"
        case list():
            return f"[{' '.join(map(claim_text, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{claim_text(value[key])}' for key in sorted(value))}]"
        case _:
            return str(value)


def map_answer(payload: bytes) -> HttpResponse:
    """Map the JSON a function returned to a response; raises `MalformedResponseError`."""
    try:
        answer = json.loads(payload)
    except ValueError:
        raise MalformedResponseError("the function returned no JSON") from None
    if not isinstance(answer, dict) or "statusCode" not in answer:
        # "If your Lambda function returns valid JSON and doesn't return a statusCode": all of it is the body, 200.
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return HttpResponse(200, (("content-type", "application/json"),), text.encode())
    status = _status(answer["statusCode"])
    headers = [(name.lower(), str(value)) for name, value in _mapping(answer.get("headers")).items()]
    headers += [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or ()]
    if _unprintable(headers):
        raise MalformedResponseError("a header has control characters")
    body = _answer_body(answer)
    if body and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain; charset=utf-8"))
    return HttpResponse(status, tuple(headers), b"" if status in {204, 304} else body)


def _headers(request: HttpRequest) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    joined.pop("cookie", None)  # cookies have a field of their own
    joined.setdefault("content-length", str(len(request.body)))
    joined["x-forwarded-for"] = ", ".join(filter(None, (joined.get("x-forwarded-for"), request.source_ip)))
    return {**joined, "x-forwarded-port": str(request.port), "x-forwarded-proto": "http"}


def _cookies(request: HttpRequest) -> Iterator[str]:
    for name, value in request.headers:
        if name.lower() == "cookie":
            yield from (cookie.strip() for cookie in value.split(";") if cookie.strip())


def _query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(request: HttpRequest) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if (kind.startswith("text/") or kind in TEXT_TYPES) and request.header("content-encoding") is None:
        try:
            return request.body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # declared as text, but it is not: Base64 keeps the bytes
    return base64.b64encode(request.body).decode(), True


def _status(value: object) -> int:
    try:
        status = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else 0
    except ValueError:
        status = 0
    if not 200 <= status <= 599:
        raise MalformedResponseError("statusCode is no HTTP status")
    return status


def _mapping(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedResponseError("headers is no object")
    return value


def _unprintable(headers: Sequence[tuple[str, str]]) -> bool:
    return any(ord(char) < 32 or ord(char) == 127 for header in headers for text in header for char in text)


def _answer_body(answer: Mapping[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponseError("body is no string")
    if not answer.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedResponseError("body is said to be Base64 and is not") from None
