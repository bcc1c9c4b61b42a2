"""Where this agent is: its site and its node.

Owns only the pair; every loop that names rows or commands is given one.
"""

from dataclasses import dataclass

from ivr_runtimes.identifiers import NodeName, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The site and the node this agent speaks for."""

    site: Site
    node: NodeName
