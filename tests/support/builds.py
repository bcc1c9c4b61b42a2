"""`make build`, run once for each processor that a test asks for."""

import functools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from emulators import ROOT


@functools.cache
def built(architecture: str, again: int = 0) -> Path:
    """Build functions and layer; return the folder. `again` asks for one more build of the same, from nothing."""
    if not (ROOT / ".venv-sam" / "bin" / "sam").exists():
        pytest.skip("SAM is not installed: run `make sam` (needs Python 3.13)")
    folder = Path(tempfile.mkdtemp(prefix=f"ivr-build-{architecture}-{again}-")) / "build"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AWS_"))}
    # Uncached, or SAM would leave the packages it fetched in the project's folder.
    command = ["make", "build", f"BUILD_DIR={folder}", "BUILD_ARGS=--config-env prod", f"ARCHITECTURE={architecture}"]
    made = subprocess.run(  # make is on every developer's PATH
        command, cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=170, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder
