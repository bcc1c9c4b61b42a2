"""`make wheelhouse`, run once, and bare virtual environments that are made from it without any index."""

import functools
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from emulators import ROOT
from runtime import machine

DISTRIBUTIONS: Final = sorted(path.parent for path in (ROOT / "distributions").glob("*/pyproject.toml"))


@functools.cache
def released() -> Path:
    """Build what is released, for this machine's processor; return the folder with the release files."""
    folder = scratch("release")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "wheelhouse", f"DIST={folder}", f"ARCHITECTURE={machine()}"]
    made = subprocess.run(  # make is on every developer's PATH
        command, cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=600, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@functools.cache
def wheelhouse(name: str) -> Path:
    """Unpack a distribution's wheelhouse; return its folder."""
    (archive,) = released().glob(f"{name}-*.tar.gz")
    into = scratch("wheelhouse")
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    return into / archive.name.removesuffix(".tar.gz")


@functools.cache
def installed(name: str) -> Path:
    """Install a distribution as docs/hosts.md says, outside the repository; return the virtual environment."""
    venv = scratch("host") / "venv"
    house = wheelhouse(name)
    bare(sys.executable, "-m", "venv", str(venv))
    lock = ["--no-index", "--find-links", str(house), "--require-hashes", "-r", str(house / "requirements.txt")]
    done = bare(str(venv / "bin" / "pip"), "install", "--quiet", *lock)
    assert done.returncode == 0, done.stderr
    return venv


def scratch(name: str) -> Path:
    """Make a folder outside the repository that every user may read, as a host's are."""
    folder = Path(tempfile.mkdtemp(prefix=f"ivr-{name}-"))
    folder.chmod(0o755)
    return folder


def bare(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program as on a host that knows nothing of the repository: elsewhere, and with no variable but its own."""
    own = {"PATH": os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}
    own |= {"HOME": "/nonexistent", "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run(
        command, cwd="/", env=own | environment, capture_output=True, text=True, timeout=300, check=False
    )
