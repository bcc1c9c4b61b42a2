"""Addresses of the two sides of the engine protocol: `unix:/path` or `http://127.0.0.1:PORT`.

Owns their reading, listening at one and connecting to one. TCP is confined to loopback.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

UNIX: Final = "unix:"
NOT_AN_ADDRESS: Final = "not an address; write unix:/path or http://127.0.0.1:PORT"
LONGEST_UNIX_PATH: Final = 107
"""In bytes: what Linux leaves of `sun_path` beside its closing zero."""

BACKLOG: Final = 128


class ListenError(Exception):
    """The address cannot be listened at; says why and what to do."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"{UNIX}{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of this machine's loopback interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}" if ":" not in self.host else f"http://[{self.host}]:{self.port}"


Address = UnixAddress | TcpAddress


def parse(text: object) -> Address:
    """Read an address; raises ValueError that says what is wrong and the remedy."""
    if isinstance(text, UnixAddress | TcpAddress):
        return text
    if not isinstance(text, str):
        raise ValueError(NOT_AN_ADDRESS)  # noqa: TRY004  # pydantic reports a ValueError, not a TypeError
    return _parse_unix(text.removeprefix(UNIX)) if text.startswith(UNIX) else _parse_tcp(text)


def _parse_unix(path: str) -> UnixAddress:
    if not path.startswith("/"):
        raise ValueError("the path of a Unix socket begins with /; write unix:/path")
    if len(os.fsencode(path)) > LONGEST_UNIX_PATH:
        raise ValueError(f"the path of a Unix socket has at most {LONGEST_UNIX_PATH} bytes; use a shorter one")
    return UnixAddress(Path(path))


def _parse_tcp(text: str) -> TcpAddress:
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or not parts.port or parts.path.strip("/") or parts.query:
        raise ValueError(NOT_AN_ADDRESS)
    try:
        loopback = ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError("the host is not a loopback address; write 127.0.0.1, or use a Unix socket")
    return TcpAddress(parts.hostname, parts.port)


def connector(address: Address) -> aiohttp.BaseConnector:
    """Return a connector of one keep-alive connection to the address (whatever host the request's URL names)."""
    if isinstance(address, UnixAddress):
        return aiohttp.UnixConnector(str(address.path), limit=1)
    return aiohttp.TCPConnector(limit=1)


def base_url(address: Address) -> str:
    """Return what request URLs begin with."""
    return "http://localhost" if isinstance(address, UnixAddress) else str(address)


@contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """Listen at the address until the block ends; a Unix socket's file goes with it. Raises `ListenError`."""
    try:
        listener = _bind_unix(address.path) if isinstance(address, UnixAddress) else _bind_tcp(address)
    except OSError as error:
        raise ListenError(f"cannot listen at {address}: {error.strerror}; free it or choose another") from error
    try:
        yield listener
    finally:
        listener.close()
        if isinstance(address, UnixAddress):
            address.path.unlink(missing_ok=True)


def _bind_tcp(address: TcpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)


def _bind_unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        # The file's permissions are the protocol's only protection here: nobody else may connect, from the start on.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed process left behind, but none that is answered, and nothing that is no socket."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
        probe.connect(str(path))
        raise OSError(None, "another process listens there")
    path.unlink()
