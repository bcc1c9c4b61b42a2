"""One channel of Asterisk: where in the dialplan it is, through which subroutines, and what its variables say.

Owns what each event and each row of a list means for one channel. Nothing here decides whether it is a runtime: `model`
does. The events' order is the server's; an event may be older than a row that came before it, so what matters is asked
for again (`bridge`).
"""

import re
from dataclasses import dataclass, field
from typing import Final

from ivr_asterisk import accepted, naming
from ivr_asterisk.accepted import Accepted
from ivr_asterisk.framing import Message
from ivr_asterisk.mapping import PASSING

CALLS: Final = frozenset({"Gosub", "GosubIf"})
"""Applications that put the place on the stack of subroutines."""

LEG: Final = frozenset({"AppDial", "AppDial2"})
"""What a dialled channel runs in place of a dialplan."""

OUTER_HALF: Final = re.compile(r"Local/(?P<exten>.+)@(?P<context>.+)-[0-9a-f]{8};1")
"""The first half of a Local channel stands at the place of its dial string, which the second half runs."""

UNKNOWN: Final = "<unknown>"

MAX_DEPTH: Final = 8
"""Nested subroutines that are asked for after a reconnection."""

STACK: Final = tuple(f"STACK_PEEK({depth},l,1)" for depth in range(1, MAX_DEPTH + 1))
"""What a Status asks for: the place from which each subroutine was called, the innermost first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the dialplan. `named` is the extension that names the script there."""

    context: str
    exten: str
    priority: int
    named: str = field(default="", compare=False)

    def is_next_to(self, other: "Place") -> bool:
        """Tell whether the dialplan comes here from there without a jump."""
        return self == Place(other.context, other.exten, other.priority + 1)


@dataclass(slots=True)
class Frame:
    """A place that called a subroutine, and the script's name at that time; None if nobody saw it."""

    place: Place
    title: str | None


@dataclass(slots=True)
class Channel:
    """A channel, as far as is known. `executing` is False for a leg, which has no dialplan."""

    uniqueid: str
    place: Place = Place("", "", 0)
    executing: bool = False
    frames: list[Frame] = field(default_factory=list)
    title: str | None = None
    """The name of the script that runs now, as it set it."""
    domain: str | None = None
    started: int | None = None
    """When the script began, in seconds since the epoch, as the bridge has kept it in the channel."""
    stops: Accepted = field(default_factory=Accepted)
    caller: str | None = None
    called: str | None = None
    linkedid: str | None = None
    application: str = ""
    asked_to_end: bool = False
    """The other side wants the call to end."""
    stopping: bool = False
    """The bridge has asked for its end."""
    in_branch: bool = False
    """It has been seen in an External Stop branch since this was last set to False."""
    cause: int | None = None
    """Why it was hung up; None while it lives."""
    _name_set: str | None = None
    """What the variable IVR_NAME held last: a Return does not put it back, so it counts when it changes."""

    def entered(self, event: Message) -> None:
        """Take in a Newexten."""
        place, application, before = self._place(event), event.get("Application"), self.application
        arrived = False
        if before in CALLS and place != self.place and not self._went_on(place, before):
            self.frames.append(Frame(self.place, self.title))
            arrived = place.priority == 0
        elif before == "Return" and place != self.place and self.frames:
            frame = self.frames.pop()
            self.title = frame.title
            arrived = application == "Return" and place == frame.place
        elif before == "StackPop" and self.frames:
            self.frames.pop()
        self.place = place
        # At the moment of a jump the new place is told with the old application; the jump is done then.
        self.application = "" if arrived else application
        self.executing = application not in LEG
        self.told(event)

    def listed(self, row: Message) -> None:
        """Take in a row of a list, which is true now."""
        place, application = self._place(row), row.get("Application")
        outer = OUTER_HALF.fullmatch(row.get("Channel"))
        if application in LEG or not place.exten:
            self.executing = False
        elif outer and place == Place(outer["context"], outer["exten"], 1):
            pass  # a dialplan may begin here, or the other half's: only an event tells
        else:
            self.executing = True
        self.place, self.application, self.cause = place, application, None
        self.told(row)

    def nested_in(self, row: Message) -> None:
        """Take the called number and the stack of subroutines from a Status row that was asked for it."""
        if (number := row.get("DNID")) and number != UNKNOWN:
            self.called = number
        if STACK[0] not in row.asked:
            return
        places = [place for name in STACK if (place := _location(row.asked.get(name, "")))]
        known = self.frames
        self.frames = [
            Frame(place, known[depth].title if depth < len(known) and known[depth].place == place else None)
            for depth, place in enumerate(reversed(places))
        ]

    def set(self, variable: str, value: str) -> None:
        """Take in that a variable of ours has that value."""
        match variable.removeprefix("LOCAL(").removesuffix(")"):
            case "IVR_NAME" if value != self._name_set:
                self._name_set = value
                self.title = value or self.title
            case "IVR_DOMAIN" if value:
                self.domain = value
            case accepted.VARIABLE:
                self.stops = self.stops.merged(value)
            case naming.STARTED_VARIABLE:
                self.started = _number(value) or None

    def told(self, message: Message) -> None:
        """Take in what each event and row says of the channel."""
        for variable, value in message.variables.items():
            self.set(variable, value)
        if (caller := message.get("CallerIDNum")) and caller != UNKNOWN:
            self.caller = caller
        self.linkedid = message.get("Linkedid") or self.linkedid

    def _place(self, message: Message) -> Place:
        context, exten, priority = message.get("Context"), message.get("Exten"), message.get("Priority")
        passing = exten in PASSING and context == self.place.context
        return Place(context, exten, _number(priority), self.place.named if passing else exten)

    def _went_on(self, place: Place, application: str) -> bool:
        return application == "GosubIf" and place.is_next_to(self.place)


def _location(text: str) -> Place | None:
    context, _, rest = text.partition(",")
    exten, _, priority = rest.rpartition(",")
    return Place(context, exten, _number(priority), exten) if context and exten else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else 0
