"""Small HTTP/1.1 requests over connections that are kept: how commands reach the engine.

Owns the connections and the parts of RFC 9112 that an answer may use: lengths, chunks, bodies that end with the
connection, interim answers. It also reads HTTP/1.0 and lines that end in a bare LF, as the general client for the
status does: an engine that counts as up must also take stops. A general client would cost more than the rest of a
command. Called by the agent, and by the conformance kit so that it reads what the agent would. Only for requests that
may be repeated: if the kept connection was closed, a request is sent once more over a new one.
"""

import asyncio
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from ivr_engine.address import Address

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer to a command at most: a few hundred are usual."""

KEPT: Final = 32
"""Idle connections kept at most."""


KEEPS_OPEN: Final = {"HTTP/1.1": True, "HTTP/1.0": False}
"""Whether a connection stays open without a `Connection` header, by HTTP version (RFC 9112 section 9.3)."""

MAX_LINES: Final = 100
"""Lines of a head at most, each of 64 KiB at most."""


class BadAnswerError(Exception):
    """The answer is not HTTP/1, is compressed, or is too large."""

    def __init__(self, message: str, *, seen: str = "") -> None:
        """Keep what was seen, for engine tests. It stays out of the message, as it may quote our token."""
        super().__init__(message)
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection to the engine."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        """False once the other side has closed it."""
        return not self.reader.at_eof() and not self.writer.is_closing()


class Exchange:
    """Posts JSON to the engine at `address`; with a `token`, as a bearer token."""

    def __init__(self, address: Address, *, token: str | None = None) -> None:
        self._address = address
        host = address.base_url.removeprefix("http://")
        self._common = f"Host: {host}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
        self._common += "Accept-Encoding: identity\r\n"
        if token:
            self._common += f"Authorization: Bearer {token}\r\n"
        self._idle: list[Connection] = []
        self.opened = 0
        """Connections opened so far."""

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; raises `OSError`, `EOFError` or `BadAnswerError`."""
        head = f"POST {path} HTTP/1.1\r\n{self._common}Content-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        while self._idle:
            connection = self._idle.pop()
            if not connection.usable:
                connection.writer.close()
                continue
            try:
                return await self._over(connection, request)
            except (ConnectionError, asyncio.IncompleteReadError):
                break  # the engine just closed it: try a new connection
        return await self._over(await self._connect(), request)

    async def _connect(self) -> Connection:
        self.opened += 1
        if self._address.path:
            return Connection(*await asyncio.open_unix_connection(self._address.path))
        return Connection(*await asyncio.open_connection(self._address.host, self._address.port))

    async def _over(self, connection: Connection, request: bytes) -> tuple[int, bytes]:
        keep = False
        try:
            connection.writer.write(request)
            status, headers, keeps = await _head(connection.reader)
            body, ends = await _body(connection.reader, status, headers)
            keep = keeps and not ends and len(self._idle) < KEPT
        finally:
            if keep:
                self._idle.append(connection)
            else:
                connection.writer.close()
        return status, body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bool]:
    """Read status, headers (names in lower case) and whether the connection is kept; skips 1xx answers."""
    while True:
        lines = await _lines(reader)
        try:
            version, status = lines[0].split(" ", 2)[:2]
            code, keeps = int(_digits(status, 10)), KEEPS_OPEN[version]
        except (ValueError, KeyError):
            raise BadAnswerError("not a status line of HTTP/1.1", seen=lines[0][:80]) from None
        if code >= HTTPStatus.OK:
            headers = _headers(lines[1:])
            return code, headers, _keeps(headers.get("connection", ""), unsaid=keeps)


def _headers(lines: list[str]) -> dict[str, str]:
    """Read headers, names in lower case; repeated ones are joined to a list (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key, text = name.strip(" \t").lower(), value.strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _lines(reader: asyncio.StreamReader) -> list[str]:
    """Read the lines up to the empty one."""
    lines: list[str] = []
    while line := (await _line(reader)).rstrip("\r\n"):
        lines.append(line)
        if len(lines) > MAX_LINES:
            raise BadAnswerError(f"a head of over {MAX_LINES} lines")
    if not lines:
        raise BadAnswerError("an empty line instead of a status line")
    return lines


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise BadAnswerError("too long a line") from None


def _keeps(connection: str, *, unsaid: bool) -> bool:
    options = {option.strip() for option in connection.lower().split(",")}
    return "close" not in options and (unsaid or "keep-alive" in options)


async def _body(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
    """Read the body (RFC 9112 section 6.3); tell whether only the connection's end marked its end."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswerError("a compressed answer", seen=headers["content-encoding"][:80])
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return b"", False
    if "transfer-encoding" in headers:
        return await _chunks(reader), False
    if "content-length" in headers:
        sizes = {_size(size, 10) for size in headers["content-length"].split(",")}
        if len(sizes) > 1:
            raise BadAnswerError("two lengths", seen=headers["content-length"][:80])
        return await reader.readexactly(sizes.pop()), False
    body = await reader.read(MAX_BODY + 1)
    while not reader.at_eof() and len(body) <= MAX_BODY:
        body += await reader.read(MAX_BODY + 1)
    _size(str(len(body)), 10)
    return body, True


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := _size((await _line(reader)).partition(";")[0], 16):
        body += await reader.readexactly(size)
        await _line(reader)
        _size(str(len(body)), 10)
    while (await _line(reader)).rstrip("\r\n"):
        pass  # trailer fields
    return body


def _digits(text: str, base: int) -> str:
    """Return a number's digits, ASCII only (RFC 9112 section 6.2); `int` would take `1_0` and `+1` too."""
    if not re.fullmatch("[0-9]+" if base == 10 else "[0-9A-Fa-f]+", text):
        raise ValueError(text)
    return text


def _size(text: str, base: int) -> int:
    try:
        size = int(_digits(text.strip(" \t\r\n"), base), base)
    except ValueError:
        raise BadAnswerError("a length that is no number") from None
    if not 0 <= size <= MAX_BODY:
        raise BadAnswerError(f"an answer of over {MAX_BODY} bytes")
    return size
