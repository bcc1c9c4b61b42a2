"""An HTTP answer, and the error that a refusal means.

Owns the reading of bodies and of Retry-After. `failure` is the one place that turns statuses into exit codes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ivrctl.errors import AuthError, CliError, FailedError, NotFoundError, UnavailableError, UsageError

SHOWN_CHARACTERS: Final = 200
"""How much of a body that nobody understands is repeated."""


_LOGIN: Final = "`ivrctl login` gets a new one, `ivrctl doctor` says what is wrong"
_DOCTOR: Final = "`ivrctl doctor` shows the token's scopes and domain"


class Answer(NamedTuple):
    """An answer: its status, its headers by their names in lower case, its body after decompression."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body; raises `FailedError`."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            text = self.body[:SHOWN_CHARACTERS].decode("utf-8", "replace")
            remedy = "is the url that of the API? `ivrctl doctor` looks"
            raise FailedError(f"the answer (HTTP {self.status}) is not JSON: {text}", remedy=remedy) from None

    def problem(self) -> dict[str, Any] | None:
        """Return the body if it is a JSON object: a problem document, or a gateway's message."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def failure(answer: Answer) -> CliError:
    """Return the error that a refusal means, with the API's own problem in it."""
    problem = answer.problem() or {}
    said = problem.get("detail") or problem.get("error_description") or problem.get("message") or problem.get("title")
    detail = str(said or answer.body[:SHOWN_CHARACTERS].decode("utf-8", "replace") or "no reason given")
    passed = {"status": answer.status, "title": detail, **problem}
    challenged = _challenge(answer) or detail
    if answer.status in (400, 431):
        return UsageError(f"the API refuses the request: {detail}", problem=passed)
    if answer.status == 401:
        return AuthError(f"the token is not accepted: {challenged}", remedy=_LOGIN, problem=passed)
    if answer.status == 403:
        return AuthError(f"not permitted: {challenged}", remedy=_DOCTOR, problem=passed)
    if answer.status in (429, 502, 503, 504):
        return UnavailableError(f"the API refuses for now (HTTP {answer.status}): {detail}", problem=passed)
    if problem.get("code") == "runtime_not_found":
        return NotFoundError(detail, problem=passed)
    remedy = "is the url that of the API?" if answer.status == 404 else ""
    return FailedError(f"the API answers HTTP {answer.status}: {detail}", remedy=remedy, problem=passed)


def _challenge(answer: Answer) -> str | None:
    """Return what the header WWW-Authenticate says is wrong (RFC 6750 section 3)."""
    _, found, rest = answer.headers.get("www-authenticate", "").partition('error_description="')
    return rest.partition('"')[0] if found else None


def retry_after_s(answer: Answer, now_s: float) -> float | None:
    """Return how long the server asks to wait: Retry-After, in seconds or as a date (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # seldom; http.client has imported most of it

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
