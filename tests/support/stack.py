"""The embedded stack as its users meet it: started as a program, spoken to over HTTP, killed by signals."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jwt

from emulators import ROOT, free_port
from ivr_local import access
from ivr_local.emulator import ACCOUNT_ID, Endpoint

RESOURCE: Final = "/rest/v1/uc/ivrscript_runtimes"
READY_WITHIN_S: Final = 60.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


class Stack:
    """A running stack on `port`, with its state directory."""

    def __init__(self, port: int, state_dir: Path, config: Path) -> None:
        self.port = port
        self.state_dir = state_dir
        self.config: dict[str, Any] = tomllib.loads(config.read_text())

    @property
    def state(self) -> dict[str, Any]:
        """What the stack wrote about itself."""
        state: dict[str, Any] = json.loads((self.state_dir / "stack.json").read_text())
        return state

    @property
    def sam_variables(self) -> Path:
        """The file that `sam local invoke --env-vars` takes."""
        return self.state_dir / "sam-env.json"

    def credentials_of(self, principal: str) -> dict[str, str]:
        """Region and credentials of a role of the template."""
        region = {"AWS_REGION": self.state["region"], "AWS_DEFAULT_REGION": self.state["region"]}
        endpoint = Endpoint(int(self.state["endpoint_url"].rpartition(":")[2]))
        return access.credentials(endpoint, f"arn:aws:iam::{ACCOUNT_ID}:role/{principal}") | region

    @property
    def domains(self) -> list[str]:
        """The sample domains."""
        return [domain["name"] for domain in self.config["domains"]]

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str = "") -> Answer:
        """Send one request and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def client(self, domain: str, *, stop: bool, numbers: bool = False) -> dict[str, Any]:
        """Return the sample client of a domain that may list, and that may stop, or see numbers, only if so asked."""
        wanted = {"read", *(["stop"] if stop else []), *(["numbers"] if numbers else [])}
        for client in self.config["clients"]:
            if client["domain"] == domain and {scope.partition(":")[2] for scope in client["scopes"]} == wanted:
                found: dict[str, Any] = client
                return found
        raise LookupError(domain)

    def token(self, domain: str, *, stop: bool = True, numbers: bool = False) -> str:
        """Get an access token as a client would."""
        import base64  # noqa: PLC0415  # one use

        client = self.client(domain, stop=stop, numbers=numbers)
        basic = base64.b64encode(f"{client['id']}:{client['secret']}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = self.request("POST", "/oauth2/token", headers, "grant_type=client_credentials")
        assert answer.status == 200, answer.body
        assert answer.json()["token_type"] == "Bearer"
        token: str = answer.json()["access_token"]
        return token

    def forge(self, token: str, *, key: str | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        """Return a token like the given one with other claims (None removes one), signed with the issuer's own key."""
        payload = jwt.decode(token, options={"verify_signature": False})
        payload = {name: value for name, value in {**payload, **claims}.items() if value is not None}
        headers = {"kid": jwt.get_unverified_header(token)["kid"]}
        signing_key = key if key is not None else (self.state_dir / "issuer.pem").read_text()
        return jwt.encode(payload, signing_key, algorithm=algorithm, headers=headers)

    def listing(self, token: str, **parameters: str) -> Answer:
        """Send a list request."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        return self.request("GET", RESOURCE + ("?" + query if query else ""), {"Authorization": f"Bearer {token}"})

    def rows(self, token: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the listed rows."""
        answer = self.listing(token, **parameters)
        assert answer.status == 200, answer.body
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def stop(self, token: str, runtime_id: str, *, key: str | None = None) -> Answer:
        """Send a stop request."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return self.request("DELETE", f"{RESOURCE}/{runtime_id}", headers)

    def node(self, name: str) -> dict[str, Any]:
        """Return what the stack says of one of its nodes."""
        return next(node for node in self.state["nodes"] if node["node"] == name)


def eventually(check: Callable[[], Any], *, within_s: float, every_s: float = 0.1) -> Any:
    """Return the check's first true result; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        if result := check():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {check.__doc__ or check}")
        time.sleep(every_s)


def start(command: list[str], *, environment: Mapping[str, str] | None = None, log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that only the signals meant for it reach it."""
    # `make test ARGS=...` hands its own flags and variables to every make below it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(process: subprocess.Popen[bytes], stack: Stack, log: Path) -> None:
    """Wait for /healthz to answer 200; fail with the program's output if it ends before."""

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the stack ended with {process.returncode}:\n{log.read_text()}")
        with suppress(OSError, http.client.HTTPException):
            return stack.request("GET", "/healthz").status == 200
        return False

    eventually(ready, within_s=READY_WITHIN_S)


@contextmanager
def running_stack(
    folder: Path,
    *arguments: str,
    config: Path = ROOT / "samplesconfig.toml",
    environment: Mapping[str, str] | None = None,
    permissions: bool = True,
) -> Iterator[Stack]:
    """Run `python -m ivr_local` on a free port until the block ends; `permissions`: the template's are enforced."""
    port, log = free_port(), folder / "stack.log"
    stack = Stack(port, folder / "state", config)
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(stack.state_dir)]
    if permissions:
        command.append("--iam")
    process = start([*command, "--config", str(config), *arguments], environment=environment, log=log)
    try:
        wait_until_ready(process, stack, log)
        yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
