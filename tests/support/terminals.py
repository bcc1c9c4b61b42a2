"""A program in a terminal: started on a pseudo-terminal of a given size, typed to, read from."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

PATIENCE_S: Final = 20.0

_STEERING: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """The user's side of a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], side: int) -> None:
        self.process = process
        self._side = side
        self.raw = ""

    @property
    def text(self) -> str:
        """All that was shown so far, without colours and cursor movements."""
        return _STEERING.sub("", self.raw)

    def until(self, shown: str, *, within_s: float = PATIENCE_S) -> str:
        """Read until a text is shown; fail if the program ends or takes too long."""
        deadline_s = time.monotonic() + within_s
        while shown not in self.text:
            if not self._read(deadline_s):
                raise AssertionError(f"{shown!r} was not shown, but:\n{self.text}")
        return self.text

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._side, keys.encode())

    def ended(self, *, within_s: float = PATIENCE_S) -> int:
        """Read to the end; return the exit code."""
        deadline_s = time.monotonic() + within_s
        while self._read(deadline_s):
            pass
        return self.process.wait(max(0.1, deadline_s - time.monotonic()))

    def _read(self, deadline_s: float) -> bool:
        ready, _, _ = select.select([self._side], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            return False
        try:
            read = os.read(self._side, 65536)
        except OSError:  # the program has closed its side
            return False
        self.raw += read.decode("utf-8", "replace")
        return bool(read)


@contextmanager
def terminal(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    columns: int = 120,
    lines: int = 40,
    piped: bool = False,
) -> Iterator[Terminal]:
    """Run a Python module with arguments in a terminal; with `piped`, its stdout is no terminal but its stderr is."""
    user, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=program,
        stdout=subprocess.DEVNULL if piped else program,
        stderr=program,
        env={"TERM": "xterm-256color", **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that Ctrl-C reaches it
    )
    os.close(program)
    try:
        yield Terminal(process, user)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(user)
