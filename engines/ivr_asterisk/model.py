"""The channels of one life of Asterisk, and which of them are runtimes.

Owns the judgement: what counts as a running script, its code, name and nesting, and why it ended. Pure: messages in,
states out. Called by `bridge`, which decides what of it is published when.
"""

import re
from dataclasses import dataclass
from typing import Final

from ivr_asterisk.channel import Channel, Place
from ivr_asterisk.framing import Message, unescape
from ivr_asterisk.mapping import Script, Scripts
from ivr_engine.model import StopType
from ivr_engine.rules import MAX_TEXT, domain_of

MAX_UNIQUEID: Final = 256

UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")

ANSWERED_TOO_LATE: Final = frozenset({18, 19})
"""Q.850 causes: no user responding, no answer."""

ORDERLY: Final = frozenset({0, 16, 17, 21, 26, 31})
"""Q.850 causes of an end that somebody wanted; 0 is what Asterisk tells where there was none."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a channel shows as a runtime. `domain` is None as long as nobody has set it."""

    code: str
    name: str
    domain: str | None
    branch: bool
    rootcode: str | None = None
    rootname: str | None = None


class Model:
    """The channels by Uniqueid. `stop_cause` is the cause with which the bridge hangs up."""

    def __init__(self, scripts: Scripts, *, stop_cause: int) -> None:
        self._scripts = scripts
        self._stop_cause = stop_cause
        self.channels: dict[str, Channel] = {}

    def heard(self, event: Message) -> Channel | None:
        """Take in an event; return the channel that it may have changed."""
        uniqueid = event.get("Uniqueid")
        channel = self.channels.get(uniqueid)
        match event.event:
            case "Newchannel" | "Newexten" if _is_usable(uniqueid):
                channel = channel or self.channels.setdefault(uniqueid, Channel(uniqueid))
                if event.event == "Newexten":
                    channel.entered(event)
                    channel.in_branch = channel.in_branch or channel.place.context == self._scripts.branches
                else:
                    channel.told(event)
            case "VarSet" if channel:
                channel.set(event.get("Variable"), unescape(event.get("Value")))
            case "HangupRequest" if channel:
                channel.asked_to_end = True
            case "Hangup" if channel:
                channel.cause = _number(event.get("Cause"))
            case _:
                return None
        return channel

    def seen(self, row: Message) -> Channel | None:
        """Take in the row of a list; return its channel."""
        if not _is_usable(uniqueid := row.get("Uniqueid")):
            return None
        channel = self.channels.setdefault(uniqueid, Channel(uniqueid))
        channel.listed(row)
        return channel

    def shown(self, channel: Channel) -> Shown | None:
        """Return what a channel shows as a runtime; None if it is none."""
        return None if channel.cause is not None else self.running(channel)

    def running(self, channel: Channel) -> Shown | None:
        """Return what a channel would show if it had not been hung up."""
        if not channel.executing or channel.place.exten in {"", "h"}:
            return None
        levels = [(self._script_at(frame.place), frame.title) for frame in channel.frames]
        levels.append((self._script_at(channel.place), channel.title))
        running = [(script, title) for script, title in levels if script]
        if not running:
            return None
        (root, _), (script, title) = running[0], running[-1]
        nested = any(one.code != root.code for one, _ in running)
        return Shown(
            code=_text(script.code),
            name=_name(script, title),
            domain=domain_of(root.domain or channel.domain or ""),
            branch=any(one.branch for one, _ in running),
            rootcode=_text(root.code) if nested else None,
            rootname=_name(*running[0]) if nested else None,
        )

    def ended_as(self, channel: Channel) -> StopType:
        """Return why a runtime ended whose channel was hung up or has left the scripts."""
        if channel.stops.ids or channel.stopping or channel.cause == self._stop_cause:
            return StopType.STOP
        if channel.asked_to_end:
            return StopType.OWNER_DOWN
        if channel.cause in ANSWERED_TOO_LATE:
            return StopType.TIMEOUT
        return StopType.NORMAL if channel.cause is None or channel.cause in ORDERLY else StopType.ERROR

    def _script_at(self, place: Place) -> Script | None:
        return self._scripts.find(place.context, place.named)


def _name(script: Script, title: str | None) -> str:
    return _text(script.name or title or script.code)


def _text(text: str) -> str:
    return UNPRINTABLE.sub(" ", text)[:MAX_TEXT]


def _is_usable(uniqueid: str) -> bool:
    """Tell whether actions may name a channel so: AMI takes what begins with a slash for a regular expression."""
    return 0 < len(uniqueid) <= MAX_UNIQUEID and uniqueid.isprintable() and not uniqueid.startswith("/")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
