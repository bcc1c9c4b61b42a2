"""Replays a recorded conversation: what the server said is said again, byte by byte, cut wherever one likes.

Owns the order: what was said before a write of the recorded client is said before the same write of the client here
arrives, and not after it. The client's own words are not looked at, but for the ActionIDs, which are put in the place
of the recorded ones if asked.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ami.recording import read


class Replay:
    """A recording as the connection `name` heard it."""

    def __init__(self, path: Path, connection: str) -> None:
        self.chunks = [chunk for chunk in read(path) if chunk.connection == connection]

    @property
    def said(self) -> bytes:
        """All that the server said."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.way == "<")

    def cut(self, offsets: Sequence[int]) -> Iterator[bytes]:
        """Yield all that was said in pieces that end at these offsets."""
        said, since = self.said, 0
        for until in [*sorted({offset % (len(said) + 1) for offset in offsets}), len(said)]:
            if until > since:
                yield said[since:until]
                since = until


def connections(path: Path) -> list[str]:
    """Return the names of a recording's connections that heard anything, in order."""
    return list(dict.fromkeys(chunk.connection for chunk in read(path) if chunk.way == "<"))
