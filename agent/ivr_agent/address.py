"""Addresses of the engine protocol: `unix:/path` or `http://127.0.0.1:PORT`.

Owns their grammar and the listening sockets made from them. A taken address is a clear error (`ListenError`).
"""

import errno
import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ivr_agent.exits import ListenError

MAX_UNIX_PATH: Final = 107
"""Bytes a Unix socket's path may have on Linux (unix(7): 108 with the final zero)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Either a Unix socket's `path` or a TCP `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def base_url(self) -> str:
        """The URL to send requests to; over a Unix socket the host is a mere placeholder."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return "http://engine" if self.path else f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else self.base_url


def parse(text: str) -> Address:
    """Read an address; raises `ValueError` that says what is wrong."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or len(os.fsencode(path)) > MAX_UNIX_PATH:
            raise ValueError(f"the socket's path must be absolute and at most {MAX_UNIX_PATH} bytes long")
        return Address(path=path)
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.port is None or url.path.strip("/") or url.query:
        raise ValueError("not of the form unix:/path or http://127.0.0.1:PORT")
    if not _is_loopback(url.hostname):
        raise ValueError("engine and agent talk over loopback only: use 127.0.0.1 or ::1")
    return Address(host=url.hostname, port=url.port)


def listen(address: Address) -> socket.socket:
    """Return a bound socket (not yet accepting); raises `ListenError`. A Unix socket is for its owner only."""
    return _listen_unix(address.path) if address.path else listen_tcp(address.host, address.port)


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket; port 0 takes any free one. Raises `ListenError`."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen()
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken by another process" if taken else error.strerror
        raise ListenError(f"cannot listen on {host} port {port}: {reason}") from None
    return bound


def _listen_unix(path: str) -> socket.socket:
    if _answers(path):
        raise ListenError(f"cannot listen on unix:{path}: another process listens there")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        Path(path).unlink(missing_ok=True)
        bound.bind(path)
        bound.listen()
    except OSError as error:
        bound.close()
        raise ListenError(f"cannot listen on unix:{path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return bound


def _answers(path: str) -> bool:
    """Tell a socket in use from one that a killed process left behind."""
    if not Path(path).is_socket():
        if Path(path).exists():
            raise ListenError(f"cannot listen on unix:{path}: a file that is no socket is in the way")
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(path)
        except OSError:
            return False
        return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
