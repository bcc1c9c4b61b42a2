"""Rows to test with: the contract's example and variations of it."""

from dataclasses import replace
from typing import Any

from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Node, Runtime

DOMAIN = Domain("test.rootdomain.ru")
PLAYER = Runtime(
    id=RuntimeId("244f84aa-0624-e639-8061-a80000000006"),
    site=Site("SITE1"),
    node=NodeName("site1_h6@192.168.0.12"),
    domain=DOMAIN,
    session=Session("s-h6"),
    type="ivr",
    code="player",
    name="TEST PLAY",
    starttime="2019-11-05T08:36:40Z",
    lwt="2019-11-05T08:36:41Z",
)
WELCOME = Runtime(
    id=RuntimeId("6b3ba923-0624-e8c9-6bee-b00000000008"),
    site=Site("SITE1"),
    node=NodeName("site1_h8@192.168.0.12"),
    domain=DOMAIN,
    session=Session("s-h8"),
    type="ivr",
    code="welcome",
    name="Main scenario",
    starttime="2019-11-05T11:31:34Z",
    lwt="2019-11-05T11:31:35Z",
)
"""The two rows of the contract's example answer."""


def node_of(runtime: Runtime, *, lease_until_s: float, **changes: Any) -> Node:
    """Return a node that vouches for the runtime until `lease_until_s`."""
    node = Node(
        site=runtime.site,
        node=runtime.node,
        session=runtime.session,
        lease_until_s=lease_until_s,
        agent_id="agent-1",
        control_port=7001,
        agent_version="0.1.0",
        started_at="2019-11-05T00:00:00Z",
    )
    return replace(node, **changes)


def numbered(runtime: Runtime, number: int, **changes: Any) -> Runtime:
    """Return a copy with another id: the last twelve digits are `number`."""
    return replace(runtime, id=RuntimeId(f"{runtime.id[:24]}{number:012x}"), **changes)
