"""Says what AWS denies this agent, and what to do about it: a wrong name, a missing permission, a wrong host clock.

Owns the words; the log holds back their repetitions (`repeats`). Called by `service`. The loops treat a denial like
any other time without AWS: they go on by themselves once it is mended.
"""

import logging
from typing import Any, Final

from ivr_agent.aws.clock import Clock
from ivr_agent.aws.credentials import MissingCredentialsError
from ivr_agent.process import say
from ivr_runtimes.errors import Denial, DeniedError, StoreError

HOST_CLOCK_S: Final = 240.0
"""How far a host clock may be off before it is blamed for a wrong signature. AWS allows five minutes."""

CLOCK_REMEDY: Final = "AWS refuses what is signed by a wrong clock: set the host's clock, and keep it right by NTP"
NAME_REMEDY: Final = (
    "there is no such table or queue in this account and region: see runtimes_table, nodes_table, queue_url,"
    " dead_letter_url, AWS_DEFAULT_REGION and the credentials"
)
RIGHTS_REMEDY: Final = (
    "give the host credentials that are valid and have the managed policy of its own site; see site and the names of"
    " tables and queues (`aws sts get-caller-identity` tells whose credentials they are)"
)


def level_of(error: StoreError) -> int:
    """Return the level at which a loop logs a retry: a denial is in the log already."""
    return logging.DEBUG if isinstance(error, DeniedError) else logging.WARNING


class Denials:
    """Logs what is denied. `clock` says whether the host's clock is to blame."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def note(self, service: str, error: DeniedError) -> str:
        """Log a denial; return its remedy."""
        action, fields = self._told_as(service, error)
        say(action, level=logging.ERROR, about=(error.code, fields.get("cause", service)), **fields)
        return f"{error.code}: {fields['remedy']}"

    def _told_as(self, service: str, error: DeniedError) -> tuple[str, dict[str, Any]]:
        if isinstance(error, MissingCredentialsError):
            return "credentials_missing", {"cause": error.cause.what, "remedy": error.cause.remedy}
        ahead_s = self._clock.host_ahead_s
        if error.denial is Denial.SIGNATURE and abs(ahead_s) > HOST_CLOCK_S:
            return "host_clock_wrong", {"ahead_s": round(ahead_s), "error": str(error), "remedy": CLOCK_REMEDY}
        remedy = NAME_REMEDY if error.denial is Denial.NAME else RIGHTS_REMEDY
        return "aws_denies", {"service": service, "code": error.code, "error": str(error), "remedy": remedy}
