"""What API Gateway asks of the embedded stack's token issuer, as a server of its own that may be out of reach."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from ivr_local.fleet import ClientConfig
from ivr_local.issuer import DISCOVERY_PATH, JWKS_PATH, Issuer


class _Server(ThreadingHTTPServer):
    def __init__(self, port: int, issuer: Issuer) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        self.documents = {DISCOVERY_PATH: issuer.discovery(), JWKS_PATH: issuer.jwks()}


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Publish the discovery document and the keys."""
        document = self.server.documents.get(self.path)
        self._answer(200 if document else 404, document or {})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def issuer_at(port: int, *clients: ClientConfig, audience: str) -> Issuer:
    """Return an issuer that will be found at that port of loopback."""
    return Issuer(url=f"http://127.0.0.1:{port}", audience=audience, clients={client.id: client for client in clients})


@contextmanager
def serving(issuer: Issuer) -> Iterator[None]:
    """Let the issuer answer."""
    with _Server(int(issuer.url.rpartition(":")[2]), issuer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()
