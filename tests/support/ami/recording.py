"""Reads recorded TCP conversations, byte by byte as they were.

Owns the format. UTF-8 text, one item a line:

    # text           a remark
    ! @MS text       something that happened outside of the stream: connects, closes, acts on the engine
    @MS NAME >       a write of the client on connection NAME, MS milliseconds after the first connect
    @MS NAME <       one read of the client: what a single recv() returned
    > …  or  < …     the bytes of that write or read: \\r, \\n, \\t, \\\\ and \\xNN are escaped, valid UTF-8 is kept

The lines of a chunk are joined with nothing between. A read may end inside a line, a message or a character.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "recordings" / "asterisk"
_ESCAPE: Final = re.compile(rb"\\(\\|r|n|t|x[0-9a-f]{2})")
_PLAIN: Final = {b"\\": b"\\", b"r": b"\r", b"n": b"\n", b"t": b"\t"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """What passed at `at_ms` on a connection: `way` is "<" (read by the client) or ">" (written by it).

    With `way` "!" it is an act from outside; `data` is then its text, and `connection` is empty.
    """

    at_ms: float
    connection: str
    way: str
    data: bytes


def files() -> list[Path]:
    """Return every recording, in order."""
    return sorted(FOLDER.glob("*/*.txt.gz"))


def read(path: Path) -> Iterator[Chunk]:
    """Yield the chunks of a recording."""
    head: tuple[float, str, str] | None = None
    parts: list[bytes] = []
    for text in gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n"):
        if text[:2] in {"< ", "> "}:
            parts.append(_unescaped(text[2:]))
            continue
        if head:
            yield Chunk(*head, b"".join(parts))
            head, parts = None, []
        if text.startswith("@"):
            at_ms, name, way = text[1:].split(" ")
            head = float(at_ms), name, way
        elif text.startswith("! "):
            at_ms, what = text[3:].split(" ", 1)
            yield Chunk(float(at_ms), "", "!", what.encode())
    if head:
        yield Chunk(*head, b"".join(parts))


def _unescaped(text: str) -> bytes:
    def one(match: re.Match[bytes]) -> bytes:
        return _PLAIN.get(match[1]) or bytes([int(match[1][1:], 16)])

    return _ESCAPE.sub(one, text.encode())
