"""A wheelhouse: one archive with all that a host without a package index needs to install a distribution.

    python -m delivery.wheelhouse distributions/agent distributions/ctl --architecture x86_64|arm64

Fetches the wheels of the distributions' locks by their hashes, for each Python that a host may have: once for all of
them, since they share most. To those of its lock each archive adds our own from the `dist` folder and a lock of all.
Owns the archive's form; `pip` fetches. Compiles nothing: a package without a wheel for the hosts is an error. The
archive is reproducible. Called by the Makefile.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from delivery import sbom
from delivery.distribution import Distribution, version_of
from delivery.locks import pins

PLATFORMS: Final = {"x86_64": "manylinux2014_x86_64", "arm64": "manylinux2014_aarch64"}
"""glibc 2.17 and later (PEP 599): every host that has a Python of the last years."""

PYTHONS: Final = ("3.11", "3.12", "3.13")
"""Debian 12 and RHEL 9 bring 3.11, Ubuntu 24.04 3.12, Debian 13 3.13."""

MODE: Final = 0o644


def fetch(locks: Iterable[Path], folder: Path, *, platform: str, pythons: Iterable[str]) -> None:
    """Fetch the wheels of locks, by their hashes, for those Pythons on that platform."""
    wanted = [argument for lock in locks for argument in ("-r", str(lock))]
    for python in pythons:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        command += ["--implementation", "cp", "--python-version", python, "--platform", platform]
        command += ["--dest", str(folder), *wanted]
        subprocess.run(command, check=True)  # noqa: S603  # our own lock


def of_lock(lock: Path, fetched: Path) -> list[Path]:
    """Return those of the fetched wheels that a lock pins."""
    pinned = {(pin.name, pin.version) for pin in pins(lock)}
    named = {wheel: tuple(wheel.name.split("-")[:2]) for wheel in sorted(fetched.glob("*.whl"))}
    return [wheel for wheel, (name, version) in named.items() if (name.lower().replace("_", "-"), version) in pinned]


def own_pins(wheels: Iterable[Path]) -> str:
    """Return the lock's lines for our own wheels."""
    lines = []
    for wheel in wheels:
        name = wheel.name.split("-")[0].replace("_", "-")
        lines.append(f"{name}=={version_of(wheel)} \\\n    --hash=sha256:{sbom.sha256(wheel)}\n")
    return "".join(lines)


def pack(folder: Path, archive: Path, inside: str) -> None:
    """Pack a folder's files reproducibly: in order, without times and owners."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,  # wheels are compressed already
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for file in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(f"{inside}/{file.name}")
            entry.size, entry.mode = file.stat().st_size, MODE
            with file.open("rb") as content:
                tar.addfile(entry, content)


def build(distribution: Distribution, fetched: Path, dist: Path, *, architecture: str) -> Path:
    """Make the archive with its bill of materials and hash; return its path."""
    wheels = distribution.wheels(dist)
    version = version_of(distribution.wheel(dist))
    whole = f"{distribution.name}-{version}-linux-{architecture}"
    archive = dist / f"{whole}.tar.gz"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for wheel in [*of_lock(distribution.lock, fetched), *wheels]:
            shutil.copy(wheel, folder)
        lock = distribution.lock.read_text(encoding="utf-8") + own_pins(wheels)
        (folder / "requirements.txt").write_text(lock, encoding="utf-8")
        pack(folder, archive, whole)
    sbom.write(archive, distribution, version)
    return archive


def main() -> None:
    """Read the arguments and make the wheelhouses."""
    parser = argparse.ArgumentParser(description="Make the wheelhouse of each distribution.")
    parser.add_argument("distributions", type=Path, nargs="+")
    parser.add_argument("--architecture", required=True, choices=sorted(PLATFORMS))
    parser.add_argument("--pythons", default=",".join(PYTHONS), help="which Pythons the hosts may have")
    parser.add_argument(
        "--dist", type=Path, default=Path("dist"), help="where our own wheels are, and the archive goes"
    )
    options = parser.parse_args()
    found = [Distribution.of(folder) for folder in options.distributions]
    with tempfile.TemporaryDirectory() as scratch:
        fetched, platform = Path(scratch), PLATFORMS[options.architecture]
        fetch([one.lock for one in found], fetched, platform=platform, pythons=options.pythons.split(","))
        for one in found:
            print(build(one, fetched, options.dist, architecture=options.architecture))  # noqa: T201  # what it made


if __name__ == "__main__":
    main()
