"""The conformance kit as a program, as somebody who writes an engine runs it."""

import json
import os
import subprocess
import sys
from typing import Any, Final

TOKEN: Final = "node-token"


def kit(*arguments: str, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    """Run the kit with --json; return its exit code and what it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "ivr_engine.conformance", "--json", *arguments],
        env={**os.environ, "IVR_AGENT_ENGINE_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout)


def results(told: dict[str, Any]) -> dict[str, str]:
    """Return what became of each check."""
    return {check["check"]: check["result"] for check in told["checks"]}
