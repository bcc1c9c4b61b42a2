"""The life of the engine behind a bridge: its session, whether its runtimes are known, and when it last answered.

Owns what the agent is told while a bridge does not know its engine (yet): nothing, so that a memory renews no lease and
an unfinished list deletes no rows. Called by bridges.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from ivr_engine.mirror import Mirror
from ivr_engine.model import AwayError, Commands, Snapshot
from ivr_engine.reconnect import LostError, Served
from ivr_engine.reporter import Reporter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Times:
    """How long is waited for what, in seconds."""

    look_every_s: float = 3.0
    """How often the engine is asked what runs; its answer proves that it lives."""
    list_lag_s: float = 0.5
    """After that the engine's list shows a call that began before. Later calls are known by their events."""
    silent_s: float = 10.0
    """Without an answer for that long the connection counts as lost."""


TIMES: Final = Times()


class Look(Protocol):
    """Asks the engine for what its list and its events tell differently, or for everything."""

    async def __call__(self, *, everything: bool) -> None:
        """May raise `LostError` or `TimeoutError`."""
        ...


class Lost(Protocol):
    """Waits so long; raises `LostError` as soon as the connection is lost."""

    async def __call__(self, *, within_s: float) -> None:
        """Wait."""
        ...


class Life:
    """One session after another. `time` is monotonic, in seconds."""

    def __init__(self, reporter: Reporter, *, time: Callable[[], float]) -> None:
        self._reporter, self.now = reporter, time
        self.mirror = Mirror(session="", publish=reporter.put)
        self.known = False
        """Whether every runtime of this life is in the mirror."""
        self._answered = time()

    @property
    def session(self) -> str | None:
        """The session; None until its runtimes are known."""
        return self.mirror.session if self.known else None

    @property
    def answered_s(self) -> float:
        """How long ago the engine last answered, in seconds."""
        return self.now() - self._answered

    def snapshot(self) -> Snapshot:
        """Return every runtime; raises `AwayError` until they are known."""
        if not self.known:
            raise AwayError("the engine's runtimes are not known yet")
        return self.mirror.snapshot()

    def begin(self, session: str, *, seq: int) -> None:
        """Begin another life. `seq` is above each that an earlier bridge has told of it."""
        self.known = False
        self.mirror.begin(session, seq=seq)
        self._reporter.begin(session)

    async def follow(self, look: Look, lost: Lost, served: Served, times: Times) -> None:
        """Learn what runs, then look again and again until the connection is lost: then raises `LostError`."""
        begun = self.now()
        await look(everything=True)
        took_ms = round((self.now() - begun) * 1000)
        await lost(within_s=times.list_lag_s)
        await look(everything=False)
        self.known = True
        served()
        known = {"session": self.session, "runtimes": len(self.snapshot().runtimes), "took_ms": took_ms}
        log.info("the engine's runtimes are known", extra={"action": "resynchronised", **known})
        while self.answered_s < times.silent_s:
            await lost(within_s=times.look_every_s)
            with suppress(TimeoutError):  # a busy engine
                await look(everything=False)
        raise LostError(f"the engine has not answered for {times.silent_s:g} s")

    def answered(self, asked_at: float | None = None) -> None:
        """Note that the engine answered what it was asked at that time, or spoke just now."""
        self._answered = max(self._answered, self.now() if asked_at is None else asked_at)


class Joined:
    """What the server asks of a bridge: the life of its engine, and the stops of its calls."""

    def __init__(self, life: Life, stops: Commands) -> None:
        self._life = life
        self.snapshot = life.snapshot
        self.external_stop, self.terminate = stops.external_stop, stops.terminate

    @property
    def session(self) -> str | None:
        """The session of the engine's life."""
        return self._life.session

    @property
    def answered_s(self) -> float:
        """How long ago the engine last answered, in seconds."""
        return self._life.answered_s
