"""Secrets read from files and variables: without the line end at their end, and usable in a header.

Owns what a usable secret is. Called by whatever reads one: the programs' settings, and `keys` for credentials of AWS.
"""

from collections.abc import Iterator, Mapping
from typing import Final

AWS_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
"""The variables that hold AWS secrets directly (AWS SDKs and tools reference guide, "Environment variables")."""

REMEDY: Final = "write it anew as one line of visible characters"


def without_line_end(text: str) -> str:
    """Return the text without line ends at its end: editors, `echo` and mounted files leave one."""
    return text.rstrip("\r\n")


def fault_of(secret: str) -> str | None:
    """Say why a secret cannot be used, without quoting it: HTTP forbids control characters and trims blanks."""
    if not secret.isprintable():  # this finds lone surrogates, a byte order mark and line separators, too
        return f"holds a control character or another that cannot be printed; {REMEDY}"
    if secret != secret.strip():
        return f"begins or ends with a blank; {REMEDY}"
    return None


def wrong_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each AWS variable whose secret cannot be used."""
    for name in AWS_VARIABLES:
        if (fault := fault_of(without_line_end(environ.get(name, "")))) is not None:
            yield f"{name}: {fault}"
