"""A lock file as `uv pip compile --generate-hashes` writes it: the pinned packages, and what requires each.

Owns the parsing of that format. Used by `sbom` and `wheelhouse`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIN: Final = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)")
ASKED_FOR_BY: Final = re.compile(r"^    #   (?:via )?(?P<name>[a-z0-9-]+)$")
ONLY_ONE: Final = re.compile(r"^    # via (?P<name>[a-z0-9-]+)$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    asked_for_by: tuple[str, ...]


def pins(lock: Path) -> list[Pin]:
    """Return a lock's packages in its own order."""
    found: list[tuple[str, str, list[str]]] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            found.append((pin["name"], pin["version"], []))
        elif (asker := ASKED_FOR_BY.match(line) or ONLY_ONE.match(line)) and found:
            found[-1][2].append(asker["name"])
    return [Pin(name, version, tuple(askers)) for name, version, askers in found]
