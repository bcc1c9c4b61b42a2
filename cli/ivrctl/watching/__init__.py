"""The live view of `ivrctl watch`.

Owns what changed between two lists, and the screen that shows it. Imported by that command alone: the library behind
the screen (Textual) takes several times as long to import as all that a list needs.
"""

from ivrctl.watching.board import Board, Change
from ivrctl.watching.screen import WatchApp

__all__ = ["Board", "Change", "WatchApp"]
