"""The built functions under Lambda's real runtime interface: aws-lambda-rie of the SAM CLI, and awslambdaric."""

import http.client
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from emulators import ROOT, free_port

PYTHON: Final = ROOT / ".venv-lambda" / "bin" / "python"
INVOCATIONS: Final = "/2015-03-31/functions/function/invocations"
UP_WITHIN_S: Final = 20.0


def machine() -> str:
    """Return this machine's processor by the name that SAM and Lambda give it."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def emulator(folder: Path) -> Path:
    """Return aws-lambda-rie for this processor, made executable: in the SAM CLI's wheel it is not."""
    program = folder / "aws-lambda-rie"
    if program.exists():
        return program  # in use already
    (found,) = ROOT.glob(f".venv-sam/lib/python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine()}")
    shutil.copy(found, program)
    program.chmod(0o755)
    return program


@contextmanager
def invocable(build: Path, function: str, environment: Mapping[str, str], folder: Path) -> Iterator[int]:
    """Run a built function with the built layer and nothing else to import; yield the port that takes its events."""
    if not PYTHON.exists():
        pytest.skip("Lambda's runtime interface is not installed: run `make sam` (needs Python 3.13)")
    port, api = free_port(), free_port()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{api}"]
    command = [str(emulator(folder)), *addresses, str(PYTHON), "-m", "awslambdaric", "app.lambda_handler"]
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(build / "CoreLayer" / "python")}
    own |= {"PYTHONDONTWRITEBYTECODE": "1", "LAMBDA_TASK_ROOT": str(build / function), "HOME": str(folder)}
    own |= {"AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    with (folder / f"{function}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=build / function, env={**environment, **own}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def invoke(port: int, event: object) -> Any:
    """Send one event; return what the function answered."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", INVOCATIONS, json.dumps(event))
        return json.loads(connection.getresponse().read())


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise RuntimeError(f"aws-lambda-rie ended with {process.returncode}")
        with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.connect()
            return
        time.sleep(0.05)
    raise RuntimeError("aws-lambda-rie does not listen")
