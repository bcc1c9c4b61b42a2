"""One execution environment of a function: `python -m ivr_local.worker FD`, in the function's folder.

Owns what the Lambda runtime does around a handler: load it once, call it for one event at a time, serialise what it
returns, turn what it raises into an error document (without texts of libraries, which may quote a credential).
Exchanges frames with `functions` over an inherited socket, and ends when that closes. Of our code it imports only what
a deployed function has, too.
"""

import importlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ivr_runtimes.telling import told, trace_of

LENGTH: Final = struct.Struct(">I")
READY: Final = b"R"
ANSWER: Final = b"A"
ERROR: Final = b"E"

MAX_ANSWER_BYTES: Final = 6_291_556
"""Lambda's limit on a synchronous answer, the serialised payload (page "Lambda quotas": 6 MB)."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The second argument of a handler (page python-context of the Lambda guide); `deadline_ms` is epoch time."""

    aws_request_id: str
    deadline_ms: int
    invoked_function_arn: str
    function_name: str
    function_version: str
    memory_limit_in_mb: str
    log_group_name: str
    log_stream_name: str
    client_context: None = None
    identity: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run, in milliseconds."""
        return max(0, self.deadline_ms - int(time.time() * 1000))


def main() -> None:
    """Serve invocations until the socket closes."""
    with socket.socket(fileno=int(sys.argv[1])) as link:
        try:
            handler = _load(os.environ["_HANDLER"])
        except Exception as error:  # noqa: BLE001  # the top-level guard of the init phase: whatever a module raises
            print(trace_of(error), file=sys.stderr)  # noqa: T201  # the function's log
            _send(link, ERROR, _error_document(error))
            return
        _send(link, READY, b"")
        while (frame := _receive(link)) is not None:
            _send(link, *invoke(handler, json.loads(frame)))


def invoke(handler: Callable[[Any, Any], Any], invocation: dict[str, Any]) -> tuple[bytes, bytes]:
    """Call the handler; return the kind of the outcome and its JSON."""
    try:
        answer = json.dumps(handler(invocation["event"], _context(invocation)), ensure_ascii=False).encode()
    except Exception as error:  # noqa: BLE001  # the top-level guard of an invocation: becomes a function error
        print(trace_of(error), file=sys.stderr)  # noqa: T201  # the function's log
        return ERROR, _error_document(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    if len(answer) > MAX_ANSWER_BYTES:
        size = f"the answer has {len(answer)} bytes, more than {MAX_ANSWER_BYTES}"
        return ERROR, json.dumps({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": size}).encode()
    return ANSWER, answer


def _load(handler: str) -> Callable[[Any, Any], Any]:
    module, _, function = handler.rpartition(".")
    found: Callable[[Any, Any], Any] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return found


def _context(invocation: dict[str, Any]) -> LambdaContext:
    name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    return LambdaContext(
        aws_request_id=invocation["request_id"],
        deadline_ms=invocation["deadline_ms"],
        invoked_function_arn=invocation["function_arn"],
        function_name=name,
        function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
    )


def _error_document(error: Exception) -> bytes:
    return json.dumps({"errorType": type(error).__name__, "errorMessage": told(error)}).encode()


def _send(link: socket.socket, kind: bytes, payload: bytes) -> None:
    link.sendall(LENGTH.pack(len(payload) + 1) + kind + payload)


def _receive(link: socket.socket) -> bytes | None:
    head = _exactly(link, LENGTH.size)
    return _exactly(link, LENGTH.unpack(head)[0]) if head else None


def _exactly(link: socket.socket, size: int) -> bytes | None:
    """Return exactly `size` bytes, or None when the socket was closed."""
    parts = []
    while size:
        part = link.recv(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
