"""What a function does when it is loaded: nothing that ages, since SnapStart keeps the loaded function for days."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from emulators import ROOT, expanded

pytestmark = pytest.mark.e2e

LOAD = """
import datetime, json, sys, time
asked = []
def spied(real):
    def clock():
        asked.append(sys._getframe(1).f_globals["__name__"])
        return real()
    return clock
for name in ("time", "monotonic", "time_ns", "monotonic_ns"):
    setattr(time, name, spied(getattr(time, name)))
class Spied(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        asked.append(sys._getframe(1).f_globals["__name__"])
        return super().now(tz)
datetime.datetime = Spied
import app
print(json.dumps([module for module in asked if module == "app" or module.startswith("ivr_runtimes")]))
if len(sys.argv) > 1:
    class Context:
        function_name = invoked_function_arn = aws_request_id = function_version = "f"
        memory_limit_in_mb = 128
    app.lambda_handler(json.loads(sys.argv[1]), Context())
"""


class Aws(HTTPServer):
    """Gives credentials, as where a function with SnapStart runs, and refuses all else; notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.lifetime_s = 3600.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Aws

    def do_GET(self) -> None:
        self.server.asked.append("credentials")
        expires = datetime.now(UTC) + timedelta(seconds=self.server.lifetime_s)
        given = {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": expires.isoformat()}
        self._answer(200, given)

    def do_POST(self) -> None:
        self.server.asked.append("a call")
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(400, {"__type": "ValidationException"})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with Aws() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def load(function: Any, aws: Aws, *event: str) -> list[str]:
    """Load a function in a process of its own, then perhaps invoke it; return which of our modules asked a clock."""
    led_here = {name: aws.url for name in function.environment if name.startswith("AWS_ENDPOINT_URL_")}
    own = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/credentials", "AWS_REGION": "eu-central-1"}
    own |= {"AWS_DEFAULT_REGION": "eu-central-1", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "layers/core")}
    command = [sys.executable, "-c", LOAD, *event]
    environment = {**function.environment, **led_here, **own}
    loaded = subprocess.run(
        command, cwd=function.code_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    asked: list[str] = json.loads(loaded.stdout.splitlines()[0])
    return asked


@pytest.mark.parametrize("function", expanded().functions, ids=lambda function: function.logical_id)
def test_loading_a_function_asks_no_clock_and_no_table(function: Any, aws: Aws) -> None:
    assert load(function, aws) == []
    assert "a call" not in aws.asked


def test_credentials_that_were_loaded_long_ago_are_fetched_anew_before_they_are_used(aws: Aws) -> None:
    """They are the one thing with an end that the SDK takes at load; here they are at their end at once."""
    aws.lifetime_s = 1.0
    (function,) = [one for one in expanded().functions if "List" in one.logical_id]
    load(function, aws, (ROOT / "events" / "list.json").read_text(encoding="utf-8"))
    first_call = aws.asked.index("a call")
    assert aws.asked[:first_call].count("credentials") >= 2
