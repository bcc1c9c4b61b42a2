"""What a stop request asks for: the id in its path, and in its headers the key, the reason and the wait, checked.

The list's counterpart is `query.request`. Called by the stop function.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Final

from ivr_runtimes.errors import Fault, InvalidRequestError, RuntimeNotFoundError
from ivr_runtimes.http import Event, header, path_parameter, preferred, raw_query
from ivr_runtimes.identifiers import RuntimeId, StopId, fold_id, stop_id_of
from ivr_runtimes.stopping.reason import STOP_REASON, reason_of

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""The header that names a stop, so that repeats are recognised (draft-ietf-httpapi-idempotency-key-header)."""

MAX_WAIT_S: Final = 8
"""The longest wait for a stop's effect: with what is done before it, an answer still comes within 10 s."""

_SECONDS: Final = re.compile(r"0*([1-9][0-9]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Which runtime to stop, and the stop's id: the caller's key, or a new one of ours.

    `reason` is for the logs, empty without one. `wait_s` is how long the answer may wait for the stop's effect, None
    where nobody asks for that.
    """

    runtime_id: RuntimeId
    stop_id: StopId
    reason: str = ""
    wait_s: int | None = None


def stop_request(event: Event) -> StopRequest:
    """Read a DELETE; raises `InvalidRequestError`, or `RuntimeNotFoundError` for what cannot be a runtime's id."""
    _refuse_parameters(raw_query(event))
    stop_id = _stop_id(header(event, IDEMPOTENCY_KEY.lower()))
    reason = reason_of(header(event, STOP_REASON.lower()))
    runtime_id = fold_id(path_parameter(event, "id"))
    if runtime_id is None:
        raise RuntimeNotFoundError
    return StopRequest(runtime_id, stop_id, reason, _wait_s(header(event, "prefer")))


def _stop_id(keys: str | None) -> StopId:
    """Return the one key of the header. HTTP APIs join repeated headers by commas, so equal parts are one key.

    A proxy may double the header. If the client repeats its request without the proxy, the key must be the same.
    """
    if keys is None:
        return StopId(str(uuid.uuid4()))
    named = [stop_id_of(key.strip(" \t")) for key in keys.split(",")]
    if named[0] is None or None in named:
        raise _invalid_key("is empty, too long, or has characters that no key may have")
    if len(set(named)) > 1:
        raise _invalid_key(f"names {len(set(named))} different keys")
    return named[0]


def _wait_s(prefer: str | None) -> int | None:
    """Return how long a `Prefer` header asks to wait, at most `MAX_WAIT_S`.

    None without that preference, or if its value is no number of seconds, or 0: preferences are ignored, not refused.
    """
    found = _SECONDS.fullmatch(preferred(prefer, "wait") or "")
    if found is None:
        return None
    return MAX_WAIT_S if len(found[1]) > len(str(MAX_WAIT_S)) else min(int(found[1]), MAX_WAIT_S)


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
