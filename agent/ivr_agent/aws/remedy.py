"""Why there are no credentials, and what to do about it.

Owns the words. Tells errors apart by their class alone: their text may quote what a program or a service printed,
and so a credential.
"""

import os
from typing import Final, NamedTuple

from botocore.exceptions import (
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    LoginError,
    MetadataRetrievalError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from ivr_runtimes.errors import IvrRuntimesError


class Cause(NamedTuple):
    """What is missing, and the remedy."""

    what: str
    remedy: str


class UnusableCredentialsError(IvrRuntimesError):
    """No request can carry these credentials. The text is ours and quotes none."""


NONE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the host or container a role; if it has"
    " one, its metadata service does not answer yet"
)
BROKEN: Final = "see that each is one line of visible ASCII characters, at its source"
PROFILE: Final = (
    "see AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, and that the agent's user may read them"
)
SIGN_IN: Final = "sign in anew as the agent's user: `aws sso login`, or `aws login`; better, give the host a role"
STS: Final = "see the role's trust policy, role_arn, and the token or credentials by which the role is assumed"
SERVICE: Final = "see that the service at AWS_CONTAINER_CREDENTIALS_FULL_URI or …_RELATIVE_URI answers, and its token"
SLOW: Final = "the source of the credentials does not answer; a credential_process is ended after 60 s"
FILE: Final = "see that the file is there, and that the agent's user may read it"
OTHER: Final = "see the source of the credentials: its program, file or service, as the agent's user"

TOKEN_FILES: Final = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
"""The variables that name a token's file."""

PROVIDERS: Final = {
    "custom-process": "run the profile's credential_process by hand, as the agent's user and with its environment",
    "container-role": SERVICE,
    "sso": SIGN_IN,
    "assume-role": STS,
    "assume-role-with-web-identity": STS,
    **dict.fromkeys(TOKEN_FILES, FILE),
}
"""Remedies by the source: botocore's name of it, or the variable that names its file."""


REMEDIES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (UnusableCredentialsError, BROKEN),
    (TimeoutError, SLOW),
    (ClientError, STS),
    ((ProfileNotFound, ConfigParseError), PROFILE),
    ((SSOError, LoginError, TokenRetrievalError), SIGN_IN),
    (MetadataRetrievalError, SERVICE),
)
"""Remedies by the class of the error."""


def cause_of(error: Exception | None) -> Cause:
    """Return why a look for credentials failed; None means that it found none."""
    if error is None:
        return Cause("none found", NONE)
    name = type(error).__name__
    if isinstance(error, UnusableCredentialsError):
        name = str(error)
    elif isinstance(error, TimeoutError):
        name = "no answer yet"
    elif isinstance(error, ClientError):
        name = f"{name} of {error.operation_name}: {error.response.get('Error', {}).get('Code', '')}"
    elif source := _source(error):
        return Cause(f"{name} of {source}", PROVIDERS.get(source, OTHER))
    return Cause(name, next((remedy for classes, remedy in REMEDIES if isinstance(error, classes)), OTHER))


def _source(error: Exception) -> str:
    """Return which source failed, if the error has it in a field: botocore's provider, a variable's file."""
    if isinstance(error, (CredentialRetrievalError, PartialCredentialsError)):
        return str(error.kwargs.get("provider", ""))
    if isinstance(error, OSError) and error.filename:
        return next((name for name in TOKEN_FILES if os.environ.get(name) == error.filename), "")
    return ""
