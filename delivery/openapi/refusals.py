"""What is answered to a request that is refused: by the functions, or by API Gateway in front of them."""

from typing import Final

from delivery.openapi import examples, headers
from delivery.openapi.schema import Json, model
from ivr_runtimes import errors
from ivr_runtimes.errors import ApiError
from ivr_runtimes.http.response import PROBLEM_TYPE

ANYWHERE: Final = (errors.InvalidRequestError, errors.DomainClaimError, errors.InternalError)
RAISED: Final[dict[str, tuple[type[ApiError], ...]]] = {
    "GET": (*ANYWHERE, errors.InsufficientScopeError, errors.ResultTooLargeError, errors.ListUnavailableError),
    "DELETE": (*ANYWHERE, errors.RuntimeNotFoundError, errors.NodeUnreachableError, errors.OutcomeUnknownError),
}
"""What each function may refuse with."""

GATEWAY: Final = {
    400: ("The request is not HTTP.", "Bad Request"),
    401: ("There is no token, or it is not valid.", "Unauthorized"),
    403: ("The token lacks the route's scope.", "Forbidden"),
    404: ("There is no such path or method.", "Not Found"),
    413: ("The body is over 10 MB.", "Request Entity Too Large"),
    429: ("Too many requests.", "Too Many Requests"),
    431: ("Request line and headers are over 10,240 bytes.", "Request Header Fields Too Large"),
    500: ("The function failed.", "Internal Server Error"),
    503: ("The function took too long.", "Service Unavailable"),
}
"""What API Gateway answers for itself: when, and its message."""


def codes() -> list[str]:
    """Return the codes of all problems."""
    return sorted({error.code for raised in RAISED.values() for error in raised})


def refusals(method: str) -> Json:
    """Return the refusals of an operation, by status."""
    raised = RAISED[method]
    statuses = sorted({*GATEWAY, *(error.status for error in raised)})
    return {str(status): _refusal(status, [each for each in raised if each.status == status]) for status in statuses}


def _refusal(status: int, ours: list[type[ApiError]]) -> Json:
    """Describe a status. If both may answer, either media type has the schema of both.

    Generated clients know one type for a status, that of the first media type, whoever answers.
    """
    words = [f"`{error.code}`: {error.title()}." for error in ours]
    model_ = model("Problem" if status not in GATEWAY else "Refusal" if ours else "GatewayMessage")
    content: Json = {}
    if ours:
        told = {error.code: {"value": examples.problem(error)} for error in ours}
        content[PROBLEM_TYPE] = {"schema": model_, "examples": told}
    if status in GATEWAY:
        when, message = GATEWAY[status]
        words.append(f"By API Gateway: {when}")
        content["application/json"] = {"schema": model_, "examples": {"gateway": {"value": {"message": message}}}}
    answer: Json = {"description": "\n\n".join(words), "content": content}
    named = _headers(status, ours)
    return answer | ({"headers": named} if named else {})


def _headers(status: int, ours: list[type[ApiError]]) -> Json:
    """Describe what may stand there: API Gateway's own answers have none of ours."""
    named: Json = {name: header | {"required": False} for name, header in headers.COMMON.items()} if ours else {}
    if status in (401, 403):
        named["WWW-Authenticate"] = headers.CHALLENGE
    if status == 503:
        named["Retry-After"] = headers.RETRY_AFTER
    if {errors.OutcomeUnknownError, errors.NodeUnreachableError} & set(ours):
        named["Stop-Request-Id"] = headers.STOP_ID
    return named
