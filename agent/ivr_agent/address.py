"""Addresses of the engine protocol: `unix:/path` or `http://127.0.0.1:PORT`.

Owns their grammar and the listening sockets made from them. A taken address is a clear error (`ListenError`).
"""

import errno
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ivr_agent.process import ListenError

MAX_UNIX_PATH: Final = 107
"""Bytes a Unix socket's path may have on Linux (unix(7): 108 with the final zero)."""


MAX_HOST: Final = 253
"""Characters that a host name may have (RFC 1035 section 2.3.4: 255 bytes, two of them not of the text)."""

HOST: Final = re.compile(rb"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
"""Names that a resolver takes: labels of 1 to 63 characters."""


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


def host_fault(host: str) -> str | None:
    """Say why no resolver takes this host, if it is neither an address nor a possible name."""
    if _ip(host) is not None:
        return None
    try:
        name = host.encode("idna")
    except UnicodeError:
        name = b""
    if HOST.fullmatch(name) and len(name.rstrip(b".")) <= MAX_HOST:
        return None
    return (
        f"the host is no address, and no name that a resolver takes: labels of 1 to 63 letters, digits, - and _,"
        f" separated by single dots, {MAX_HOST} characters in all"
    )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that a host leads to, and all that it takes to bind there."""

    ip: IPv4Address | IPv6Address
    family: socket.AddressFamily
    where: tuple[object, ...]

    def __str__(self) -> str:
        return f"{self.ip} port {self.where[1]}"


def resolve(host: str, port: int) -> list[Endpoint]:
    """Return what a host leads to, as the resolver prefers; raises `ListenError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: it is not even looked up
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from None
    return [Endpoint(ip_address(str(where[0])), family, where) for family, *_, where in found]


def lies_in(ip: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Tell whether peers whose networks these are reach the address.

    Loopback and the unspecified address lie in 0.0.0.0/0, too, but lead whoever calls them to himself; so do IPv4's
    that are written as one of IPv6, `::ffff:127.0.0.1` (RFC 4291 section 2.5.5.2).
    """
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified:
        return False
    return any(ip in network and (network.is_loopback or not ip.is_loopback) for network in networks)


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket; port 0 takes any free one. Raises `ListenError`."""
    return bind(resolve(host, port)[0])


def bind(endpoint: Endpoint) -> socket.socket:
    """Return a TCP socket that is bound there; raises `ListenError`."""
    try:
        bound = socket.socket(endpoint.family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"cannot listen on {endpoint}: {error.strerror}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(endpoint.where)
        bound.listen()
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken by another process" if taken else error.strerror
        raise ListenError(f"cannot listen on {endpoint}: {reason}") from None
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
    ip = _ip(host)
    return ip is not None and ip.is_loopback


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
