"""Child processes of the embedded stack: each in a session of its own, with a log file; it ends with its parent.

Owns what they inherit of our environment, their start and their end. Never restarts anything.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
"""The only variables that children inherit: a user's AWS_PROFILE or HTTP_PROXY must not reach them."""

LEASH: Final = Path(__file__).with_name("leash.py")


@dataclass(slots=True)
class Child:
    """A running (or ended) process."""

    name: str
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """True until the process was seen to end."""
        return self.process.returncode is None

    async def wait(self) -> int:
        """Wait until the process ends; return its exit code (negative: the signal that ended it)."""
        return await self.process.wait()

    async def stop(self, *, grace_s: float) -> None:
        """Ask the process to end; after `grace_s`, kill what is left of it and its group."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), grace_s)
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """Kill the process's group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


async def spawn(
    name: str,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a program (`argv[0]` is an absolute path) that appends its output to `log`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=inherited() | dict(environment),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    return Child(name, process)


def inherited() -> dict[str, str]:
    """Return the part of our environment that children inherit."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def ending(exit_code: int) -> str:
    """Say how a process ended."""
    return f"was ended by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"
