"""The calls of one session by their channels, and what their events' numbers are good for.

Owns which channels execute a dialplan, and that neither an event nor an answer that is older than what is known can
undo it: late ones of an ended channel included. An engine subclasses it and reads its own events. Called by bridges.
"""

import sys
from abc import ABC, abstractmethod
from typing import Any, Final

from ivr_engine.calls import Call
from ivr_engine.mirror import Mirror
from ivr_engine.model import StopType

REMEMBERED: Final = 10_000
"""Ended channels whose late events are still known for late; the oldest are forgotten."""


class Channels(ABC):
    """The channels. `doubtful` are those that have to be asked for anew."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._channels: dict[str, Call] = {}
        self._ended: dict[str, int] = {}
        self.doubtful: set[str] = set()

    @abstractmethod
    def differs(self, row: Any) -> bool:
        """Whether a row of the engine's list tells of a script that is not known so."""

    @abstractmethod
    def confirm(self, name: str, *answers: Any) -> bool:
        """Take in what a channel was asked; False if an event was later and knows better."""

    def clear(self) -> None:
        """Forget every channel: the engine restarted."""
        for known in (self._channels, self._ended, self.doubtful):
            known.clear()

    def running(self, runtime_id: str) -> Call | None:
        """Return the channel that the runtime is, if it runs."""
        channel = self._channels.get(runtime_id)
        return channel if channel and channel.shown else None

    def known(self) -> set[str]:
        """Return every channel that is taken to execute dialplan."""
        return set(self._channels)

    def end(self, name: str, stoptype: StopType, *, seq: int = sys.maxsize) -> None:
        """Take in that a channel runs no script since event `seq`, or that it is gone."""
        self._ended[name] = seq
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        if channel := self._channels.pop(name, None):
            channel.hide(self._mirror, stoptype)

    def rename(self, before: str, name: str, *, seq: int) -> None:
        """Take in that a channel has got another name: the runtime of the old one has ended."""
        if before != name and (channel := self._channels.get(before)):
            self.end(before, StopType.NORMAL, seq=seq)
            channel.id = name
            self._channels[name] = channel
            channel.show(self._mirror)

    def born(self, name: str, *, seq: int) -> None:
        """Take in that a channel was made: its name may have been another's, who is gone."""
        if (ended := self._ended.get(name)) is not None and (ended == sys.maxsize or seq > ended):
            del self._ended[name]

    def is_late(self, name: str, *, seq: int) -> bool:
        """Whether something later is known of the channel."""
        channel = self._channels.get(name)
        return seq <= self._ended.get(name, -1) or (channel is not None and seq <= channel.seq)
