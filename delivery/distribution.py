"""One folder of `distributions/`: its name, its siblings and its lock.

Owns how its pyproject.toml is read. Used by `sbom` and `wheelhouse`.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Distribution:
    """What is released from one folder."""

    name: str
    siblings: frozenset[str]
    """Our own distributions that it requires, each in the same version."""
    lock: Path
    """The lock file of everything else that it requires, with hashes."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read the folder's pyproject.toml."""
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        siblings = project["tool"]["hatch"]["metadata"]["hooks"]["custom"].get("siblings", [])
        return cls(project["project"]["name"], frozenset(siblings), folder / "requirements.txt")

    def wheel(self, dist: Path) -> Path:
        """Return its one wheel in a folder of wheels."""
        return _wheel(self.name, dist)

    def wheels(self, dist: Path) -> list[Path]:
        """Return its wheel and its siblings'."""
        return [_wheel(name, dist) for name in sorted({self.name, *self.siblings})]


def _wheel(name: str, dist: Path) -> Path:
    (wheel,) = dist.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]
