"""The progress bar: one line of stderr, drawn anew as stops end.

Owns its form. Where stderr is no terminal, or a dumb one, nothing is drawn.
"""

import time
from typing import Final

from ivrctl.stopping.outcomes import Result
from ivrctl.terminal import Terminal

COLUMNS: Final = 30

INTERVAL_S: Final = 0.05
"""The least time between two drawings; the last one is made whatever the time."""


class Bar:
    """A bar of `total` stops, of which `done` have ended before."""

    def __init__(self, terminal: Terminal, total: int, *, done: int = 0) -> None:
        self._terminal = terminal
        self._total = total
        self._ended = done
        self._failed = 0
        self._drawn_s = float("-inf")
        self._drawn: int | None = None
        self._draw()

    def add(self, result: Result) -> None:
        """Count a stop that has ended."""
        self._ended += 1
        self._failed += not result.done
        if self._ended == self._total or time.monotonic() - self._drawn_s >= INTERVAL_S:
            self._draw()

    def tick(self) -> None:
        """Draw what was counted since the last drawing; called while nothing ends."""
        if self._drawn != self._ended:
            self._draw()

    def close(self) -> None:
        """Leave the line as it is."""
        if self._terminal.can_redraw():
            self._draw()
            self._terminal.err.write("\n")
            self._terminal.err.flush()

    def _draw(self) -> None:
        if not self._terminal.can_redraw():
            return
        self._drawn_s, self._drawn = time.monotonic(), self._ended
        filled = COLUMNS * self._ended // max(1, self._total)
        failed = f", {self._failed} failed" if self._failed else ""
        percent = 100 * self._ended // max(1, self._total)
        line = f"[{'#' * filled}{'-' * (COLUMNS - filled)}] {percent:3} %  {self._ended} of {self._total}{failed}"
        self._terminal.err.write(f"\r\x1b[K{line}")
        self._terminal.err.flush()
