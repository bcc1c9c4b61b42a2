"""The names of things: id types and the grammar of each.

Owns what a site code, a node name, a domain and an id may look like. Everything that enters the system
(settings, engine events, commands, claims) is checked against these patterns once, at its border.
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
"""A tenant name as callers and engines may spell it, before it is folded. ASCII: folding maps no two of them on one
but for their case, while `"\u212a".lower()`, the Kelvin sign's, is a plain `k`."""

RUNTIME_ID_PATTERN: Final = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
"""A UUID in its text form, otherwise opaque. Both cases are one id (RFC 9562 section 4): rows have the lower one."""

SESSION_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}$"
"""One life of an engine process, named by the engine."""

STOP_ID_PATTERN: Final = r"^[\x21-\x7e]{1,64}$"
"""1 to 64 visible ASCII characters: what stands in commands and rows."""

KEY_PATTERN: Final = r'^(?:[\x21\x23-\x2b\x2d-\x7e]{1,64}|"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,64}")$'
"""A stop id as an `Idempotency-Key` carries it, bare or in double quotes, the form of the IETF's draft.

No comma, because HTTP joins repeated headers with commas. No quote inside, and none of the draft's escapes.
"""


def fold_domain(name: str) -> Domain | None:
    """Check a tenant name, then fold it to lower case; None when it is not a name of exactly one domain."""
    return Domain(name.lower()) if re.fullmatch(ANY_CASE_DOMAIN_PATTERN, name) else None


def is_runtime_id(text: str) -> bool:
    """Tell whether the text can be a runtime's id at all."""
    return re.fullmatch(RUNTIME_ID_PATTERN, text) is not None


def fold_id(text: str) -> RuntimeId | None:
    """Fold an id to lower case, as rows have it; None when it is none."""
    return RuntimeId(text.lower()) if is_runtime_id(text) else None


def is_stop_id(text: str) -> bool:
    """Tell whether the text may serve as a stop id."""
    return re.fullmatch(STOP_ID_PATTERN, text) is not None


def stop_id_of(key: str) -> StopId | None:
    """Return the stop id that one `Idempotency-Key` names; None when it names none."""
    return StopId(key.strip('"')) if re.fullmatch(KEY_PATTERN, key) else None


def host_of(node: NodeName) -> str:
    """Return the host part of a node's name: where its agent listens for peers."""
    return node.partition("@")[2].strip("[]")
