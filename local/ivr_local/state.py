"""The state directory of a stack: logs, the issuer's key, and stack.json, which tells tests and people what runs where.

Owns these files and the temporary directory of the sockets. Emptied at every start; readable by its owner alone.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ivr_runtimes.errors import SettingsError

MARKER: Final = "run-directory"
RUN_PREFIX: Final = "ivr-local-"
LONGEST_TEMPORARY: Final = 60
"""A longer path of the temporary directory leaves no room for a socket's path (108 bytes, unix(7)): /tmp is used."""

NO_STACK: Final = "no stack runs there; start one with `make run`, or name the right one with --port or --state-dir"


def default_path(port: int) -> Path:
    """Return the default state directory of the stack on a port."""
    return (Path(".local") / str(port)).absolute()


@dataclass(frozen=True, slots=True)
class StateDir:
    """An opened state directory. `sockets` is a temporary directory beside it."""

    path: Path
    sockets: Path

    @property
    def logs(self) -> Path:
        """Where every process's log is."""
        return self.path / "logs"

    def write(self, stack: Mapping[str, Any]) -> None:
        """Replace stack.json; a reader sees either the old or the new one."""
        self.write_private("stack.json.new", json.dumps(stack, indent=2).encode() + b"\n")
        (self.path / "stack.json.new").replace(self.path / "stack.json")

    def write_private(self, name: str, content: bytes) -> None:
        """Write a file that its owner alone may read."""
        with open(self.path / name, "wb", opener=_private) as file:  # Path.open takes no opener
            file.write(content)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[StateDir]:
    """Create or empty the directory and lock it; raises `SettingsError` if that is not possible."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; name another directory with --state-dir") from None
    try:
        _hold(lock, path)
        try:
            yield _fresh(path)
        finally:
            _drop_run_directory(path)
    finally:
        os.close(lock)


def running(path: Path) -> dict[str, Any]:
    """Return stack.json of the stack that runs there; raises `SettingsError` when none does."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise SettingsError(f"{path}: {NO_STACK}") from None
    try:
        return _published(path, lock)
    finally:
        os.close(lock)


def _published(path: Path, lock: int) -> dict[str, Any]:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        raise SettingsError(f"{path}: {NO_STACK}")
    try:
        stack: dict[str, Any] = json.loads((path / "stack.json").read_bytes())
    except FileNotFoundError:
        raise SettingsError(f"{path}: the stack is still starting; wait until it says that it is ready") from None
    return stack


def _hold(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SettingsError(f"{path}: another stack runs there; name another directory with --state-dir") from None


def _fresh(path: Path) -> StateDir:
    known = {"logs", "issuer.pem", "stack.json", "stack.json.new", "sam-env.json", MARKER}
    if foreign := sorted(entry.name for entry in path.iterdir() if entry.name not in known):
        raise SettingsError(f"{path}: holds {foreign[0]}, which is not ours; name another directory with --state-dir")
    _drop_run_directory(path)
    shutil.rmtree(path / "logs", ignore_errors=True)
    for name in known - {"logs"}:
        (path / name).unlink(missing_ok=True)
    path.chmod(0o700)
    (path / "logs").mkdir(mode=0o700)
    base = tempfile.gettempdir()
    short = base if len(base) <= LONGEST_TEMPORARY else "/tmp"  # noqa: S108  # mkdtemp makes it safe
    sockets = Path(tempfile.mkdtemp(prefix=RUN_PREFIX, dir=short))
    (path / MARKER).write_text(str(sockets))
    return StateDir(path, sockets)


def _drop_run_directory(path: Path) -> None:
    """Remove the temporary directory, also that of a run that was killed."""
    marker = path / MARKER
    if marker.is_file():
        left = Path(marker.read_text())
        if left.name.startswith(RUN_PREFIX) and left.is_dir() and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
        marker.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
