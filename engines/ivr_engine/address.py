"""Addresses of the two sides of the engine protocol: `unix:/path` or `http://127.0.0.1:PORT`.

Owns their grammar, how to listen at one and how to connect to one. TCP is allowed on loopback only. Used by engines and
the agent.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

UNIX: Final = "unix:"
NOT_AN_ADDRESS: Final = "not an address; write unix:/path or http://127.0.0.1:PORT"

MAX_UNIX_PATH: Final = 107
"""Bytes a Unix socket's path may have on Linux (unix(7): 108 with the final zero)."""

ANSWER_S: Final = 1.0
"""How long an existing Unix socket may take to answer before it counts as unused."""


class ListenError(Exception):
    """The address cannot be listened at; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Either a Unix socket's `path` or a TCP `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def base_url(self) -> str:
        """The URL to send requests to; over a Unix socket its host is a placeholder."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return "http://engine" if self.path else f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"{UNIX}{self.path}" if self.path else self.base_url


def parse(text: object) -> Address:
    """Read an address; raises `ValueError` with what is wrong and the remedy."""
    if isinstance(text, Address):
        return text
    if not isinstance(text, str):
        raise ValueError(NOT_AN_ADDRESS)  # noqa: TRY004  # pydantic reports a ValueError, not a TypeError
    return _parse_unix(text.removeprefix(UNIX)) if text.startswith(UNIX) else _parse_tcp(text)


def _parse_unix(path: str) -> Address:
    if not path.startswith("/"):
        raise ValueError("the path of a Unix socket begins with /; write unix:/path")
    if len(os.fsencode(path)) > MAX_UNIX_PATH:
        raise ValueError(f"the path of a Unix socket has at most {MAX_UNIX_PATH} bytes; use a shorter one")
    return Address(path=path)


def _parse_tcp(text: str) -> Address:
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.port is None or url.path.strip("/") or url.query:
        raise ValueError(NOT_AN_ADDRESS)
    if not _is_loopback(url.hostname):
        raise ValueError("the host is not a loopback address; write 127.0.0.1, or use a Unix socket")
    return Address(host=url.hostname, port=url.port)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def connector(address: Address, *, limit: int = 100, force_close: bool = False) -> aiohttp.BaseConnector:
    """Return a connector of at most `limit` connections, all to the address: a URL's host is ignored."""
    if address.path:
        return aiohttp.UnixConnector(address.path, limit=limit, force_close=force_close)
    return aiohttp.TCPConnector(limit=limit, force_close=force_close)


@contextmanager
def listening(address: Address) -> Iterator[socket.socket]:
    """Listen at the address until the block ends, then remove a Unix socket's file. Raises `ListenError`."""
    bound = listen(address)
    try:
        yield bound
    finally:
        bound.close()
        if address.path:
            Path(address.path).unlink(missing_ok=True)


def listen(address: Address) -> socket.socket:
    """Return a listening socket; raises `ListenError`. Only its owner may connect to a Unix socket."""
    try:
        return _listen_unix(address.path) if address.path else _listen_tcp(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken by another process" if taken else error.strerror
        raise ListenError(f"cannot listen on {address}: {reason}; free it or choose another") from None


def _listen_tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


def _listen_unix(path: str) -> socket.socket:
    _make_way(path)
    bound = socket.socket(socket.AF_UNIX)
    # Only the file's permissions protect the protocol here, so they must hold from its creation on.
    before = os.umask(0o177)
    try:
        bound.bind(path)
        bound.listen()
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def _make_way(path: str) -> None:
    """Remove an unused socket that a killed process left; never one that answers, nor another kind of file."""
    if not Path(path).is_socket():
        if Path(path).exists():
            raise OSError(None, "a file that is no socket is in the way")
        return
    with socket.socket(socket.AF_UNIX) as trial:
        trial.settimeout(ANSWER_S)
        try:
            trial.connect(path)
        except OSError:
            Path(path).unlink(missing_ok=True)
            return
    raise OSError(None, "another process listens there")
