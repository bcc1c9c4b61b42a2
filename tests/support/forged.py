"""AWS forged over loopback HTTP: answers with the headers and the errors that no emulator gives, and sources of
credentials that come when a test lets them.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Any
    body: str

    @property
    def key(self) -> str:
        """The access key that signed it."""
        return str(self.headers.get("Authorization", "")).partition("Credential=")[2].partition("/")[0]

    @property
    def operation(self) -> str:
        """The operation of DynamoDB or SQS, as the SDK names it."""
        return str(self.headers.get("X-Amz-Target", "")).rpartition(".")[2]


class Answer(NamedTuple):
    """What is answered; nothing else goes out, no `Date` either. A header may come twice."""

    body: str = "{}"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@contextmanager
def served(answer: Callable[[Asked], Answer], *, port: int = 0) -> Iterator[str]:
    """Serve answers on loopback; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            reply = answer(Asked(self.command, self.path, self.headers, body))
            self.send_response_only(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(reply.body.encode())))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body.encode())

        do_GET = do_POST = do_PUT = answer  # noqa: N815  # the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ending(in_s: float = 6 * 3600) -> str:
    """Return an instant as sources of credentials write it."""
    return (datetime.now(UTC) + timedelta(seconds=in_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def role(key: str, *, ends_in_s: float = 6 * 3600) -> dict[str, str]:
    """Return a role's credentials as the metadata services tell them."""
    parts = {"AccessKeyId": key, "SecretAccessKey": "planted-secret", "Token": "planted-token"}
    return {**parts, "Expiration": ending(ends_in_s), "Code": "Success", "Type": "AWS-HMAC"}


def instance_metadata(key: str) -> Callable[[Asked], Answer]:
    """Answer as EC2's instance metadata service, version 2, does for a host with a role."""

    def answer(asked: Asked) -> Answer:
        if asked.method == "PUT":
            return Answer("session-token")
        return Answer("the-role" if asked.path.endswith("/security-credentials/") else json.dumps(role(key)))

    return answer


def container(key: str) -> Callable[[Asked], Answer]:
    """Answer as the credentials endpoint of a container does."""
    return lambda _: Answer(json.dumps(role(key)))


def web_identity(key: str) -> str:
    """Return the answer of STS to AssumeRoleWithWebIdentity."""
    return f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
      <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
      <SecretAccessKey>planted-secret</SecretAccessKey><SessionToken>planted-token</SessionToken>
      <Expiration>{ending()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
    </AssumeRoleWithWebIdentityResponse>"""
