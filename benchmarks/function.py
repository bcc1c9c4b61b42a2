"""A Lambda function in a process of its own: called with an event, it tells its answer and the CPU that took.

Owns both ends of the pipe: `Function` here, `main` over there. The process's CPU time is counted (all its threads, not
its children), so neither waiting for DynamoDB nor the benchmark's own work is in the figure.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
OURS: Final = ROOT / "functions" / "list_runtimes"
BASELINE: Final = ROOT / "benchmarks" / "baselines" / "powertools_resource"


@dataclass(frozen=True, slots=True)
class Called:
    """One invocation: the proxy response, and the CPU of the handler from event to response."""

    response: dict[str, Any]
    cpu_ms: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The listed rows."""
        if self.response["statusCode"] != 200:
            raise RuntimeError(f"the function answered {self.response}")
        found: list[dict[str, Any]] = json.loads(self.response["body"])
        return found


class Context:
    """What Powertools reads of a LambdaContext."""

    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:bench"
    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


class Function:
    """A function that waits in its process for events."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, event: Mapping[str, Any]) -> Called:
        """Invoke the handler."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the function was started without pipes")
        stdin.write(json.dumps(event) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError("the function's process ended: see above")
        answer = json.loads(line)
        return Called(answer["response"], answer["cpu_ms"])


@contextmanager
def started(code: Path, environment: Mapping[str, str]) -> Iterator[Function]:
    """Start the function whose app.py lies in `code`."""
    command = [sys.executable, "-m", "benchmarks.function", str(code)]
    process = subprocess.Popen(  # noqa: S603  # this very module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **environment}
    )
    try:
        yield Function(process)
    finally:
        process.terminate()
        process.wait(10)


def _load(code: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("app", code / "app.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{code} has no app.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["app"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer events, one to a line; what the function itself prints (logs, metrics) is written, and lost."""
    with os.fdopen(os.dup(1), "w") as answers, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        handler = _load(Path(sys.argv[1])).lambda_handler
        for line in sys.stdin:
            event, context = json.loads(line), Context()
            begun_ns = time.process_time_ns()
            response = handler(event, context)
            cpu_ms = (time.process_time_ns() - begun_ns) / 1e6
            json.dump({"response": response, "cpu_ms": cpu_ms}, answers)
            answers.write("\n")
            answers.flush()


if __name__ == "__main__":
    main()
