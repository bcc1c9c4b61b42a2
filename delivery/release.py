"""What `make deploy` adds to samconfig.toml's parameters: the hash of everything that makes a release.

    python delivery/release.py default|staging|prod --build-dir .aws-sam/build [--deployed]

Prints the parameters for `sam deploy --parameter-overrides`, with the hash as `Release`. Refuses a layer that was
built for another processor than the one deployed. Owns what counts as a change: any byte of the built functions or
layer, a parameter, the template. SAM publishes a new version of a function only when its code's hash changes, not when
a layer or a parameter does (SAM issues 3802 and 3820). Without the release hash, the alias and SnapStart's snapshot
would keep the old layer or parameter.

With `--deployed` it asks CloudFormation for the stack. SAM retains versions, also those of an update that was rolled
back. Lambda publishes no version that equals the last one, and CloudFormation takes that for an error, so the retry of
a failed update would always fail. Therefore an update's release is salted with the time of the last update, successful
or not; a release that runs already keeps its salt. Deploys nothing. Called by the Makefile.
"""

import argparse
import hashlib
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PROCESSOR = "arm64"
"""The template's default of `Architecture`."""

PROCESSORS = {"-aarch64-": "arm64", "-x86_64-": "x86_64"}
"""The part of a compiled module's name that names the processor (PEP 3149), and the template's word for that."""

LENGTH = 16
"""Digits of the hash: enough to tell releases apart, and readable in a function's description."""

SALT_LENGTH = 8
"""Digits after the hash; they tell an update from an earlier attempt at the same release."""

STACK_OPTIONS = ("stack_name", "region", "profile")
"""The options that select the stack, with the same names in `sam deploy` and samconfig.toml."""


def tree_hash(folder: Path) -> str:
    """Return the SHA-256 of a folder: of each file's path and bytes, not of times and owners."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def settings_of(environment: str, samconfig: Path = ROOT / "samconfig.toml") -> dict[str, Any]:
    """Return the settings that `sam deploy` reads for an environment; raises `KeyError` for an unknown one."""
    tables = tomllib.loads(samconfig.read_text(encoding="utf-8"))[environment]
    return {**tables["global"]["parameters"], **tables["deploy"]["parameters"]}


def parameters_of(environment: str, samconfig: Path = ROOT / "samconfig.toml") -> list[str]:
    """Return an environment's `Name=value` parameters."""
    found: list[str] = settings_of(environment, samconfig)["parameter_overrides"]
    return found


def release(build: Path, parameters: Iterable[str]) -> str:
    """Return the release hash of a build (its functions, layer and template) with those parameters."""
    whole = "\n".join([tree_hash(build), *sorted(parameters)])
    return hashlib.sha256(whole.encode()).hexdigest()[:LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What CloudFormation says about a stack: the release that runs, and when it was last updated, if ever."""

    release: str
    updated_at: str


def deployed(settings: Mapping[str, Any]) -> Deployed | None:
    """Ask CloudFormation for the stack of those settings; return None if there is none yet."""
    session = boto3.Session(profile_name=settings.get("profile"), region_name=settings.get("region"))
    client: Any = session.client("cloudformation")
    try:
        (stack,) = client.describe_stacks(StackName=settings["stack_name"])["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}
    return Deployed(release=given.get("Release", ""), updated_at=str(stack.get("LastUpdatedTime", "never")))


def attempt(wanted: str, stack: Deployed | None) -> str:
    """Return the release to deploy: the running one if its hash is `wanted`, else one that was never tried before."""
    if stack is None:
        return wanted
    if stack.release.startswith(wanted):
        return stack.release
    return wanted + hashlib.sha256(stack.updated_at.encode()).hexdigest()[:SALT_LENGTH]


def processors_of(build: Path) -> set[str]:
    """Return the processors for which the layer's modules are compiled, in the template's words."""
    compiled = (build / "CoreLayer" / "python").rglob("*.so")
    return {name for path in compiled for suffix, name in PROCESSORS.items() if suffix in path.name}


def fault(build: Path, parameters: Iterable[str]) -> str | None:
    """Say why the build cannot be deployed with those parameters; None if it can."""
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
    options = _options()
    if not (options.build_dir / "template.yaml").is_file():
        sys.exit(f"{options.build_dir}: nothing is built there; run `make build`")
    parameters = parameters_of(options.environment, options.samconfig)
    if why_not := fault(options.build_dir, parameters):
        sys.exit(f"release: {why_not}")
    wanted = release(options.build_dir, parameters)
    if options.deployed:
        wanted = attempt(wanted, _stack(options))
    print(" ".join([*parameters, f"Release={wanted}"]))  # noqa: T201  # its output


def _options() -> argparse.Namespace:
    """Read the arguments. Those of `sam deploy` may follow; of these, only the ones that select the stack are read."""
    description = "Print the parameters of a deployment, its release hash included."
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("environment", choices=["default", "staging", "prod"])
    parser.add_argument("--build-dir", type=Path, required=True)
    parser.add_argument("--samconfig", type=Path, default=ROOT / "samconfig.toml", help="the settings of SAM")
    parser.add_argument("--deployed", action="store_true", help="ask AWS whether the release was tried before")
    for name in STACK_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    options, _ = parser.parse_known_args()
    return options


def _stack(options: argparse.Namespace) -> Deployed | None:
    given = {name: getattr(options, name) for name in STACK_OPTIONS if getattr(options, name)}
    try:
        return deployed(settings_of(options.environment, options.samconfig) | given)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"release: the stack cannot be asked for: {error}")


if __name__ == "__main__":
    main()
