"""The engine probe: does the engine answer, in which session, and was an event missed.

Owns asking for the status and taking snapshots, and whether the engine is `up`: the lease is renewed only while it is.
A new session (also one seen in an event or a command's answer, see `suspect`), a gap in `seq` or a `seq` that fell
leads to a snapshot.
"""

import asyncio
import logging
from typing import Final

from ivr_agent.engine.client import EngineError, EngineSide
from ivr_agent.engine.falls import Falls
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.process import say
from ivr_agent.protocol import Snapshot, Status
from ivr_agent.rows import Registry
from ivr_runtimes.identifiers import Session
from ivr_runtimes.lease import LEASE_TTL_S

SETTLE_S: Final = 0.5
"""How long events on their way may take to arrive before their absence counts as a gap."""

RETRY_S: Final = 1.0
"""How soon an engine that did not answer is asked again: it may be starting."""

SILENT: Final = "the engine behind its bridge has not answered for as long as a lease lasts"
"""What is wrong when the bridge answers but the engine behind it does not."""

MAX_EXAMPLES: Final = 3
"""How many unreadable rows of a snapshot the log names."""


class Probe:
    """The probing loop. `session` is the engine's as of the last answer, None before the first.

    An engine that its bridge has not heard from for `silent_s` is down, even if the bridge answers.
    """

    def __init__(
        self,
        *,
        engine: EngineSide,
        registry: Registry,
        health: Health,
        metrics: Metrics,
        silent_s: float = LEASE_TTL_S,
    ) -> None:
        self.wake = asyncio.Event()
        self.renewed = asyncio.Event()
        """Set when a new session was seen: the lease must name it at once."""
        self.resynced = asyncio.Event()
        """Set when the first snapshot of a session was taken: the table can be swept."""
        self.session: Session | None = None
        self.up = False
        """True while the engine answered its last probe."""
        self.vouched_s = 0.0
        """When (monotonic) the engine surely lived: when its last answer was asked for, less a bridge's `age_s`."""
        self._engine = engine
        self._registry = registry
        self._health = health
        self._metrics = metrics
        self._silent_s = silent_s
        self._owed_seq = -1
        """The seq of the last status."""
        self._falls = Falls()
        self._told = ""
        """What was last logged of the engine: `up`, or the error of its last probe."""

    def suspect(self, session: Session) -> None:
        """Probe at once if this session is not the known one."""
        if session != self.session:
            self.wake.set()

    async def step(self) -> float | None:
        """Ask for the status; take a snapshot when the session is new, events are missing or `seq` fell.

        An engine that tells its status is up even if the snapshot fails: it carries out commands.
        """
        asked_s, known, heard_seq = self._health.monotonic(), self.session, self._registry.latest
        if known == self._registry.session:
            self._registry.settled = self._falls.settled_seq(asked_s, self._registry.seq)
        try:
            status = await self._engine.status()
        except EngineError as error:
            self._lose(error)
            return RETRY_S
        age_s = status.age_s or 0.0
        if age_s >= self._silent_s:
            self._lose(EngineError(SILENT))
            return RETRY_S
        self.vouched_s = asked_s - age_s
        self._note(status)
        self._look_for_fall(status, heard_seq if status.session == known == self._registry.session else -1)
        try:
            if self._must_resync(status):
                await self._resync()
        except EngineError as error:
            say("snapshot_failed", level=logging.WARNING, about=error, error=str(error), retry_in_s=RETRY_S)
            self._health.unlistable = self._registry.session != self.session
            return RETRY_S
        self._count()
        return SETTLE_S if self._owed_seq > self._registry.seq or self._falls.in_doubt else None

    def _note(self, status: Status) -> None:
        if self._told != "up":
            say("engine_up", session=status.session)
        self.up = self._health.engine = True
        self._told = "up"
        if status.session != self.session:
            say("session_new", session=status.session, before=self.session)
            self.session, self._owed_seq, self._falls = status.session, -1, Falls()
            self.renewed.set()

    def _look_for_fall(self, status: Status, heard_seq: int) -> None:
        """Ask for a snapshot when `seq` fell: the same numbers stand for other changes now."""
        session, seq = status.session, status.seq
        before = self._falls.fallen_from(seq, heard_seq=heard_seq)
        if before is None and self._registry.repeated is not None and self._registry.session == session:
            seq, before = self._registry.repeated, self._registry.settled
        if before is not None:
            self._falls = Falls(status.seq)
            self._registry.renumber()
            self._metrics.seq_falls.inc()
            say("seq_fell", level=logging.ERROR, about=session, session=session, seq=seq, before=before)

    def _must_resync(self, status: Status) -> bool:
        """Tell whether a snapshot is needed: events are missing, or nothing is known of the session."""
        missed = self._owed_seq > self._registry.seq
        self._owed_seq = status.seq
        return missed or self._registry.session != status.session

    async def _resync(self) -> None:
        first = self._registry.session != self.session
        snapshot = await self._engine.snapshot()
        self._tell_unreadable(snapshot)
        if snapshot.session != self.session:
            self.wake.set()  # the engine restarted in between: ask for its status first
            return
        self._registry.adopt(snapshot)
        self._metrics.snapshots.inc()
        say(
            "snapshot",
            session=snapshot.session,
            seq=snapshot.seq,
            runtimes=len(snapshot.runtimes),
            unreadable=len(snapshot.unreadable),
        )
        if first:
            self.resynced.set()

    def _tell_unreadable(self, snapshot: Snapshot) -> None:
        """Log one line for all rows that cannot be read: how many, and a few of each fault."""
        if not snapshot.unreadable:
            return
        examples = list(snapshot.unreadable.items())[:MAX_EXAMPLES]
        say(
            "row_unreadable",
            level=logging.ERROR,
            about=sorted(set(snapshot.unreadable.values()))[:MAX_EXAMPLES],
            rows=len(snapshot.unreadable),
            readable=len(snapshot.runtimes),
            examples=[{"row": row, "error": wrong} for row, wrong in examples],
        )

    def _count(self) -> None:
        listable, unreadable = len(self._registry), len(self._registry.unreadable)
        self._metrics.runtimes.set(listable)
        self._health.unreadable_rows = unreadable
        self._health.unlistable = unreadable > 0 and listable == 0

    def _lose(self, error: EngineError) -> None:
        if self._told != str(error):
            say("engine_down", level=logging.WARNING, about=error, error=str(error))
        self.up = self._health.engine = False
        self._told = str(error)
