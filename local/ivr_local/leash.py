"""Makes a process end with its parent, then becomes the program: `python leash.py PARENT_PID PROGRAM ARGUMENT…`.

On Linux the kernel kills the child when its parent dies, even by SIGKILL, so nothing outlives the embedded stack. It is
a script, not a hook between fork and exec: there, a process with threads can safely run hardly any code. Run by
`processes`, without site packages; it must not import anything slow.
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Ask the kernel for the signal, then exec; exit at once if the parent has died meanwhile."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # arguments come from the supervisor, no shell is involved


if __name__ == "__main__":
    main()
