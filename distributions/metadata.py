"""What the distributions share with the project: its version, and the ranges of what they require.

Each folder here is one distribution: which packages of the project it carries, with which data files, and what those
packages import. Owns no version and no range itself: they stand once, in the core and in the project's pyproject.toml.
Called by hatchling, the build backend of every distribution.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[1]


class ProjectMetadata(MetadataHookInterface):
    """Fills in `version` and `dependencies`: `siblings` of this version, `requires` in the project's ranges."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling with the [project] table."""
        version = _version()
        ranges = _ranges()
        metadata["version"] = version
        metadata["dependencies"] = [
            *(f"{sibling}=={version}" for sibling in self.config.get("siblings", [])),
            *(ranges[name] for name in self.config["requires"]),
        ]


def _version() -> str:
    core = (ROOT / "layers" / "core" / "ivr_runtimes" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', core, re.MULTILINE)
    return str(version)


def _ranges() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    written = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return {Requirement(one).name: one for one in written}
