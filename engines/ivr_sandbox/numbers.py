"""Who calls whom: numbers that nobody has, from the ranges reserved for fiction, and an id for each call.

Owns the ranges: 555-0100 to 555-0199 of North American area codes (NANPA, "555 Line Numbers"), and Ofcom's "Telephone
numbers for use in TV and radio drama programmes": mobiles +44 7700 900, freephone +44 808 157 0. Called by `engine`,
once per call.
"""

import zlib
from dataclasses import dataclass, field
from random import Random
from typing import Final

AREA_CODES: Final = (202, 212, 312, 415, 503, 617)

WITHHELD: Final = 0.05
"""The share of callers who tell no number."""

HOST: Final = "sandbox.invalid"
"""What follows the @ of a call's id, as in SIP's Call-ID; a name that can never be looked up (RFC 2606)."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one call; the caller's is None if it is withheld. `repr` leaves them out, as everywhere."""

    caller: str | None = field(repr=False)
    called: str = field(repr=False)
    call_id: str = field(repr=False)


def draw(rng: Random, *, domain: str, code: str) -> Numbers:
    """Draw a call's numbers. Calls for one script of a domain go to one number, as calls for one service do."""
    caller = rng.choice((_american, _british))(rng)
    withheld = rng.random() < WITHHELD
    called = f"+448081570{zlib.crc32(f'{domain} {code}'.encode()) % 1000:03}"
    return Numbers(None if withheld else caller, called, f"{rng.getrandbits(64):016x}@{HOST}")


def _american(rng: Random) -> str:
    return f"+1{rng.choice(AREA_CODES)}55501{rng.randrange(100):02}"


def _british(rng: Random) -> str:
    return f"+447700900{rng.randrange(1000):03}"
