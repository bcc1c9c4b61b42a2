"""Service links of Kubernetes: variables that look like settings but are not.

Pods get variables for each Service of their namespace that begin with its name, so a Service named `ivr-agent` or
`ivr-agent-control` adds some with our prefix (Kubernetes documentation, "Service": environment variables, in the form
of Docker's links). Owns their recognition. Called by the programs' settings, which skip them, and by their `__main__`,
which logs them.
"""

import re
from collections.abc import Mapping
from typing import Final

NAMES: Final = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.IGNORECASE | re.ASCII
)
"""Endings of a link's name: no setting of ours has them."""

PORT: Final = re.compile(r".+_PORT", re.IGNORECASE | re.ASCII)
URL: Final = re.compile(r"(tcp|udp|sctp)://\S*", re.IGNORECASE)
"""The value of a link's `…_PORT`: tells it from a setting of that name."""


def is_link(name: str, value: str | None) -> bool:
    """Tell whether a variable has the form of a service link."""
    return bool(NAMES.fullmatch(name) or (PORT.fullmatch(name) and URL.fullmatch(value or "")))


def links_in(environ: Mapping[str, str], prefix: str) -> list[str]:
    """Return the names of the service links that begin with the prefix of our settings."""
    return sorted(name for name, value in environ.items() if name.upper().startswith(prefix) and is_link(name, value))
