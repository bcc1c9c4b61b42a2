"""AWS's secrets as botocore's sources of credentials read them: without the line ends of variables and token files.

Owns what those sources read from the environment and from the files that it names. botocore decides which source counts
and when to ask again; the agent's `credentials` decides what requests are signed with. Called by `boto`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from botocore.utils import FileWebIdentityTokenLoader

from ivr_runtimes.secret import AWS_VARIABLES, without_line_end

TOKEN: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105  # the name of a variable
TOKEN_FILE: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105  # the name of a variable


def keep_whole(session: Any) -> None:
    """Let the sources of a botocore session read variables and token files without line ends."""
    resolver, environ = session.get_component("credential_provider"), _Environment()
    for provider in resolver.providers:
        match provider.METHOD:
            case "env":
                provider.environ = environ
            case "container-role":
                provider._environ = environ  # noqa: SLF001  # botocore also uses this provider to assume roles
            case "assume-role-with-web-identity":
                provider._token_loader_cls = _TokenLoader  # noqa: SLF001  # the same


class _TokenLoader(FileWebIdentityTokenLoader):
    """Reads a web identity token without its file's line end."""

    def __call__(self) -> str:
        return without_line_end(super().__call__())


class _Environment(Mapping[str, str]):
    """The process's environment as botocore's providers read it: secrets without line ends.

    The container's authorization token is read from its file each time, because such files are replaced.
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
