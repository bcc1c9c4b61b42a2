"""`make build`, run once for each processor that a test asks for; once for several runs of pytest where IVR_TEST_BUILDS
names a folder that they share.
"""

import fcntl
import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulators import ROOT


@functools.cache
def built(architecture: str, again: int = 0) -> Path:
    """Build functions and layer; return the folder. `again` asks for one more build of the same, from nothing."""
    if not (ROOT / ".venv-sam" / "bin" / "sam").exists():
        pytest.skip("SAM is not installed: run `make sam` (needs Python 3.13)")
    shared = os.environ.get("IVR_TEST_BUILDS")
    folder = Path(shared or tempfile.mkdtemp(prefix="ivr-builds-")) / f"{architecture}-{again}"
    with _alone(folder.parent):
        if not folder.exists():
            _build(folder, architecture)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other run builds: it may be the same build, and all of them fetch packages into one folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(folder: Path, architecture: str) -> None:
    # Uncached, or SAM would leave the packages it fetched in the project's folder.
    made = folder.with_name(f"{folder.name}-unfinished")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AWS_"))}
    command = ["make", "build", f"BUILD_DIR={made}", "BUILD_ARGS=--config-env prod", f"ARCHITECTURE={architecture}"]
    ran = subprocess.run(  # make is on every developer's PATH
        command, cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made.rename(folder)
