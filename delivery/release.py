"""What `make deploy` adds to samconfig.toml's parameters: the hash of everything that makes a release.

    python delivery/release.py default|staging|prod --build-dir .aws-sam/build

Prints the parameters for `sam deploy --parameter-overrides`, the hash as `Release` among them; refuses a layer that was
built for another processor than the one deployed. Owns what counts as a change: a byte of the built functions or layer,
a parameter, the template. SAM publishes a new version of a function
when its code's hash changes, and does not see that another layer or another parameter changes it, too (SAM issues 3802
and 3820); so a snapshot of SnapStart, or the alias, would stay behind. Deploys nothing. Called by the Makefile.
"""

import argparse
import hashlib
import shlex
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PROCESSOR = "arm64"
"""The template's default of `Architecture`."""

PROCESSORS = {"-aarch64-": "arm64", "-x86_64-": "x86_64"}
"""What a compiled module's name says of its processor (PEP 3149), and the template's word for it."""

LENGTH = 16
"""Digits of the hash: plenty to tell releases apart, short enough to read in a function's description."""


def tree_hash(folder: Path) -> str:
    """Return the SHA-256 of a folder: of every file's path and bytes, whatever their times and owners."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def parameters_of(environment: str, samconfig: Path = ROOT / "samconfig.toml") -> list[str]:
    """Return an environment's `Name=value` parameters; raises `KeyError` for one that samconfig.toml does not have."""
    config = tomllib.loads(samconfig.read_text(encoding="utf-8"))
    found: list[str] = config[environment]["global"]["parameters"]["parameter_overrides"]
    return found


def release(build: Path, parameters: Iterable[str]) -> str:
    """Return the release hash of a build (functions, layer and template in it) with those parameters."""
    whole = "\n".join([tree_hash(build), *sorted(parameters)])
    return hashlib.sha256(whole.encode()).hexdigest()[:LENGTH]


def processors_of(build: Path) -> set[str]:
    """Return the processors that the layer's compiled parts are for, as the template calls them."""
    compiled = (build / "CoreLayer" / "python").rglob("*.so")
    return {name for path in compiled for suffix, name in PROCESSORS.items() if suffix in path.name}


def fault(build: Path, parameters: Iterable[str]) -> str | None:
    """Say why the build cannot be deployed with those parameters."""
    given = dict(parameter.split("=", 1) for parameter in parameters)
    odd = [name for name, value in given.items() if shlex.quote(value) != value]
    if odd:
        return f"{', '.join(odd)}: has characters that mean something to a shell, or spaces; write lists without spaces"
    wanted = given.get("Architecture", DEFAULT_PROCESSOR)
    if found := processors_of(build) - {wanted}:
        return (
            f"the layer is built for {', '.join(found)}, to be deployed on {wanted}: add ARCHITECTURE={wanted} to make"
        )
    return None


def main() -> None:
    """Print the parameters."""
    parser = argparse.ArgumentParser(description="Print the parameters of a deployment, its release hash included.")
    parser.add_argument("environment", choices=["default", "staging", "prod"])
    parser.add_argument("--build-dir", type=Path, required=True)
    options = parser.parse_args()
    if not (options.build_dir / "template.yaml").is_file():
        sys.exit(f"{options.build_dir}: nothing is built there; run `make build`")
    parameters = parameters_of(options.environment)
    if why_not := fault(options.build_dir, parameters):
        sys.exit(f"release: {why_not}")
    print(" ".join([*parameters, f"Release={release(options.build_dir, parameters)}"]))  # noqa: T201  # its output


if __name__ == "__main__":
    main()
