"""The bridge to FreeSWITCH and the scripted FreeSWITCH as processes, as their users start them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from emulators import ROOT

SAMPLES: Final = ROOT / "engines" / "freeswitch"


@contextmanager
def program(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of the project until the block ends; its log is what it writes to stderr."""
    inherited = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")}
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, env=inherited | environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def bridge(esl_port: int, *, listen: str, agent: str, token: str) -> Iterator[subprocess.Popen[str]]:
    """Run the bridge with the sample settings; only addresses and secrets are the test's."""
    own = {"LISTEN": listen, "AGENT": agent, "TOKEN": token, "PORT": str(esl_port), "PASSWORD": "change-me"}
    environment = {f"IVR_FREESWITCH_{name}": value for name, value in own.items()}
    with program("ivr_freeswitch", "--config", str(SAMPLES / "h6.toml"), **environment) as process:
        yield process
