"""What a release file is made of (CycloneDX 1.6, JSON), and its hash, in two files beside it.

    python -m delivery.sbom distributions/agent dist

Writes `FILE.cdx.json` and `FILE.sha256` (for `sha256sum --check`). The components are those of the lock: what the tests
ran with, and what a wheelhouse holds. Both files are reproducible: no time, no random number. Called by the Makefile
and by `wheelhouse`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from delivery.distribution import Distribution, version_of
from delivery.locks import Pin, pins


def sha256(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write(file: Path, distribution: Distribution, version: str) -> None:
    """Write the bill of materials and the hash beside a release file."""
    own = [Pin(sibling, version, (distribution.name,)) for sibling in sorted(distribution.siblings)]
    whole = Pin(distribution.name, version, ())
    text = json.dumps(_bill(whole, sha256(file), [*own, *pins(distribution.lock)]), indent=2)
    file.with_name(file.name + ".cdx.json").write_text(text + "\n", encoding="utf-8")
    file.with_name(file.name + ".sha256").write_text(f"{sha256(file)}  {file.name}\n", encoding="ascii")


def _bill(whole: Pin, digest: str, parts: list[Pin]) -> dict[str, Any]:
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                **_component(whole),
                "licenses": [{"license": {"id": "MIT"}}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [{"type": "library", **_component(part)} for part in parts],
        "dependencies": [
            {"ref": _purl(one), "dependsOn": sorted(_purl(part) for part in parts if one.name in part.asked_for_by)}
            for one in (whole, *parts)
        ],
    }


def _component(pin: Pin) -> dict[str, str]:
    return {"bom-ref": _purl(pin), "name": pin.name, "version": pin.version, "purl": _purl(pin)}


def _purl(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def main(distribution: Distribution, dist: Path) -> None:
    """Write both files beside the wheel of a distribution."""
    wheel = distribution.wheel(dist)
    write(wheel, distribution, version_of(wheel))


if __name__ == "__main__":
    main(Distribution.of(Path(sys.argv[1])), Path(sys.argv[2]))
