"""Runtime ids in the platform's layout: when and on which node a runtime started, readable from its id.

Owns the layout only: the engine makes ids with it; to all others an id is an opaque UUID.

    244f84aa-0624-e639-8061-a80000000006
    random 32 | megaseconds 16 | seconds 20 | microseconds 20 | node number 40      (bits)
"""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

RANDOM_BITS: Final = 32
NODE_NUMBER_BITS: Final = 40

MICROSECONDS: Final = 1_000_000
"""In a second, and seconds in a megasecond."""


def runtime_id(started_us: int, *, node_number: int, random_bits: int) -> str:
    """Return the id of a runtime started at `started_us` (microseconds since the epoch) on that node."""
    seconds, microseconds = divmod(started_us, MICROSECONDS)
    megaseconds, seconds = divmod(seconds, MICROSECONDS)
    started = megaseconds << 40 | seconds << 20 | microseconds
    return str(UUID(int=random_bits << 96 | started << NODE_NUMBER_BITS | node_number))


def starttime(started_us: int) -> str:
    """Return the start as the protocol writes it: RFC 3339, UTC, whole seconds (cut, not rounded), `Z`."""
    return datetime.fromtimestamp(started_us // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
