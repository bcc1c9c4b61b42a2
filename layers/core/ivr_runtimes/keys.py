"""AWS credentials as requests are signed with them: whole, wherever they come from.

Owns the line ends that variables, files and other programs leave at the end of a key or token, and the refusal of what
no header can carry. Which source counts, and when it is asked again, stays botocore's business. Called by `boto`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from botocore.utils import FileWebIdentityTokenLoader

from ivr_runtimes.secret import AWS_VARIABLES, REMEDY, fault_of, without_line_end

TOKEN: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105  # the name of a variable
TOKEN_FILE: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105  # the name of a variable


class UnusableCredentialsError(NoCredentialsError):
    """A credential that was found holds what no header can carry; the text never quotes it."""

    fmt = f"The AWS credentials hold a blank or a control character: {REMEDY}"


def keep_whole(session: Any) -> None:
    """Let a botocore session sign with credentials that have no line ends, whatever their source."""
    resolver, environ = session.get_component("credential_provider"), _Environment()
    for provider in resolver.providers:
        match provider.METHOD:
            case "env":
                provider.environ = environ
            case "container-role":
                provider._environ = environ  # noqa: SLF001  # botocore shares this provider with roles to be assumed
            case "assume-role-with-web-identity":
                provider._token_loader_cls = _TokenLoader  # noqa: SLF001  # the same
    load = resolver.load_credentials
    resolver.load_credentials = lambda: _whole(load())


def _whole(found: Any) -> Any:
    """Return the credentials; each time they are read for a signature, after a refresh too, they are whole."""
    if found is not None:
        frozen = found.get_frozen_credentials
        found.get_frozen_credentials = lambda: _checked(frozen())
    return found


def _checked(keys: ReadOnlyCredentials) -> ReadOnlyCredentials:
    parts = {name: getattr(keys, name) for name in ("access_key", "secret_key", "token")}
    whole = {name: without_line_end(part) for name, part in parts.items() if part}
    if any(map(fault_of, whole.values())):
        raise UnusableCredentialsError
    return keys._replace(**whole)


class _TokenLoader(FileWebIdentityTokenLoader):
    """Reads a web identity token, without the line end of its file."""

    def __call__(self) -> str:
        return without_line_end(super().__call__())


class _Environment(Mapping[str, str]):
    """The process's environment as botocore's providers read it: secrets without line ends.

    The container's authorization token is read from its file here, anew each time because such files are replaced.
    """

    def __getitem__(self, name: str) -> str:
        if name == TOKEN and TOKEN_FILE in os.environ:
            return without_line_end(Path(os.environ[TOKEN_FILE]).read_text(encoding="utf-8"))
        if name == TOKEN_FILE:
            raise KeyError(name)
        value = os.environ[name]
        return without_line_end(value) if name in AWS_VARIABLES else value

    def __iter__(self) -> Iterator[str]:
        names = {TOKEN if name == TOKEN_FILE else name for name in os.environ}
        return iter(names)

    def __contains__(self, name: object) -> bool:
        if name in {TOKEN, TOKEN_FILE}:
            return name == TOKEN and (TOKEN in os.environ or TOKEN_FILE in os.environ)
        return name in os.environ

    def __len__(self) -> int:
        return len(list(iter(self)))
