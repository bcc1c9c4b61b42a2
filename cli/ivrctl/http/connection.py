"""A connection to one server, kept for the next request; for one thread.

Owns proxies, TLS, compression, the largest answer and the time limits. A request on a kept connection that the server
has closed meanwhile is sent once more on a new one: every request of ours may be repeated, stops by their keys.
"""

import os
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ivrctl.errors import FailedError, UnavailableError
from ivrctl.http.answer import Answer

TIMEOUT_S: Final = 35.0
"""For each read and write. API Gateway answers within 30 s, whatever happens behind it."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest body, decompressed: ten times what the API sends at most."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class UnansweredError(UnavailableError):
    """No answer came. `sent` tells whether the request may have reached the server."""

    def __init__(self, detail: str, *, sent: bool, remedy: str = "") -> None:
        super().__init__(detail, remedy=remedy)
        self.sent = sent


class Connection:
    """A connection to the server of a URL; made when it is first needed."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._server = urlsplit(url)
        self._timeout_s = timeout_s
        self._kept: HTTPConnection | None = None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send a request and return its answer, whatever its status; raises `UnansweredError`."""
        kept = self._kept is not None
        try:
            return self._ask(method, target, headers, body)
        except UnansweredError:
            if not kept:
                raise
            return self._ask(method, target, headers, body)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        connection = self._kept or self._opened()
        self._kept = None
        try:
            connection.request(method, target, body=body, headers={"Accept-Encoding": "gzip", **headers})
            response = connection.getresponse()
            raw = response.read(MAX_BYTES + 1)
        except (OSError, HTTPException) as error:
            connection.close()
            raise UnansweredError(f"{self._server.netloc} gave no answer: {_told(error)}", sent=True) from None
        if response.will_close:
            connection.close()
        else:
            self._kept = connection
        return Answer(response.status, _headers(response), _plain(raw, response))

    def _opened(self) -> HTTPConnection:
        connection = _made(self._server, self._timeout_s)
        try:
            connection.connect()
        except (OSError, HTTPException, ValueError) as error:
            remedy = "start the local stack with `make run`, or name another API: --url, --profile"
            raise UnansweredError(
                f"{self._server.netloc} cannot be reached: {_told(error)}",
                sent=False,
                remedy=remedy if self._server.hostname in LOOPBACK else "`ivrctl doctor` looks step by step",
            ) from None
        return connection


def _made(server: SplitResult, timeout_s: float) -> HTTPConnection:
    host, port = server.hostname or "", server.port
    proxy = _proxy(server)
    if server.scheme == "http":
        if proxy is None:
            return HTTPConnection(host, port, timeout=timeout_s)
        raise UnavailableError(f"{server.netloc}: http goes through no proxy", remedy="unset the proxy, or use https")
    from http.client import HTTPSConnection  # noqa: PLC0415  # TLS takes its time to import

    if proxy is None:
        return HTTPSConnection(host, port, timeout=timeout_s)
    through = HTTPSConnection(proxy.hostname or "", proxy.port or 80, timeout=timeout_s)
    through.set_tunnel(host, port or 443, _proxy_login(proxy))
    return through


def _proxy(server: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment names for a server, as curl does; None for loopback."""
    if server.hostname in LOOPBACK or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # seldom needed

    proxies = getproxies()
    named = proxies.get(server.scheme) or proxies.get("all")
    if not named or proxy_bypass(server.hostname or ""):
        return None
    return urlsplit(named if "://" in named else f"http://{named}")


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    from base64 import b64encode  # noqa: PLC0415  # seldom needed
    from urllib.parse import unquote  # noqa: PLC0415  # seldom needed

    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(login.encode()).decode()}"}


def _headers(response: HTTPResponse) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in response.getheaders():
        joined[name.lower()] = f"{joined[name.lower()]}, {value}" if name.lower() in joined else value
    return joined


def _plain(raw: bytes, response: HTTPResponse) -> bytes:
    """Return the body decompressed; raises `FailedError` for one that is too large or broken."""
    if response.getheader("Content-Encoding", "").lower() == "gzip":
        import zlib  # noqa: PLC0415  # short answers come uncompressed

        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            raw = unpacking.decompress(raw, MAX_BYTES + 1)
        except zlib.error as error:
            raise FailedError(f"the answer's compression is broken: {error}") from None
    if len(raw) > MAX_BYTES:
        raise FailedError(f"the answer is larger than {MAX_BYTES} bytes", remedy="ask for less: --limit, a filter")
    return raw


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__
