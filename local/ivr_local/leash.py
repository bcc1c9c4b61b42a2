"""Puts a child process on a leash, then becomes it: `python leash.py PARENT_PID PROGRAM ARGUMENT…`.

On Linux the kernel kills the child when its parent dies, even by SIGKILL, so nothing outlives the embedded stack.
A script of its own rather than a hook between fork and exec, where a process with threads may run next to nothing.
Run by `processes`, with no site packages; must stay free of imports that take time.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Set the leash and exec; exits at once when the parent has died meanwhile."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # arguments come from the supervisor, no shell is involved


if __name__ == "__main__":
    main()
