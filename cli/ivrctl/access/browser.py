"""Login in a browser: authorization code with PKCE, received on a port of loopback (RFC 8252, RFC 7636).

Owns the request, the one answer that is taken, and its checks: path, state, issuer. The code goes to the token endpoint
with its verifier, which is on this machine alone.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from ivrctl.access.grants import Token, discovered, endpoint, granted
from ivrctl.errors import AuthError, UsageError
from ivrctl.profiles import Profile

PATH: Final = "/callback"

TICK_S: Final = 0.5
"""How often the wait for the browser looks at the time."""

DONE: Final = (
    b"<!doctype html><meta charset=utf-8><title>ivrctl</title><p>You may close this page and go back to the terminal."
)


def login(profile: Profile, *, timeout_s: float, show: Callable[[str], None]) -> Token:
    """Have somebody sign in at the URL that `show` is given; raises `AuthError` if that does not come about."""
    document = discovered(profile)
    where = endpoint(document, "authorization_endpoint", profile)
    if "S256" not in document.get("code_challenge_methods_supported", ["S256"]):
        raise AuthError(f"{profile.issuer} does not do PKCE with S256", remedy="choose another `login` in the profile")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _Receiver(("127.0.0.1", 0)) as receiver:
        redirect = f"http://127.0.0.1:{receiver.server_port}{PATH}"
        show(_request(where, profile, redirect=redirect, state=state, verifier=verifier))
        answer = receiver.wait(timeout_s)
    code = _code(answer, state, profile)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    return granted(profile, form)


def _request(where: str, profile: Profile, *, redirect: str, state: str, verifier: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": profile.client_id,
        "redirect_uri": redirect,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"scope": profile.scopes} if profile.scopes else {}),
        **({"audience": profile.audience} if profile.audience else {}),
    }
    return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"


def _code(answer: dict[str, str], state: str, profile: Profile) -> str:
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise AuthError("the browser came back with another state", remedy="begin anew: it was not this login's answer")
    if answer.get("iss", profile.issuer).rstrip("/") != profile.issuer:
        raise AuthError("the answer is of another issuer", remedy="begin anew, and close other sign-in pages")
    if "error" in answer:
        raise AuthError(f"the issuer refuses: {answer.get('error_description') or answer['error']}")
    if "code" not in answer:
        raise AuthError("the browser came back without a code", remedy="begin anew")
    return answer["code"]


class _Receiver(HTTPServer):
    """Listens until the browser comes back, and takes nothing else: other paths get 404."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.timeout = TICK_S
        self.answer: dict[str, str] | None = None

    def wait(self, timeout_s: float) -> dict[str, str]:
        """Return the answer's parameters."""
        until_s = time.monotonic() + timeout_s
        while self.answer is None:
            if time.monotonic() > until_s:
                raise UsageError("nobody signed in", remedy="begin anew; --timeout 10m waits longer")
            self.handle_request()
        return self.answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a connection that was cut."""


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver
    timeout = 5  # a browser that opens a connection ahead of time must not keep the others waiting

    def do_GET(self) -> None:  # the name that http.server calls
        url = urlsplit(self.path)
        if url.path != PATH:
            self.send_error(404)
            return
        self.server.answer = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(DONE)))
        self.end_headers()
        self.wfile.write(DONE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Log nothing: the path has the code in it."""
