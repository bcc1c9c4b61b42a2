"""Where credentials of AWS come from: botocore's own sources, asked anew each time, and the session of our clients.

Mends what botocore does wrong for a daemon: it wants the profile at the start, reads files once, and waits for a
process for ever. Called by `__main__`; `credentials` decides when to look.
"""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any, Final

import botocore.session
from botocore.exceptions import ConfigParseError, ProfileNotFound, UnknownCredentialError

from ivr_agent.aws.credentials import Credentials
from ivr_runtimes.stores import boto

PROCESS_LIMIT_S: Final = 60.0
"""After this a `credential_process` is killed: botocore would wait for ever, and we would hang with it."""


def client_session() -> Any:
    """Return one botocore session for all clients: they share credentials, looked for when needed."""
    made = boto.new_session(_Session)
    credentials = Credentials(look)
    made.register_component("credential_provider", _Of(credentials))
    made.register_component("token_provider", _Of(None))
    made.register("after-call", credentials.note_answer)
    return made


def look() -> Any:
    """Look for credentials with a new botocore session, which reads all files anew; None if there are none."""
    fresh = boto.new_session(botocore.session.Session)
    fresh.get_scoped_config()  # raises for a missing profile: no other credentials may be used in its place
    with suppress(UnknownCredentialError):
        chain = fresh.get_component("credential_provider")
        chain.get_provider("custom-process")._popen = _Process  # noqa: SLF001  # the only way to limit it
    return fresh.get_credentials()


class _Of:
    """A provider for botocore's clients: gives AWS credentials, or no bearer token."""

    def __init__(self, thing: Credentials | None) -> None:
        self._thing = thing

    def load_credentials(self) -> Credentials | None:
        return self._thing

    def load_token(self, **_: Any) -> None:
        return None


class _Session(botocore.session.Session):
    """A session whose profile may come late: `look` reports it missing and looks again."""

    @property
    def full_config(self) -> Any:
        try:
            return super().full_config
        except ConfigParseError:
            return {"profiles": {}}

    def get_scoped_config(self) -> Any:
        try:
            return super().get_scoped_config()
        except ProfileNotFound:
            return {}


class _Process(subprocess.Popen[bytes]):
    """A `credential_process` that is killed, with its children, when it does not end in time."""

    def __init__(self, command: list[str], *, stdout: int, stderr: int) -> None:
        super().__init__(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True)

    def communicate(self, input: bytes | None = None, timeout: float | None = PROCESS_LIMIT_S) -> tuple[bytes, bytes]:  # noqa: A002  # Popen's own name
        try:
            return super().communicate(input, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            with self:  # closes the pipes, and waits
                raise
