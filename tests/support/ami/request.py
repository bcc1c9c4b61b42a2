"""What a manager sends: bytes to requests, with the limits that Asterisk has.

Owns framing: lines end with LF, with or without CR; an empty line ends a request. Does no IO.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LINE_BYTES: Final = 1_020
"""The longest line, without its end; one of 1,017 bytes was taken, one of 1,037 refused."""

LINES: Final = 128
"""The most headers of a request; 132 were refused."""


@dataclass(slots=True)
class Request:
    """One action. `fault` says why it cannot be carried out."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    fault: str = ""

    def get(self, name: str) -> str:
        """Return a header's value, "" if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Return the values of a header that may come several times."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Reader:
    """Takes bytes in any pieces and yields requests. `limited` is whether long lines are refused."""

    def __init__(self, *, limited: bool) -> None:
        self._limited = limited
        self._rest = b""
        self._request = Request()

    def feed(self, data: bytes) -> Iterator[Request]:
        """Take bytes in."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if text := line.removesuffix(b"\r"):
                self._take(text)
            else:
                done, self._request = self._request, Request()
                yield done

    def _take(self, line: bytes) -> None:
        if self._limited and len(line) > LINE_BYTES:
            self._request.fault = "Failed to parse message: line too long"
            return
        name, colon, value = line.decode(errors="surrogateescape").partition(":")
        if colon:
            self._request.headers.append((name.strip(), value.removeprefix(" ")))
        if self._limited and len(self._request.headers) > LINES:
            self._request.fault = "Too many lines in message or allocation failure"
