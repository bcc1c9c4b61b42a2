"""What a stop request asks for: the id in its path and the key in its headers, checked.

The list's request is its query string, read by `query`. Called by the stop function.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.errors import Fault, InvalidRequestError, RuntimeNotFoundError
from ivr_runtimes.http import Event, header, path_parameter, raw_query
from ivr_runtimes.identifiers import RuntimeId, StopId, fold_id, stop_id_of

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
    runtime_id = fold_id(path_parameter(event, "id"))
    if runtime_id is None:
        raise RuntimeNotFoundError
    return StopRequest(runtime_id, stop_id)


def _stop_id(keys: str | None) -> StopId:
    """Return the one key that the header names, however often: HTTP APIs join repeats of it by commas.

    A client that sent its key twice once, through a proxy say, must be recognised when it sends the key once again.
    """
    if keys is None:
        return StopId(str(uuid.uuid4()))
    named = [stop_id_of(key.strip(" \t")) for key in keys.split(",")]
    if named[0] is None or None in named:
        raise _invalid_key("is empty, too long, or has characters that no key may have")
    if len(set(named)) > 1:
        raise _invalid_key(f"names {len(set(named))} different keys")
    return named[0]


def _invalid_key(message: str) -> InvalidRequestError:
    remedy = (
        "send one key of 1 to 64 visible ASCII characters without commas and double quotes, for example a UUID;"
        " or leave the header out"
    )
    fault = Fault(place=IDEMPOTENCY_KEY, message=message, remedy=remedy)
    return InvalidRequestError(f"The header {IDEMPOTENCY_KEY} {message}.", faults=(fault,))


def _refuse_parameters(raw_query_string: str) -> None:
    if raw_query_string:
        fault = Fault(
            place=raw_query_string.partition("=")[0][:40],
            message="a stop takes no query parameters",
            remedy="name the script by its id in the path, a key in the header Idempotency-Key, and nothing else",
        )
        raise InvalidRequestError("The request has query parameters.", faults=(fault,))
