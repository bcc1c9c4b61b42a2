"""The answers of our functions, as HTTP API proxy responses (payload 2.0): JSON, problems (RFC 9457), no content.

Owns media types, the headers every answer carries, and the limit on an answer's size.
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
"""Smaller answers are sent as they are: compressing them costs more time than it saves."""

JSON_TYPE: Final = "application/json; charset=utf-8"
PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_URN: Final = "urn:ivr-runtimes:problem:"
"""What a problem's `type` begins with; the error's code follows (docs/api.md lists them all)."""

COMMON_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Nobody may keep a list of running scripts, or guess its type."""

Response = dict[str, Any]


def json_response(body: object, *, headers: Mapping[str, str], accept_encoding: str = "") -> Response:
    """Answer 200 with JSON, gzipped if that is large and welcome; raises `ResultTooLargeError` over Lambda's limit."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    all_headers = {**COMMON_HEADERS, "content-type": JSON_TYPE, "vary": "accept-encoding", **headers}
    response: Response = {"statusCode": 200, "headers": all_headers, "body": text, "isBase64Encoded": False}
    if len(text) >= GZIP_MIN_BYTES and _accepts_gzip(accept_encoding):
        response["body"] = base64.b64encode(gzip.compress(text.encode(), compresslevel=4, mtime=0)).decode()
        response["isBase64Encoded"] = True
        all_headers["content-encoding"] = "gzip"
    _refuse_too_large(response)
    return response


def problem_response(error: ApiError, *, request_id: str) -> Response:
    """Answer with the one error body of this API (RFC 9457), `errors` naming each place and its remedy."""
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
    """Tell whether gzip is acceptable (RFC 9110 section 12.5.3): named with a weight other than 0."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _refuse_too_large(response: Response) -> None:
    """Measure the envelope as the runtime will serialise it: UTF-8, quotes and backslashes escaped."""
    if len(response["body"]) * 6 < MAX_RESPONSE_BYTES - 4096:  # no character takes more than 6 bytes there
        return
    size = len(json.dumps(response, ensure_ascii=False).encode())
    if size > MAX_RESPONSE_BYTES:
        raise ResultTooLargeError(
            f"The answer would take {size} bytes; one response holds {MAX_RESPONSE_BYTES}. Ask for pages with limit "
            "and offset, for fewer fields with mask, for fewer scripts with filter, or send Accept-Encoding: gzip."
        )
