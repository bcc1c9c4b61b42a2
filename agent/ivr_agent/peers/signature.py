"""Signatures between the agents of a site: HMAC-SHA256 under the site's shared secret.

Owns what is signed and when a signature is good. It covers method, path, body, addressee (node and session), time and
nonce, so a request can be neither altered nor redirected nor repeated. Called by `peers` and `control`.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ivr_agent.aws import Clock
from ivr_runtimes.errors import IvrRuntimesError

SCHEME: Final = "ivr-agent-1"
"""Separates these signatures from any other use of the secret."""

TOLERANCE_S: Final = 30.0
"""How far a request's time may be from AWS's as we know it (clocks and transit); nonces are kept as long."""

MAX_NONCES: Final = 200_000
"""Nonces remembered at most: some 3,000 requests a second, more than any engine takes, in 30 MB at worst.

Only holders of the secret can fill this; then requests are refused, not let through.
"""

HEADERS: Final = ("X-Ivr-Node", "X-Ivr-Session", "X-Ivr-Time", "X-Ivr-Nonce", "X-Ivr-Signature")
NODE, SESSION, TIME, NONCE, SIGNATURE = HEADERS


class BadSignatureError(IvrRuntimesError):
    """The request is not proven to come from a peer, to be recent and to be no repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is signed, besides time and nonce. `node` and `session` name the addressee."""

    method: str
    path: str
    body: bytes
    node: str
    session: str


class Signer:
    """Signs and verifies under one secret. One per agent: it remembers the nonces it has seen."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self._secret = secret.encode()
        self._clock = clock
        self._nonces: OrderedDict[str, float] = OrderedDict()

    def sign(self, request: Request) -> dict[str, str]:
        """Return the headers that make the request good."""
        time, nonce = f"{self._clock.now_s():.3f}", secrets.token_hex(16)
        signature = self._signature(request, time, nonce)
        return {
            NODE: request.node,
            SESSION: request.session,
            TIME: time,
            NONCE: nonce,
            SIGNATURE: signature,
        }

    def verify(self, request: Request, headers: Mapping[str, str]) -> None:
        """Check a request against its headers; raises `BadSignatureError` that says which check failed."""
        time, nonce = headers.get(TIME, ""), headers.get(NONCE, "")
        expected = self._signature(request, time, nonce)
        if not hmac.compare_digest(expected.encode(), _raw(headers.get(SIGNATURE, ""))):
            raise BadSignatureError("the signature does not fit")
        if abs(float(time) - self._clock.now_s()) > TOLERANCE_S:  # `sign` wrote it, so it is a number
            raise BadSignatureError(f"the time is off by more than {TOLERANCE_S:.0f} s")
        self._remember(nonce)

    def _signature(self, request: Request, time: str, nonce: str) -> str:
        parts = (
            SCHEME,
            request.method,
            request.path,
            hashlib.sha256(request.body).hexdigest(),
            request.node,
            request.session,
            time,
            nonce,
        )
        return hmac.new(self._secret, _raw("\n".join(parts)), hashlib.sha256).hexdigest()

    def _remember(self, nonce: str) -> None:
        now_s = self._clock.monotonic()
        while self._nonces and next(iter(self._nonces.values())) < now_s - 2 * TOLERANCE_S:
            self._nonces.popitem(last=False)
        if nonce in self._nonces:
            raise BadSignatureError("the nonce was used before")
        if len(self._nonces) >= MAX_NONCES:
            raise BadSignatureError("too many requests to remember")
        self._nonces[nonce] = now_s


def _raw(text: str) -> bytes:
    """Return a header's bytes: aiohttp keeps undecodable ones as lone surrogates."""
    return text.encode(errors="surrogateescape")
