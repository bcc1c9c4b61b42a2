"""Reads recordings of TCP conversations with real engines (tests/recordings), byte for byte."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ESCAPED: Final = re.compile(rb"\\(\\|r|n|t|x[0-9a-f]{2})")
LETTERS: Final = {b"\\": b"\\", b"r": b"\r", b"n": b"\n", b"t": b"\t"}


class Chunk(NamedTuple):
    """A write (`>`) or a read (`<`) on a connection, `ms` milliseconds after the first connect."""

    ms: float
    connection: str
    direction: str
    data: bytes


def chunks(path: Path) -> Iterator[Chunk]:
    """Yield each write and read of a recording, `.gz` or not."""
    head: tuple[float, str, str] | None = None
    parts: list[bytes] = []
    for line in _lines(path):
        if line[:2] in {"< ", "> "}:
            parts.append(_unescaped(line[2:]))
            continue
        if head:
            yield Chunk(*head, b"".join(parts))
            head, parts = None, []
        if line.startswith("@"):
            ms, connection, direction = line[1:].split(" ")
            head = (float(ms), connection, direction)
    if head:
        yield Chunk(*head, b"".join(parts))


def said(path: Path) -> dict[str, bytes]:
    """Return all that the engine sent, by connection."""
    streams: dict[str, bytearray] = {}
    for chunk in chunks(path):
        if chunk.direction == "<":
            streams.setdefault(chunk.connection, bytearray()).extend(chunk.data)
    return {name: bytes(stream) for name, stream in streams.items()}


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    return text.split("\n")


def _unescaped(text: str) -> bytes:
    return ESCAPED.sub(lambda found: LETTERS.get(found[1]) or bytes([int(found[1][1:], 16)]), text.encode())
