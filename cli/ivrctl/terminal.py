"""What kind of terminal this is: the one place that looks.

Owns where output goes, whether it may be coloured, cut to a width or redrawn, and the questions that are asked. Data
goes to stdout, all else to stderr. NO_COLOR (no-color.org) and TERM=dumb forbid colours; a pipe gets none either.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from ivrctl.neutral import neutral

DEFAULT_COLUMNS: Final = 80

COLOURS: Final = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


class Terminal:
    """The three streams, and what they can show. `environment` is the process's by default."""

    def __init__(
        self,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        given: TextIO | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.given = given or sys.stdin
        self._plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
        self._dumb = environment.get("TERM") == "dumb"

    def forbid_colour(self) -> None:
        """Colour nothing any more (`--no-color`)."""
        self._plain = True

    def width(self) -> int | None:
        """Return stdout's columns; None if it is no terminal: then nothing is cut."""
        if not self.out.isatty():
            return None
        try:
            return os.get_terminal_size(self.out.fileno()).columns or DEFAULT_COLUMNS
        except (OSError, ValueError):  # a terminal that does not tell, or none beneath the stream
            return DEFAULT_COLUMNS

    def can_ask(self) -> bool:
        """Tell whether somebody is there to answer."""
        return self.given.isatty() and self.err.isatty()

    def can_redraw(self) -> bool:
        """Tell whether a line of stderr can be drawn anew, as a progress bar is."""
        return self.err.isatty() and not self._dumb

    def coloured(self, text: str, colour: str, *, stream: TextIO | None = None) -> str:
        """Return the text in a colour, if the stream (stdout by default) shows colours."""
        if self._plain or not (stream or self.out).isatty():
            return text
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"

    def print(self, line: str) -> None:
        """Write a line of data."""
        self.out.write(line + "\n")

    def say(self, line: str, *, colour: str | None = None) -> None:
        """Write a line for people; characters that a terminal would obey are escaped."""
        self.out.flush()
        text = neutral(line)
        self.err.write((self.coloured(text, colour, stream=self.err) if colour else text) + "\n")
        self.err.flush()

    def ask(self, question: str) -> str:
        """Ask on stderr; return the answer without blanks around it, empty at the end of input."""
        self.err.write(neutral(question))
        self.err.flush()
        return self.given.readline().strip()
