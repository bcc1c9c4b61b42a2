"""The part of a bridge that is the same for every engine: when the engine is asked what, and whom to believe.

Owns the resynchronisation: the engine's list says whom to ask, and each channel that it and the events tell differently
of is asked for. A bridge subclasses `Bridge` with what its engine is told, and `Channels` with what its events mean.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Generic, TypeVar

from ivr_engine.calls import Call
from ivr_engine.channels import Channels
from ivr_engine.connection import Link
from ivr_engine.life import TIMES, Life, Times
from ivr_engine.model import StopType
from ivr_engine.reconnect import LostError, Served
from ivr_engine.stopping import Hands, Stops

log = logging.getLogger(__name__)

LOOKS: Final = 32
"""Channels asked for at the same time."""

TRIES: Final = 3
"""How often a channel is asked for while its events overtake the answer."""

UNREADABLE: Final = (KeyError, ValueError, OverflowError)
"""What reading an event or an answer raises that the engine itself has not made."""

Event = Mapping[str, Any]
"""What an engine tells of itself, or of one channel: names and values."""

AnyLink = TypeVar("AnyLink", bound=Link[Any])
AnyChannels = TypeVar("AnyChannels", bound=Channels)


class Bridge(Hands, ABC, Generic[AnyLink, AnyChannels]):
    """The channels of one engine. `connect` opens a connection, logged in, whose events go to its argument.

    `stops` are the durations of `Stops`.
    """

    def __init__(
        self,
        calls: AnyChannels,
        life: Life,
        *,
        connect: Callable[[Callable[[Event], None]], AbstractAsyncContextManager[AnyLink]],
        times: Times = TIMES,
        **stops: float,
    ) -> None:
        self.calls, self._life, self._connect, self._times = calls, life, connect, times
        self.stops = Stops(self, **stops)
        self._link: AnyLink | None = None
        self._looks = asyncio.Semaphore(LOOKS)
        self._unreadable = 0

    # What an engine adds, beside `has_branch`, `transfer` and `kill` of `Hands`

    @abstractmethod
    def heard(self, event: Event) -> None:
        """Take in an event. What it raises of `UNREADABLE` is counted and told."""

    @abstractmethod
    async def listed(self) -> dict[str, Event]:
        """Return what the engine's list tells, by channel."""

    @abstractmethod
    async def asked(self, name: str) -> list[Any] | None:
        """Return the arguments of `confirm` after the name: what a channel does; None: there is no such channel."""

    @abstractmethod
    async def is_there(self, call: Call) -> bool:
        """Whether the channel exists."""

    @abstractmethod
    async def store(self, call: Call, ids: str) -> bool:
        """Keep the stop ids in the channel; False: there is no such channel."""

    # What is the same for all

    def take(self, event: Event) -> None:
        """Take in an event."""
        try:
            self.heard(event)
        except UNREADABLE:
            self._skip()

    def belongs(self, session: str, *, seq: int) -> None:
        """Begin another life of the engine if the session is another. `seq` is above each earlier one."""
        if session != self._life.mirror.session:
            self.calls.clear()
            self._life.begin(session, seq=seq)

    @property
    def link(self) -> AnyLink:
        """The connection; raises `LostError` while there is none."""
        if self._link is None:
            raise LostError("no connection to the engine")
        return self._link

    async def connection(self, served: Served) -> None:
        """Serve over one connection until it is lost; raises `LostError` or `OSError`."""
        async with self._connect(self.take) as link:
            self._link = link
            try:
                await self._life.follow(self._resynchronise, link.answers.lost, served, self._times)
            finally:
                self._link = None

    async def _resynchronise(self, *, everything: bool) -> None:
        """Ask for each channel that the list and the events tell differently of, or for every one."""
        asked_at = self._life.now()
        listed = await self.listed()
        self._life.answered(asked_at)
        asked = {name for name, row in listed.items() if everything or self.calls.differs(row)} | self.calls.doubtful
        asked |= self.calls.known() - set(listed)
        self.calls.doubtful.clear()
        await asyncio.gather(*map(self._confirm, asked))

    async def _confirm(self, name: str) -> None:
        """Ask what a channel does."""
        async with self._looks:
            for _ in range(TRIES):
                if (answers := await self.asked(name)) is None:
                    self.calls.end(name, StopType.NORMAL)
                    return
                try:
                    if self.calls.confirm(name, *answers):
                        return
                except UNREADABLE:
                    self._skip()
                    return

    def _skip(self) -> None:
        self._unreadable += 1
        if self._unreadable.bit_count() == 1:  # the first, second, fourth and so on
            extra = {"action": "event_unreadable", "unreadable": self._unreadable}
            log.warning("an event lacks what every event has", extra=extra)

    # What stops need

    def running(self, runtime_id: str) -> Call | None:
        """Return the call that the runtime is, if it runs; raises `LostError` while nobody knows."""
        return self.calls.running(runtime_id) if self.link else None

    def gone(self, call: Call) -> None:
        """Take in that the channel is gone."""
        self.calls.end(call.id, StopType.NORMAL)

    async def keep(self, call: Call, ids: str) -> bool:
        """Tell of the stop, and keep its ids in the channel; False: there is no such channel."""
        call.show(self._life.mirror)
        return await self.store(call, ids)

    async def look(self, call: Call) -> None:
        """Ask whether the channel is there, and what it does."""
        if await self.is_there(call):
            await self._confirm(call.id)
        else:
            self.gone(call)


def text(told: Event, name: str) -> str:
    """Return a text that the engine tells; empty if it tells none of that name."""
    value = told.get(name)
    return value if isinstance(value, str) else ""


def first(told: Event, names: Iterable[str]) -> str | None:
    """Return the first of these texts that the engine tells."""
    return next((found for name in names if (found := text(told, name))), None)
