"""Identifiers: a type and a pattern each for site codes, node names, domains, runtime ids, sessions and stop ids.

Owns what each may look like, and how case is folded. Whatever enters the system (settings, engine events, commands,
claims) is checked against these patterns once, where it enters.
"""

import re
from typing import Final, NewType

Site = NewType("Site", str)
NodeName = NewType("NodeName", str)
Domain = NewType("Domain", str)
RuntimeId = NewType("RuntimeId", str)
Session = NewType("Session", str)
StopId = NewType("StopId", str)

SITE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9]{0,31}$"
"""A Latin letter, then letters and digits, 1 to 32 characters."""

NODE_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.:\[\]-]{1,253}$"
"""`name@host`, e.g. `site1_h6@192.168.0.12`; the host is where the node's agent listens for its peers."""

DOMAIN_PATTERN: Final = r"^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$"
"""A folded tenant name, 1 to 253 characters. No brackets, spaces or commas: a claim of several values never fits."""

ANY_CASE_DOMAIN_PATTERN: Final = r"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$"
"""A tenant name as callers and engines may spell it, before it is folded.

ASCII alone, so that only names that differ in case become equal. (`"\u212a".lower()`, the Kelvin sign, is a plain `k`.)
"""

RUNTIME_ID_PATTERN: Final = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
"""A UUID as text; its parts mean nothing here. Case does not count (RFC 9562 section 4); rows have lower case."""

FOLDED_ID_PATTERN: Final = r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""A runtime's id as rows have it, and the only spelling by which they are found."""

SESSION_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}$"
"""The name that an engine process gives itself at its start."""

STOP_ID_PATTERN: Final = r"^[\x21-\x7e]{1,64}$"
"""A stop id in commands and rows: 1 to 64 visible ASCII characters."""

KEY_PATTERN: Final = r'^(?:[\x21\x23-\x2b\x2d-\x7e]{1,64}|"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,64}")$'
"""A stop id as the header `Idempotency-Key` carries it: bare, or in double quotes as in the IETF's draft.

No comma, because HTTP joins repeated headers with commas. No quote inside, and none of the draft's escapes.
"""


def fold_domain(name: str) -> Domain | None:
    """Check a tenant name, then fold it to lower case; None if it is not the name of exactly one domain."""
    return Domain(name.lower()) if re.fullmatch(ANY_CASE_DOMAIN_PATTERN, name) else None


def is_runtime_id(text: str) -> bool:
    """Tell whether the text has the form of a runtime's id."""
    return re.fullmatch(RUNTIME_ID_PATTERN, text) is not None


def fold_id(text: str) -> RuntimeId | None:
    """Fold a runtime's id to lower case, as rows have it; None if the text is no id."""
    return RuntimeId(text.lower()) if is_runtime_id(text) else None


def is_stop_id(text: str) -> bool:
    """Tell whether the text has the form of a stop id."""
    return re.fullmatch(STOP_ID_PATTERN, text) is not None


def stop_id_of(key: str) -> StopId | None:
    """Return the stop id in an `Idempotency-Key`; None if the key is not valid."""
    return StopId(key.strip('"')) if re.fullmatch(KEY_PATTERN, key) else None


def host_of(node: NodeName) -> str:
    """Return the host part of a node's name: where its agent listens for peers."""
    return node.partition("@")[2].strip("[]")
