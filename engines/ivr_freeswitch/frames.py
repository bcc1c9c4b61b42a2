"""The Event Socket's framing: bytes in, frames out, without any I/O.

A frame is headers, an empty line, and a body of Content-Length bytes, which the next frame follows at once. Owns the
limits on both. Called by `link`.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ivr_engine.connection import UnreadableError

END: Final = b"\n\n"

MAX_HEAD: Final = 16 * 1024
"""Bytes of a frame's headers at most; those of an answer have a few hundred."""

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of a body at most: a list of 10,000 channels has 9 MB."""


class FrameError(UnreadableError):
    """The stream is no Event Socket's: from here on nothing can be read."""


class Frame(NamedTuple):
    """One frame. `headers` as they came, not decoded further."""

    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The content type."""
        return self.headers.get("Content-Type", "")


class Frames:
    """Cuts a stream into frames, however the network cut it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._headers: dict[str, str] | None = None
        self._length = 0
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; yield each frame that is whole. Raises `FrameError`."""
        self._buffer += data
        while self._head() and len(self._buffer) >= self._length:
            body = bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
            headers, self._headers = self._headers or {}, None
            yield Frame(headers, body)

    def _head(self) -> bool:
        """Read the headers; tell whether they are there."""
        if self._headers is not None:
            return True
        end = self._buffer.find(END, max(0, self._searched - 1))
        self._searched = len(self._buffer) if end < 0 else 0
        if max(end, self._searched) > MAX_HEAD:
            raise FrameError(f"headers of over {MAX_HEAD} bytes")
        if end < 0:
            return False
        self._headers = _parsed(bytes(self._buffer[:end]))
        self._length = _length(self._headers.get("Content-Length", "0"))
        del self._buffer[: end + len(END)]
        return True


def _parsed(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("utf-8", "replace").split("\n"))
    return {name.strip(): value.strip() for name, _, value in lines}


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_BODY)) or int(text) > MAX_BODY:
        raise FrameError(f"a body that is not of 0 to {MAX_BODY} bytes")
    return int(text)
