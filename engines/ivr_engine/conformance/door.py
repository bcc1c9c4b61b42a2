"""The engine's address without an HTTP client: whether it takes connections, and the raw bytes of an answer's head.

Owns what no HTTP client shows. Called by `subject` and by the check of the form of answers.
"""

import asyncio
from typing import Final

from ivr_engine.address import Address

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head at most."""


class GoneError(Exception):
    """Nobody takes connections at the address; says why."""


class Door:
    """The engine's address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._host = address.base_url.removeprefix("http://")

    async def reach(self, *, within_s: float) -> None:
        """Connect and hang up; raises `GoneError`."""
        _, writer = await self._connect(within_s)
        writer.close()

    async def head(self, request: str, *, headers: dict[str, str], body: bytes = b"", within_s: float) -> bytes:
        """Send a request and return the answer's head with its empty line, or the part that came."""
        reader, writer = await self._connect(within_s)
        told = {"Host": self._host, "Accept-Encoding": "identity", "Content-Length": str(len(body)), **headers}
        lines = [f"{request} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        came = b""
        try:
            async with asyncio.timeout(within_s):
                while not _ends(came) and (line := await reader.readline()):
                    came += line
        except (TimeoutError, OSError, ValueError):  # a ValueError: a line of over 64 KiB
            pass
        finally:
            writer.close()
        return came

    async def _connect(self, within_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = self._address
        try:
            async with asyncio.timeout(within_s):
                if where.path:
                    return await asyncio.open_unix_connection(where.path)
                return await asyncio.open_connection(where.host, where.port)
        except TimeoutError:
            raise GoneError(f"no connection within {within_s:g} s") from None
        except OSError as error:
            raise GoneError(error.strerror or str(error)) from None


def _ends(head: bytes) -> bool:
    return head.endswith((b"\n\r\n", b"\n\n")) or len(head) > MAX_HEAD
