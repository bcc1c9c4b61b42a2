"""What logs and terminals may say of an error: its type and cause, never a library's own text.

A library's text may quote what the library was given: a header with a token, a URL with its query, a row, output of
another program. So an error is described by its type, the system's error number, AWS's error code, or the constant
parts of a botocore text. Errors of our own (`errors`) are shown as they are, because their texts hold nothing else.
"""

import os
import re
import socket
import ssl
import traceback
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from ivr_runtimes.errors import IvrRuntimesError

CODE: Final = r"[A-Za-z0-9_.:#-]{1,128}"
"""The form of AWS's error codes and request ids."""

NAMES: Final = frozenset({"provider", "profile", "method", "region_name", "service_name"})
"""The parameters of botocore's texts that are safe to show: names of things, never a secret."""

MAX_CAUSES: Final = 10

HEAD: Final = "Traceback (most recent call last):\n"


def told(error: BaseException) -> str:
    """Describe an error in one line that is safe to log."""
    if isinstance(error, IvrRuntimesError):
        return str(error)
    kind, reason = type(error).__name__, _reason(error)
    return f"{kind}: {reason}" if reason else kind


def trace_of(error: BaseException) -> str:
    """Return the traceback of an error and its causes, each with what `told` says of it."""
    return "\n\nafter:\n".join(
        "".join([HEAD, *traceback.format_tb(one.__traceback__), told(one)]) for one in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if following is None:
            return
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)  # aiohttp keeps the system's error there
    if isinstance(cause, OSError) and (reason := _of_system(cause)):
        return reason
    if isinstance(error, ImportError):
        return error.name or ""
    if isinstance(response := getattr(error, "response", None), dict):  # botocore's ClientError
        return _of_answer(getattr(error, "operation_name", "?"), response)
    if isinstance(template := getattr(error, "fmt", None), str):  # botocore's own errors
        return template.format_map(_Shown(getattr(error, "kwargs", {})))
    return ""


def _of_system(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or ""
    if isinstance(error, ssl.SSLError):
        return _code(error.reason)
    return os.strerror(error.errno) if isinstance(error.errno, int) else ""


def _of_answer(operation: str, response: dict[str, Any]) -> str:
    about = response.get("ResponseMetadata", {})
    code, request_id = response.get("Error", {}).get("Code"), about.get("RequestId")
    status = about.get("HTTPStatusCode", "?")
    return f"{operation}: {_code(code)} (status {status}, request {_code(request_id)})"


def _code(text: object) -> str:
    return text if isinstance(text, str) and re.fullmatch(CODE, text) else "?"


class _Shown(dict[str, Any]):
    """The parameters of a botocore text; those that may be secret are shown as `…`."""

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if name in NAMES:
            return str(value)
        if name == "endpoint_url" and isinstance(value, str):
            return _origin(value)
        return told(value) if isinstance(value, BaseException) else "…"


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL; the rest may hold a password or a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
