"""The answers of the functions, as HTTP API proxy responses (payload 2.0): JSON, problems (RFC 9457), no content.

Owns media types, the headers of every answer, and the limit on an answer's size.
Called by `edge` and the functions.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any, Final

from ivr_runtimes.errors import ApiError, ResultTooLargeError

MAX_RESPONSE_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit on a synchronous invocation's serialised answer (AWS: "Lambda quotas", invocation payload)."""

GZIP_MIN_BYTES: Final = 16 * 1024
"""Smaller answers are not compressed: that costs more time than it saves."""

GZIP_LEVEL: Final = 1
"""Lists are repetitive: level 1 takes half the time of level 4, and its result is hardly larger."""

JSON_TYPE: Final = "application/json; charset=utf-8"
PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_URN: Final = "urn:ivr-runtimes:problem:"
"""The beginning of a problem's `type`; the error's code follows (docs/api.md lists them all)."""

COMMON_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""No cache may store a list of running scripts, and no browser may guess its type."""

STOP_REQUEST_ID: Final = "stop-request-id"
"""The header with a stop's id, accepted or not: a caller that sent no key can repeat with this one."""

STOP_OUTCOME: Final = "stop-outcome"
"""The header with what became of a stop that was waited for."""

PREFERENCE_APPLIED: Final = "preference-applied"
"""The header with the preference that was followed (RFC 7240)."""

Response = dict[str, Any]


def json_response(body: bytes, *, headers: Mapping[str, str], accept_encoding: str = "") -> Response:
    """Answer 200 with JSON, gzipped if large and accepted; raises `ResultTooLargeError` over Lambda's limit."""
    all_headers = {**COMMON_HEADERS, "content-type": JSON_TYPE, "vary": "accept-encoding", **headers}
    zipped = len(body) >= GZIP_MIN_BYTES and _accepts_gzip(accept_encoding)
    if zipped:
        all_headers["content-encoding"] = "gzip"
        body = base64.b64encode(gzip.compress(body, compresslevel=GZIP_LEVEL, mtime=0))
    response: Response = {"statusCode": 200, "headers": all_headers, "body": "", "isBase64Encoded": zipped}
    _refuse_too_large(response, body)
    response["body"] = body.decode()
    return response


def problem_response(error: ApiError, *, request_id: str) -> Response:
    """Answer with the error body of this API (RFC 9457); its `errors` name each place and the remedy."""
    body: dict[str, object] = {
        "type": PROBLEM_URN + error.code,
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "errors": [{"place": f.place, "message": f.message, "remedy": f.remedy} for f in error.faults],
        "request_id": request_id,
    }
    headers = {**COMMON_HEADERS, "content-type": PROBLEM_TYPE}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if stop_id := error.trail.get("stop_id"):
        headers[STOP_REQUEST_ID] = stop_id
    return {
        "statusCode": error.status,
        "headers": headers,
        "body": json.dumps(body, ensure_ascii=False),
        "isBase64Encoded": False,
    }


def no_content(*, headers: Mapping[str, str]) -> Response:
    """Answer 204 with an empty body."""
    return {"statusCode": 204, "headers": {**COMMON_HEADERS, **headers}, "body": "", "isBase64Encoded": False}


def _accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether gzip is acceptable (RFC 9110 section 12.5.3): it is named, and nowhere with the weight 0.

    A repeated header is one list. If gzip is named twice and once refused, it is refused: plain JSON always fits.
    """
    codings = [coding.lower().split(";") for coding in accept_encoding.split(",")]
    weights = [weights for name, *weights in codings if name.strip() == "gzip"]
    return bool(weights) and not any(_is_zero(weight) for each in weights for weight in each)


def _is_zero(weight: str) -> bool:
    """Tell whether a weight is `q=0`, with any decimals."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")


def _refuse_too_large(envelope: Response, body: bytes) -> None:
    """Refuse an answer over the limit, as Lambda's runtime will serialise it: UTF-8, quotes and backslashes escaped.

    JSON text has no bare control characters, so each byte takes at most two.
    """
    room = MAX_RESPONSE_BYTES - len(json.dumps(envelope, ensure_ascii=False).encode())
    if 2 * len(body) <= room:
        return
    size = len(body) + body.count(b'"') + body.count(b"\\")
    if size > room:
        raise ResultTooLargeError(
            f"The answer would take {MAX_RESPONSE_BYTES - room + size} bytes; one response holds {MAX_RESPONSE_BYTES}."
            " Ask for pages: limit=1000 under the order by starttime, then each Link header with rel=next, which leads"
            " on by the parameter after; under another order, limit and offset. Or ask for fewer fields with mask, for"
            " fewer scripts with filter, or send Accept-Encoding: gzip."
        )
