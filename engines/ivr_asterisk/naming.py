"""Names that outlive the bridge: the session, a runtime's id and start, and where `seq` goes on.

Owns how they are derived from what Asterisk tells, so that a bridge that restarts comes to the same ones. Called by
`bridge` and `model`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

NAMESPACE: Final = UUID("6f1d7a52-5d0b-5c0e-9a27-0d6c0c8f3b11")
"""The namespace of the runtime ids (RFC 9562, version 5): drawn once, never to be changed."""

STARTED: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
EPOCH: Final = re.compile(r"(?:^|-)(\d{9,11})\.\d+$")
"""The end of a Uniqueid that Asterisk made itself: the channel's begin in seconds, and a number."""

STARTED_VARIABLE: Final = "IVR_STARTED"
"""The channel variable that keeps a script's start where the channel's own begin does not tell it."""

LATE_S: Final = 2
"""A script that begins so long after its channel, seconds, has a start of its own."""

DAY_US: Final = 86_400_000_000

MAX_NAME: Final = 40
"""Characters of the system's name in the session."""


@dataclass(frozen=True, slots=True)
class Life:
    """One life of Asterisk: system name, entity id, and when it started, in its own local time without a zone."""

    system: str
    entity: str
    started: str

    def __post_init__(self) -> None:
        if not STARTED.fullmatch(self.started):
            raise ValueError("CoreStatus tells no start time")

    @property
    def session(self) -> str:
        """The session's name: the same for each bridge at this life of Asterisk."""
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", self.system or self.entity)[:MAX_NAME]
        which = sha256(f"{self.system}/{self.entity}".encode()).hexdigest()[:8]
        return f"{readable}.{which}.{re.sub('[^0-9]', '', self.started)}"

    def seq_at(self, now_us: int) -> int:
        """Return where `seq` goes on at that time, microseconds since the epoch: above all that was counted before.

        It is the microseconds since the start, and a day, because the zone of the start time is not known.
        """
        started = datetime.fromisoformat(self.started).replace(tzinfo=UTC)
        return max(0, now_us - int(started.timestamp()) * 1_000_000 + DAY_US)


def runtime_id(session: str, uniqueid: str) -> str:
    """Return the id of the runtime on the channel of that Uniqueid."""
    return str(uuid5(NAMESPACE, f"{session}/{uniqueid}"))


def began_s(uniqueid: str) -> int | None:
    """Return when a channel began, in seconds since the epoch; None if its Uniqueid was chosen by somebody."""
    found = EPOCH.search(uniqueid)
    return int(found[1]) if found else None


def rfc3339(seconds: float) -> str:
    """Return a time as the protocol writes it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
