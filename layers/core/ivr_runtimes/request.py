"""What a stop request asks for: the id in its path and the key in its headers, checked.

The list's request is its query string, read by `query`. Called by the stop function.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.errors import Fault, InvalidRequestError, RuntimeNotFoundError
from ivr_runtimes.event import Event, header, path_parameter, raw_query
from ivr_runtimes.names import RuntimeId, StopId, is_runtime_id, is_stop_id

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""Names a stop, so that repeats of it are recognised (draft-ietf-httpapi-idempotency-key-header)."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Which runtime to stop, and the stop's id: the caller's key, or one of ours."""

    runtime_id: RuntimeId
    stop_id: StopId


def stop_request(event: Event) -> StopRequest:
    """Read a DELETE; raises `InvalidRequestError`, or `RuntimeNotFoundError` for an id that no runtime can have."""
    _refuse_parameters(raw_query(event))
    stop_id = _stop_id(header(event, IDEMPOTENCY_KEY.lower()))
    runtime_id = path_parameter(event, "id")
    if not is_runtime_id(runtime_id):
        raise RuntimeNotFoundError
    return StopRequest(RuntimeId(runtime_id), stop_id)


def _stop_id(key: str | None) -> StopId:
    if key is None:
        return StopId(str(uuid.uuid4()))
    if is_stop_id(key):
        return StopId(key)
    fault = Fault(
        place=IDEMPOTENCY_KEY,
        message=f"the key has {len(key)} characters, or some that are not visible ASCII",
        remedy="send 1 to 64 visible ASCII characters, for example a UUID, once; or leave the header out",
    )
    raise InvalidRequestError(f"The header {IDEMPOTENCY_KEY} is not valid.", faults=(fault,))


def _refuse_parameters(raw_query_string: str) -> None:
    if raw_query_string:
        fault = Fault(
            place=raw_query_string.partition("=")[0][:40],
            message="a stop takes no query parameters",
            remedy="name the script by its id in the path, a key in the header Idempotency-Key, and nothing else",
        )
        raise InvalidRequestError("The request has query parameters.", faults=(fault,))
