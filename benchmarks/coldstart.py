"""bench-cold: how long the list function takes to start, under Lambda's own runtime interface.

aws-lambda-rie (it comes with the SAM CLI) runs awslambdaric, which imports the function: as Lambda does, and its
`INIT REPORT` line tells how long that took. Function and layer are those of `make build` for this machine's processor;
the baseline has a layer of its own, of the same versions, compiled the same way. Run by `make bench-cold`.
"""

import http.client
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from benchmarks import fleet, report
from benchmarks.function import BASELINE, ROOT

BUILD: Final = ROOT / ".local" / "build"
LAYER: Final = BUILD / "CoreLayer" / "python"
BASELINE_LAYER: Final = ROOT / ".local" / "baseline" / "python"
PYTHON: Final = ROOT / ".venv-lambda" / "bin" / "python"
RUNS: Final = 9
INVOCATIONS: Final = "/2015-03-31/functions/function/invocations"
"""Where aws-lambda-rie takes events. The first one starts the function."""

INIT_WITHIN_S: Final = 20.0


def emulator(folder: Path) -> Path:
    """Return aws-lambda-rie for this processor, made executable: in the SAM CLI's wheel it is not."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    (found,) = ROOT.glob(f".venv-sam/lib/python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}")
    program = folder / "aws-lambda-rie"
    shutil.copy(found, program)
    program.chmod(0o755)
    return program


def baseline(folder: Path) -> Path:
    """Return the baseline's code, compiled as `make build` compiles ours."""
    code = folder / "powertools_resource"
    shutil.copytree(BASELINE, code, ignore=shutil.ignore_patterns("__pycache__"))
    command = [str(PYTHON), "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", str(code)]
    subprocess.run(command, check=True)  # noqa: S603  # the pinned Python
    return code


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def init_ms(program: Path, code: Path, layer: Path = LAYER) -> float:
    """Start a function once, with that layer; return what its INIT REPORT says, in ms."""
    invoke, api = free_port(), free_port()
    addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{invoke}"]
    addresses += ["--runtime-api-address", f"127.0.0.1:{api}"]
    command = [str(program), *addresses, str(PYTHON), "-m", "awslambdaric", "app.lambda_handler"]
    environment = {
        **fleet.environment("http://127.0.0.1:9"),  # nothing is asked of it at init
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(layer),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(code),
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "STOP_QUEUE_URL_PREFIX": "https://sqs.eu-central-1.amazonaws.com/123456789012/bench-stop-",
    }
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=code, env=environment, stdout=log, stderr=log)  # noqa: S603  # ours
        try:
            _invoke(invoke)
        finally:
            process.terminate()
            process.wait(10)
        log.seek(0)
        said = log.read()
    found = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)", said)
    if found is None or "INIT RTDONE(status: success)" not in said:
        raise RuntimeError(f"the function did not start:\n{said}")
    return float(found[1])


def _invoke(port: int) -> None:
    """Send an event without a domain: the shortest way through the function, which touches no table."""
    deadline_s = time.monotonic() + INIT_WITHIN_S
    while time.monotonic() < deadline_s:
        with suppress(ConnectionError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as caller:
            caller.request("POST", INVOCATIONS, '{"requestContext": {}}')
            caller.getresponse().read()
            return
        time.sleep(0.02)
    raise RuntimeError("aws-lambda-rie does not listen")


def main() -> None:
    """Measure and tell."""
    if not PYTHON.exists() or not BUILD.exists():
        sys.exit("bench-cold needs the build and .venv-lambda: run `make bench-cold`")
    report.head("bench-cold: init in ms under aws-lambda-rie")
    with tempfile.TemporaryDirectory() as temporary:
        program, other = emulator(Path(temporary)), baseline(Path(temporary))
        medians = report.in_turn(
            {
                "list_runtimes": lambda: init_ms(program, BUILD / "ListRuntimesFunction"),
                "stop_runtime": lambda: init_ms(program, BUILD / "StopRuntimeFunction"),
                "powertools_resource": lambda: init_ms(program, other, BASELINE_LAYER),
            },
            runs=RUNS,
        )
    against = medians["powertools_resource"]
    report.tell(
        {
            "cold_init_vs_powertools_resource": round(medians["list_runtimes"] / against, 3),
            "cold_init_stop_vs_powertools_resource": round(medians["stop_runtime"] / against, 3),
            "cold_init_ms": round(medians["list_runtimes"], 1),
        }
    )


if __name__ == "__main__":
    main()
