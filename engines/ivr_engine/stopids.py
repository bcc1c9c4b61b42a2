"""The stop ids that a runtime has accepted, and their text form for a channel variable of the engine.

Owns which ids count as seen and how they survive the bridge: a bridge that restarts reads them back from the engine. An
id is kept as *tried* while its stop is not proven, so that a repeat acts where the first try had no effect. Called by
bridges.
"""

import base64
import binascii
from typing import Final

KEPT: Final = 64
"""Ids remembered per runtime at most, the newest: up to 5.6 KB in the engine's variable. Two are usual."""

TRIED: Final = "!"
"""Stands before an id whose stop is not proven; no letter of base64."""


class StopIds:
    """The accepted ids of one runtime, oldest first."""

    __slots__ = ("_accepted",)

    def __init__(self, accepted: tuple[str, ...] = ()) -> None:
        self._accepted = list(accepted)

    def __contains__(self, stop_id: str) -> bool:
        """Whether the id was accepted."""
        return stop_id in self._accepted

    @property
    def last(self) -> str | None:
        """The id accepted last."""
        return self._accepted[-1] if self._accepted else None

    def accept(self, stop_id: str) -> None:
        """Remember an id; of more than 64 the oldest is forgotten."""
        self._accepted = [*(one for one in self._accepted if one != stop_id), stop_id][-KEPT:]

    def packed(self, *, tried: str | None = None) -> str:
        """Return the text form: letters, digits, `-`, `_`, `,` and `!`; with a tried id last."""
        marked = [] if tried is None else [TRIED + _encoded(tried)]
        return ",".join([*map(_encoded, self._accepted), *marked])

    @classmethod
    def unpacked(cls, text: str, *, proven: bool) -> "StopIds":
        """Read the text form; a tried id counts where the stop is `proven`. What is no id is left out."""
        ids = cls()
        for part in text.split(","):
            tried = part.startswith(TRIED)
            if (proven or not tried) and (stop_id := _decoded(part.removeprefix(TRIED))):
                ids.accept(stop_id)
        return ids


def _encoded(stop_id: str) -> str:
    return base64.urlsafe_b64encode(stop_id.encode()).decode().rstrip("=")


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
