"""Reads items of the tables for the stop, for liveness and for the agents: only the attributes that are used.

Owns which values of a row are accepted. Our agents write the rows, but a site's policy lets any holder of its
credentials write anything, and later versions may write differently. Called by `dynamo`; `parser` reads the list's.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from ivr_runtimes.identifiers import (
    NODE_PATTERN,
    SESSION_PATTERN,
    STOP_ID_PATTERN,
    Domain,
    NodeName,
    RuntimeId,
    Session,
    Site,
    StopId,
)
from ivr_runtimes.model import UNKNOWN_PORT, Node, Runtime, State, StopType
from ivr_runtimes.unreadable import MISSING, text_of

Item = Mapping[str, Any]

NOBODY: Final = Session("")
"""The session of a node whose row names no valid one: no runtime has it."""


def to_runtime(item: Item) -> tuple[Runtime | None, str | None]:
    """Read an item of table `runtimes` for the stop; None, and why, if it lacks what a stop needs.

    A stop needs domain, node and session. An unknown state reads as running: it cannot be post-processing, which a stop
    could cut short. Values that are shown but not used by a stop are empty if unreadable.
    """
    domain = text_of(item, "domain")
    node, session = _named(item, "node", NODE_PATTERN), _named(item, "session", SESSION_PATTERN)
    if domain is None or node is None or session is None:
        return None, next(
            f"{name}: {MISSING}"
            for name, value in (("domain", domain), ("node", node), ("session", session))
            if not value
        )
    stop_id = _named(item, "stop_id", STOP_ID_PATTERN)
    state = text_of(item, "state")
    return Runtime(
        id=RuntimeId(text_of(item, "id") or ""),
        site=Site(text_of(item, "site") or ""),
        node=NodeName(node),
        domain=Domain(domain),
        session=Session(session),
        type=text_of(item, "type") or "",
        code=text_of(item, "code") or "",
        name=text_of(item, "name") or "",
        starttime=text_of(item, "starttime") or "",
        state=next((known for known in State if known == state), State.RUNNING),
        stoptype=StopType.known(text_of(item, "stoptype")),
        stop_id=StopId(stop_id) if stop_id else None,
        rootcode=text_of(item, "rootcode"),
        rootname=text_of(item, "rootname"),
        lwt=text_of(item, "lwt") or "",
    ), None


def to_node(item: Item) -> tuple[Node, str | None]:
    """Read an item of table `nodes`, and say what is wrong with it.

    If name, session or lease is unreadable, the node counts as dead: its lease is over. Without a valid session it
    names `NOBODY`.
    """
    name, session = _named(item, "node", NODE_PATTERN), _named(item, "session", SESSION_PATTERN)
    until_s = _seconds(text_of(item, "lease_until", "N"))
    wrong = [what for what, value in (("node", name), ("session", session), ("lease_until", until_s)) if value is None]
    node = Node(
        site=Site(text_of(item, "site") or ""),
        node=NodeName(text_of(item, "node") or ""),
        session=Session(session or NOBODY),
        lease_until_s=0.0 if wrong or until_s is None else until_s,
        agent_id=text_of(item, "agent_id") or "",
        control_port=_port(text_of(item, "control_port", "N")),
        agent_version=text_of(item, "agent_version") or "",
        started_at=text_of(item, "started_at") or "",
    )
    return node, f"{', '.join(wrong)}: {MISSING}" if wrong else None


def _named(item: Item, name: str, pattern: str) -> str | None:
    value = text_of(item, name)
    return value if value is not None and re.fullmatch(pattern, value) else None


def _seconds(number: str | None) -> float | None:
    """Read epoch seconds; None for what is no number or no possible time."""
    if not number or not re.fullmatch(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[Ee][+-]?[0-9]{1,3})?", number):
        return None
    seconds = float(number)
    return seconds if math.isfinite(seconds) else None


def _port(number: str | None) -> int:
    port = int(number) if number and re.fullmatch("[0-9]{1,5}", number) else UNKNOWN_PORT
    return port if port <= 65535 else UNKNOWN_PORT
