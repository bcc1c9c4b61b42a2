"""The error tree. Each class says what happened; the docstring's first line is its title.

IvrRuntimesError
├── ApiError                      answered to the caller as RFC 9457 problem+json (see `http.response`)
│   ├── InvalidRequestError       400 invalid_request      a parameter or header is wrong
│   ├── ResultTooLargeError       400 result_too_large     the answer does not fit one response
│   ├── DomainClaimError          403 no_domain            the token names no domain
│   ├── RuntimeNotFoundError      404 runtime_not_found    no such running script in the caller's domain
│   ├── NodeUnreachableError      503 node_unreachable     the node's lease lapsed: the call may still run
│   ├── OutcomeUnknownError       503 outcome_unknown      a stop may or may not have been accepted
│   ├── ListUnavailableError      503 list_unavailable     the table does not answer
│   └── InternalError             500 internal_error       a defect of ours
├── StoreError                    raised by the stores, never shown as is
│   ├── StoreUnavailableError     could not be reached, throttled, or not allowed: nothing was done, repeat later
│   │   ├── DeniedError           the service does not know us, or what we ask for: somebody must mend that first
│   │   └── AmbiguousWriteError   no clear answer: a write may or may not have been, or may yet be, applied
│   ├── RefusedWriteError         the store looked at the request and refused it: repeating is useless
│   ├── ConditionFailedError      the row is not as the condition of the write asked; nothing is written
│   └── LeaseHeldError            another agent holds the node's lease
├── UnreadableCommandError        a message of the stop queue that is not a command
└── SettingsError                 a program's settings are wrong; names each setting and the remedy
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
    """One thing wrong with a request: where, what, and how to put it right.

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

    def __init__(
        self,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        retry_after_s: int | None = None,
        trail: Mapping[str, str] = NO_TRAIL,
    ) -> None:
        """Keep what the caller is told: `detail` for people, `faults` for each place, `retry_after_s` for programs.

        `trail` names what the request was about by fields of the log; its `stop_id` is told to the caller, too.
        """
        super().__init__(detail)
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

    code, status, exit_code = "result_too_large", 400, 3


class DomainClaimError(ApiError):
    """The token names no domain."""

    code, status, exit_code = "no_domain", 403, 4


class RuntimeNotFoundError(ApiError):
    """No such running script."""

    code, status, exit_code = "runtime_not_found", 404, 5

    def __init__(self) -> None:
        """Say the same whether the id is unknown, another domain's, or of a replaced session: nothing leaks."""
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
    """The store could not be asked, or declined for now; nothing was done."""


class Denial(StrEnum):
    """Why a service denies a request: each has a remedy of its own."""

    NAME = "name"
    """There is no such table or queue, in this account and region."""
    SIGNATURE = "signature"
    """The signature does not fit: a wrong secret, or a clock that is minutes off, by which requests are signed."""
    RIGHTS = "rights"
    """Credentials are unknown, expired or missing, or what is asked is not permitted."""


class DeniedError(StoreUnavailableError):
    """The service does not know us, or what we ask for; nothing is done until somebody mends that."""

    def __init__(self, message: str, *, code: str, denial: Denial = Denial.RIGHTS) -> None:
        """Keep the service's own `code` and what kind of `denial` it is."""
        super().__init__(message)
        self.code = code
        self.denial = denial


class AmbiguousWriteError(StoreUnavailableError):
    """No clear answer came: a write may have been applied, or may yet be. Write the truth again later."""


class RefusedWriteError(StoreError):
    """The store refuses this very request; repeating it is useless."""


class ConditionFailedError(StoreError):
    """The row is not as the write's condition asked."""


class LeaseHeldError(StoreError):
    """Another agent holds this node's lease."""


class UnreadableCommandError(IvrRuntimesError):
    """The message is not a command."""


class SettingsError(IvrRuntimesError):
    """The settings are wrong."""
