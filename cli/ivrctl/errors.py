"""The error tree, and the exit codes that scripts rely on. Each class carries its exit code.

CliError
├── FailedError       1  something was not done, or what came back makes no sense
├── UsageError        2  wrong arguments or settings, or a refusal before anything was sent
├── AuthError         3  no valid token, or one that may not do this
├── NotFoundError     4  no such running script
├── PartialError      5  the answer does not cover every site (with --fail-on-partial)
└── UnavailableError  6  the API does not answer, or refuses for now

Owns the problem document (RFC 9457) that `--json-errors` prints. Never prints: `program` does.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

EXIT_OK: Final = 0
EXIT_INTERRUPTED: Final = 130
"""Ended by Ctrl-C: 128 and the signal's number, as shells count."""
EXIT_PIPE: Final = 141
"""Whoever read the output has gone, as with `| head`."""

EXITS: Final[dict[int, str]] = {
    0: "all done; for a stop also: what was to be stopped had already ended",
    1: "something was not done: a stop that failed or was not proven, an answer that makes no sense",
    2: "wrong arguments or settings, or a refusal before anything was sent (`--expect`, no terminal without `--yes`)",
    3: "no valid token, or one that may not do this",
    4: "no such running script",
    5: "the answer does not cover every site, with `--fail-on-partial`",
    6: "the API does not answer, or refuses for now",
    EXIT_INTERRUPTED: "ended by Ctrl-C",
    EXIT_PIPE: "whoever read the output has gone, as with `| head`",
}
"""What each exit code means, for people and docs/cli.md."""


class CliError(Exception):
    """The command cannot go on."""

    code: ClassVar[str] = "failed"
    title: ClassVar[str] = "The command failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, *, remedy: str = "", problem: Mapping[str, Any] | None = None) -> None:
        """Keep what people read, `detail` and `remedy`; `problem` is the API's own document, where there is one."""
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.problem = problem

    def lines(self) -> list[str]:
        """Return what a person reads, the API's places and remedies included."""
        faults = (self.problem or {}).get("errors")
        told = [self.detail, *(_fault(each) for each in faults)] if isinstance(faults, list) else [self.detail]
        return [*told, *([self.remedy] if self.remedy else [])]

    def as_json(self) -> str:
        """Return the API's problem as it came, else one of our own in the same form."""
        own = {"type": f"urn:ivrctl:problem:{self.code}", "title": self.title, "detail": self.detail, "code": self.code}
        if self.remedy:
            own["remedy"] = self.remedy
        import json  # noqa: PLC0415  # `ivrctl --help` tells no error

        return json.dumps(self.problem or own, ensure_ascii=False)


def _fault(fault: object) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    return f"  {fault.get('place', '?')}: {fault.get('message', '?')}; {fault.get('remedy', '')}"


class FailedError(CliError):
    """Something was not done."""


class UsageError(CliError):
    """The arguments or the settings are wrong."""

    code, title, exit_code = "usage", "The arguments or the settings are wrong", 2


class AuthError(CliError):
    """There is no valid token, or it may not do this."""

    code, title, exit_code = "auth", "There is no valid token, or it may not do this", 3


class NotFoundError(CliError):
    """No such running script."""

    code, title, exit_code = "not_found", "No such running script", 4


class PartialError(CliError):
    """The answer does not cover every site."""

    code, title, exit_code = "partial", "The answer does not cover every site", 5


class UnavailableError(CliError):
    """The API does not answer, or refuses for now."""

    code, title, exit_code = "unavailable", "The API does not answer, or refuses for now", 6
