"""The stop ids that a runtime has accepted, as they are kept in the channel itself.

Owns the text of the variable `IVR_STOPS`: a word that says whether the last command was carried out, then the ids, the
latest first. Asterisk keeps it as long as the call lasts, so that a repeat changes nothing even after the bridge
restarted. Called by `channel` and `stops`.
"""

from dataclasses import dataclass
from typing import Final, Self

VARIABLE: Final = "IVR_STOPS"

ASKED: Final = "asked"
"""The last id was accepted, and its command has not been seen to work: a repeat carries it out."""

ACTED: Final = "acted"

MAX_TEXT: Final = 960
"""Bytes of the variable: 14 of the longest ids fit, the oldest are dropped. AMI's limit for a line is some 1,020."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ids, the latest first. `done` is False while the command of the latest may not have worked."""

    ids: tuple[str, ...] = ()
    done: bool = True

    @property
    def latest(self) -> str | None:
        """The id of the last command."""
        return self.ids[0] if self.ids else None

    def settled(self, stop_id: str) -> bool:
        """Tell whether a command with that id would be a repeat of one that was carried out."""
        return stop_id in self.ids and (self.done or stop_id != self.latest)

    def with_id(self, stop_id: str, *, done: bool) -> Self:
        """Return these with an id that was accepted now."""
        return type(self)((stop_id, *(one for one in self.ids if one != stop_id)), done)

    def as_text(self) -> str:
        """Return the variable's value."""
        text = " ".join([ACTED if self.done else ASKED, *self.ids])
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT + 1].rpartition(" ")[0]

    def merged(self, text: str) -> Self:
        """Return what the variable says, with the ids that it has no room for or that were read earlier."""
        word, *ids = text.split(" ") if text else [ACTED]
        if word not in {ASKED, ACTED}:  # somebody else's text: as ids they would be looked for in vain
            return self
        return type(self)(tuple(dict.fromkeys([*ids, *self.ids])), word == ACTED)
