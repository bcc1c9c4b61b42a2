"""Where the agent listens: for its engine at an address of the engine protocol, for its peers at any host.

Owns what a host may be, its addresses, and the sockets. A taken address is a clear error (`ListenError`).
"""

import errno
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import ivr_engine.address
from ivr_agent.process import ListenError
from ivr_engine.address import Address

MAX_HOST: Final = 253
"""Characters of a host name at most (RFC 1035 section 2.3.4: 255 bytes, two of which are no text)."""

HOST: Final = re.compile(rb"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
"""Names that a resolver takes: labels of 1 to 63 characters."""


def listen(address: Address) -> socket.socket:
    """Return a socket that listens for the engine; raises `ListenError`. A Unix socket is for its owner only."""
    try:
        return ivr_engine.address.listen(address)
    except ivr_engine.address.ListenError as error:
        raise ListenError(str(error)) from None


def host_fault(host: str) -> str | None:
    """Say what is wrong with a host that is neither an address nor a valid name."""
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
    """One address of a host, with all that is needed to bind there."""

    ip: IPv4Address | IPv6Address
    family: socket.AddressFamily
    where: tuple[object, ...]

    def __str__(self) -> str:
        return f"{self.ip} port {self.where[1]}"


def resolve(host: str, port: int) -> list[Endpoint]:
    """Return a host's addresses in the resolver's order; raises `ListenError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: refused before the lookup
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from None
    return [Endpoint(ip_address(str(where[0])), family, where) for family, *_, where in found]


def lies_in(ip: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Tell whether peers in these networks can reach the address.

    Loopback and the unspecified address lie in 0.0.0.0/0, too, but mean the caller's own host; so do their IPv6 forms
    such as `::ffff:127.0.0.1` (RFC 4291 section 2.5.5.2).
    """
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified:
        return False
    return any(ip in network and (network.is_loopback or not ip.is_loopback) for network in networks)


def bind(endpoint: Endpoint) -> socket.socket:
    """Return a TCP socket bound to the endpoint; raises `ListenError`."""
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


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
