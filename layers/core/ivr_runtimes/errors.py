"""The error tree. Each class says what happened; the docstring's first line is its title.

IvrRuntimesError
├── ApiError                      answered to the caller as RFC 9457 problem+json (see `http.response`)
│   ├── InvalidRequestError       400 invalid_request      a parameter or header is wrong
│   ├── ResultTooLargeError       400 result_too_large     the answer does not fit one response
│   ├── DomainClaimError          403 no_domain            the token names no domain
│   ├── InsufficientScopeError    403 insufficient_scope   the query needs a scope that the token lacks
│   ├── RuntimeNotFoundError      404 runtime_not_found    no such running script in the caller's domain
│   ├── NodeUnreachableError      503 node_unreachable     the node's lease lapsed: the call may still run
│   ├── OutcomeUnknownError       503 outcome_unknown      a stop may or may not have been accepted
│   ├── ListUnavailableError      503 list_unavailable     the table does not answer
│   └── InternalError             500 internal_error       a defect of ours
├── StoreError                    raised by the stores, never shown as is
│   ├── StoreUnavailableError     out of reach, throttled, or access denied: nothing was done, repeat later
│   │   ├── DeniedError           access denied, or no such table or queue: somebody must correct that first
│   │   └── AmbiguousWriteError   no clear answer: the write may be applied, now or later, or not at all
│   ├── RefusedWriteError         the store refuses this request itself: repeating is useless
│   ├── ConditionFailedError      the row does not meet the write's condition; nothing is written
│   └── LeaseHeldError            another agent holds the node's lease
├── UnreadableCommandError        a message in a stop queue that is not a command
└── SettingsError                 a program's settings are wrong; the text names each one and the remedy
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

NO_TRAIL: Final[Mapping[str, str]] = MappingProxyType({})


class IvrRuntimesError(Exception):
    """The root of all errors raised on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a request: where, what, and how to correct it.

    `place` begins with the parameter's or header's name: `filter[2][0]`, `order[1]`, `limit`.
    """

    place: str
    message: str
    remedy: str


class ApiError(IvrRuntimesError):
    """The request cannot be served."""

    code: ClassVar[str]
    status: ClassVar[int]
    exit_code: ClassVar[int]
    """What `ivrctl` ends with (docs/cli.md)."""

    def __init__(
        self,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after_s: int | None = None,
        trail: Mapping[str, str] = NO_TRAIL,
        logged: str | None = None,
    ) -> None:
        """Keep what the caller is told: `detail` for people, `faults` for each place, `retry_after_s` for programs.

        `trail` holds log fields that say what the request was about. Its `stop_id` goes to the caller, too.
        `logged` is what the log says in place of `detail`, where that may quote somebody's number.
        """
        super().__init__(detail)
        self.logged = detail if logged is None else logged
        self.trail = trail
        self.detail = detail
        self.faults = faults
        self.retry_after_s = retry_after_s

    @classmethod
    def title(cls) -> str:
        """The class's first docstring line: one title per code, whatever the detail (RFC 9457 section 3.1.3)."""
        return (cls.__doc__ or "").partition("\n")[0].rstrip(".")


class InvalidRequestError(ApiError):
    """The request is not valid."""

    code, status, exit_code = "invalid_request", 400, 2


class ResultTooLargeError(ApiError):
    """The result is too large for one response."""

    code, status, exit_code = "result_too_large", 400, 2


class DomainClaimError(ApiError):
    """The token names no domain."""

    code, status, exit_code = "no_domain", 403, 3


class InsufficientScopeError(ApiError):
    """The token lacks a scope that the request needs."""

    code, status, exit_code = "insufficient_scope", 403, 3


class RuntimeNotFoundError(ApiError):
    """No such running script."""

    code, status, exit_code = "runtime_not_found", 404, 4

    def __init__(self) -> None:
        """Say the same for an unknown id, another domain's id and one of an earlier session: nothing leaks."""
        super().__init__("No script with this id is running in your domain.")


class NodeUnreachableError(ApiError):
    """The node of the script cannot be reached."""

    code, status, exit_code = "node_unreachable", 503, 6


class OutcomeUnknownError(ApiError):
    """Whether the stop was accepted is not known."""

    code, status, exit_code = "outcome_unknown", 503, 6


class ListUnavailableError(ApiError):
    """The list cannot be read now."""

    code, status, exit_code = "list_unavailable", 503, 6


class InternalError(ApiError):
    """Something is wrong on our side."""

    code, status, exit_code = "internal_error", 500, 1


class StoreError(IvrRuntimesError):
    """A store did not do what was asked."""


class StoreUnavailableError(StoreError):
    """The store is out of reach, or refuses for now; nothing was done."""


class Denial(StrEnum):
    """Why a service denies a request. Each reason has its own remedy."""

    NAME = "name"
    """There is no such table or queue, in this account and region."""
    SIGNATURE = "signature"
    """The signature is wrong: a wrong secret key, or a clock that is minutes off (signatures contain the time)."""
    RIGHTS = "rights"
    """The credentials are unknown, expired or missing, or do not permit the request."""


class DeniedError(StoreUnavailableError):
    """The service denies access, or has no such table or queue; nothing works until somebody corrects that."""

    def __init__(self, message: str, *, code: str, denial: Denial = Denial.RIGHTS) -> None:
        """Keep the service's own error `code` and the reason, `denial`."""
        super().__init__(message)
        self.code = code
        self.denial = denial


class AmbiguousWriteError(StoreUnavailableError):
    """No clear answer came: the write may be applied, now or later, or not at all. Write the current state again."""


class RefusedWriteError(StoreError):
    """The store refuses this request itself; repeating it is useless."""


class ConditionFailedError(StoreError):
    """The row does not meet the write's condition."""


class LeaseHeldError(StoreError):
    """Another agent holds this node's lease."""


class UnreadableCommandError(IvrRuntimesError):
    """The message is not a command."""


class SettingsError(IvrRuntimesError):
    """The settings are wrong."""
