"""The credentials of AWS that requests are signed with: they may come late, fail once, expire or be rotated.

Owns when to look for them, and the error when there are none. botocore looks once, when a client is made, and keeps
what it found; here every look starts afresh, in a thread of its own. Never logs or raises the text of an error of the
SDK: it may quote a credential. Asked by botocore's signer; looks through `sources`.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import PartialCredentialsError

from ivr_agent.aws.remedy import Cause, UnusableCredentialsError, cause_of
from ivr_agent.process import Backoff, Chance, say
from ivr_runtimes.errors import Denial, DeniedError
from ivr_runtimes.secret import without_line_end
from ivr_runtimes.stores import boto

WAIT_S: Final = 2.0
"""How long a request waits for a look under way: a working metadata service answers sooner."""

FIRST_REST_S: Final = 0.5
"""The wait after the first look that found none; it doubles."""

MOST_REST_S: Final = 15.0
"""The longest wait: new credentials are found this much later at most."""

REFUSED_REST_S: Final = 10.0
"""How soon we look again after AWS refused our credentials: a rotated file is read within this."""

AHEAD_S: Final = 900
"""How long before they expire credentials are replaced, while requests still use them: botocore's figure."""

SHORT_AHEAD_S: Final = 60
"""The same for those that live less than `AHEAD_S`, so that their source is not asked all the time."""

_TEXT: Final = re.compile(r"[!-~]+")
"""What a credential in a header may hold: visible ASCII."""


class MissingCredentialsError(DeniedError):
    """There are no credentials to sign a request with; it was not sent."""

    def __init__(self, cause: Cause) -> None:
        """Keep the cause: what is missing, and the remedy."""
        super().__init__(f"no credentials of AWS: {cause.what}", code="NoCredentials")
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Held:
    frozen: Any
    source: str
    ends_within: Callable[[int], bool]
    ahead_s: int


class Credentials:
    """Replaces botocore's own credentials in its clients. Thread-safe.

    `look` returns botocore's credentials or raises; `monotonic` is in seconds.
    """

    method: Final = "late"

    def __init__(
        self,
        look: Callable[[], Any],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Chance = random.random,
    ) -> None:
        self._look = look
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._backoff = Backoff(first_s=FIRST_REST_S, most_s=MOST_REST_S, chance=chance)
        self._held: _Held | None = None
        self._cause: Cause | None = None
        self._refused = False
        self._looking = False
        self._rest_until_s = float("-inf")

    def get_frozen_credentials(self) -> Any:
        """Return credentials, as botocore's signer asks for them; raises `MissingCredentialsError`."""
        with self._changed:
            if (held := self._usable()) is None:
                self._begin_look()
                self._changed.wait_for(lambda: not self._looking, WAIT_S)
                if (held := self._usable()) is None:
                    raise MissingCredentialsError(self._cause or cause_of(TimeoutError()))
            elif self._refused or held.ends_within(held.ahead_s):
                self._begin_look()
            return held.frozen

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """Return a function that tells a property, such as the account id, when a request needs it."""
        return lambda: getattr(self.get_frozen_credentials(), name, None)

    def note_answer(self, parsed: dict[str, Any], **_: Any) -> None:
        """Look again soon if AWS refuses our credentials: their source may have newer ones."""
        if boto.DENIALS.get(parsed.get("Error", {}).get("Code", ""), Denial.NAME) is not Denial.NAME:
            self._refused = True

    def _usable(self) -> _Held | None:
        return self._held if self._held is not None and not self._held.ends_within(0) else None

    def _begin_look(self) -> None:
        if not self._looking and self._monotonic() >= self._rest_until_s:
            self._looking = True
            threading.Thread(target=self._run, name="credentials", daemon=True).start()

    def _run(self) -> None:
        held, cause = None, None
        try:
            found = self._look()
            held, cause = (_held(found), None) if found is not None else (None, cause_of(None))
        except Exception as error:  # noqa: BLE001  # a source may raise anything: it has none yet
            cause = cause_of(error)
        with self._changed:
            self._keep(held, cause)
            self._looking = False
            self._changed.notify_all()

    def _keep(self, held: _Held | None, cause: Cause | None) -> None:
        """Take a look's result. The credentials we hold serve until they expire, even if no new ones were found."""
        if held is None:
            rest_s = self._backoff.next_s()
            if cause is not None and cause != self._cause and self._usable() is not None:
                say("credentials_not_renewed", level=logging.WARNING, cause=cause.what, remedy=cause.remedy)
        else:
            rest_s = REFUSED_REST_S
            self._backoff.reset()
            if self._held is None or self._cause is not None:
                say("credentials_found", source=held.source)
            self._held = held
        self._cause, self._refused = cause, False
        self._rest_until_s = self._monotonic() + rest_s


def _held(found: Any) -> _Held:
    """Return a source's credentials, ready to sign with. Line ends around them come from a file."""
    frozen = found.get_frozen_credentials()
    key, secret, token = (text and without_line_end(text) for text in frozen[:3])
    for name, text in (("access key", key), ("secret key", secret), ("session token", token)):
        if not text and name != "session token":
            raise PartialCredentialsError(provider=found.method, cred_var=name)
        if text and not _TEXT.fullmatch(text):
            raise UnusableCredentialsError(f"the {name} of {found.method} holds a blank or a control character")
    ends = isinstance(found, RefreshableCredentials)
    clean = frozen._replace(access_key=key, secret_key=secret, token=token)
    ends_within: Callable[[int], bool] = found.refresh_needed if ends else lambda _: False
    return _Held(clean, found.method, ends_within, SHORT_AHEAD_S if ends_within(AHEAD_S) else AHEAD_S)
