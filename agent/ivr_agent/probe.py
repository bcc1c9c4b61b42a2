"""The engine probe: is the engine there, which life is it in, has anything been missed.

Owns asking for the status and taking snapshots. The lease is renewed only while `up`; a new session (also one that
an event or a command's answer betrays, see `suspect`) or a gap in `seq` leads to a snapshot.
"""

import asyncio
import logging
from typing import Final

from ivr_agent.engine import EngineError, EngineSide
from ivr_agent.health import Health
from ivr_agent.log import say
from ivr_agent.metrics import Metrics
from ivr_agent.registry import Registry
from ivr_agent.wire import Status
from ivr_runtimes.names import Session

SETTLE_S: Final = 0.5
"""How long events on their way may take to arrive before their absence counts as a gap."""

RETRY_S: Final = 1.0
"""How soon an engine that did not answer is asked again: it may be starting."""


class Probe:
    """The probing loop. `session` is the engine's life as of the last answer, None before the first."""

    def __init__(self, *, engine: EngineSide, registry: Registry, health: Health, metrics: Metrics) -> None:
        self.wake = asyncio.Event()
        self.renewed = asyncio.Event()
        """Set when a new session was seen: the lease must name it at once."""
        self.resynced = asyncio.Event()
        """Set when the first snapshot of a session was taken: the table can be swept."""
        self.session: Session | None = None
        self.vouched_s = 0.0
        """When (monotonic) the engine was asked what it last answered: it lived then, and nothing is known of later."""
        self._engine = engine
        self._registry = registry
        self._health = health
        self._metrics = metrics
        self._owed_seq = -1
        self._told_up: bool | None = None
        """What the log says of the engine; None before it said anything."""

    @property
    def up(self) -> bool:
        """True while the engine answered its last probe."""
        return self._health.engine

    def suspect(self, session: Session) -> None:
        """Probe at once when somebody saw a session that is not the known one."""
        if session != self.session:
            self.wake.set()

    async def step(self) -> float | None:
        """Ask for the status; take a snapshot when the session is new or events are missing.

        An engine that tells its status is up, whatever becomes of the snapshot: it carries out commands.
        """
        asked_s = self._health.monotonic()
        try:
            status = await self._engine.status()
        except EngineError as error:
            self._lose(error)
            return RETRY_S
        self.vouched_s = asked_s
        self._note(status)
        try:
            if self._must_resync(status):
                await self._resync()
        except EngineError as error:
            say("snapshot_failed", level=logging.WARNING, error=str(error), retry_in_s=RETRY_S)
            return RETRY_S
        self._metrics.runtimes.set(len(self._registry))
        return SETTLE_S if self._owed_seq > self._registry.seq else None

    def _note(self, status: Status) -> None:
        if not self._told_up:
            say("engine_up", session=status.session)
        self._health.engine = self._told_up = True
        if status.session != self.session:
            say("session_new", session=status.session, before=self.session)
            self.session, self._owed_seq = status.session, -1
            self.renewed.set()

    def _must_resync(self, status: Status) -> bool:
        """Decide on a snapshot: what an earlier answer promised has not come, or nothing is known of the session."""
        missed = self._owed_seq > self._registry.seq
        self._owed_seq = status.seq
        return missed or self._registry.session != status.session

    async def _resync(self) -> None:
        first = self._registry.session != self.session
        snapshot = await self._engine.snapshot()
        for row, wrong in snapshot.unreadable.items():
            say("row_unreadable", level=logging.ERROR, row=row, error=wrong)
        if snapshot.session != self.session:
            self.wake.set()  # the engine was restarted in between: ask anew, the session comes first
            return
        self._registry.adopt(snapshot)
        self._metrics.snapshots.inc()
        say("snapshot", session=snapshot.session, seq=snapshot.seq, runtimes=len(snapshot.runtimes))
        if first:
            self.resynced.set()

    def _lose(self, error: EngineError) -> None:
        if self._told_up is not False:
            say("engine_down", level=logging.WARNING, error=str(error))
        self._health.engine = self._told_up = False
