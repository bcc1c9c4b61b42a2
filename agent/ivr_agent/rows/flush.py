"""The writer of table `runtimes`: writes what the ledger says is owed.

Owns requests, retries and what each kind of failure means (ports.RuntimeWriter). Several drivers may run `Flush.step`
at the same time: the ledger never hands one id to two of them. Rows are made together with their request, so `lwt` is
the write's time and the table always gets the current state: a put of what lives, a delete of what does not.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from ivr_agent.aws import Clock, Run, level_of, rfc3339
from ivr_agent.metrics import Metrics
from ivr_agent.process import NOT_OURS_S, Backoff, say
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_runtimes.errors import AmbiguousWriteError, RefusedWriteError, StoreUnavailableError
from ivr_runtimes.identifiers import RuntimeId
from ivr_runtimes.ports import RuntimeWriter, WriteBatch

RETRY_FIRST_S: Final = 0.1
"""The wait after the first failed write; it doubles."""

RETRY_MOST_S: Final = 5.0
"""The longest wait between tries while AWS is away: its return is noticed within this."""

YIELD_FIRST_S: Final = 0.5
"""How long writes at leisure pause after the first failed write of any row; it doubles."""

YIELD_MOST_S: Final = 10.0
"""The longest such pause."""

SET_ASIDE_S: Final = 300.0
"""How long a refused row waits before it is tried again: somebody may have mended the cause."""


class Flush:
    """The writing loop. `lifetime_s` is the longest life of one request; `may_write` tells whether this agent may."""

    def __init__(  # noqa: PLR0913  # the loop's collaborators; bundling them would only hide them
        self,
        *,
        place: Place,
        registry: Registry,
        ledger: Ledger,
        table: RuntimeWriter,
        service: Run,
        clock: Clock,
        metrics: Metrics,
        may_write: Callable[[], bool],
        lifetime_s: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._place = place
        self._registry = registry
        self._ledger = ledger
        self._table = table
        self._service = service
        self._clock = clock
        self._metrics = metrics
        self._may_write = may_write
        self._lifetime_s = lifetime_s
        self._backoff = backoff or Backoff(first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)
        self._yielding = Backoff(first_s=YIELD_FIRST_S, most_s=YIELD_MOST_S)
        self._closed_until_s = 0.0
        self._refused: set[RuntimeId] = set()

    async def step(self) -> float | None:
        """Write one batch; return the seconds until the next one is due."""
        if not self._may_write():
            return NOT_OURS_S
        closed_s = self._closed_until_s - self._clock.monotonic()
        if closed_s > 0:
            return closed_s
        if ids := self._ledger.take():
            if self._backoff.failures:  # after failures one request at a time tests whether AWS is back
                self._closed_until_s = self._clock.monotonic() + self._lifetime_s
            await self._write(ids)
        self._metrics.dirty.set(len(self._ledger))
        return self._ledger.next_s()

    async def refresh(self) -> None:
        """Owe again the rows that garbage collection would soon take."""
        self._ledger.refresh()

    async def _write(self, ids: Sequence[RuntimeId]) -> None:
        """Write these ids; halve a refused batch until the bad row is alone, so that it never blocks others."""
        try:
            batch = self._batch(ids)
            unwritten = await self._service(self._table.write, batch)
        except RefusedWriteError as error:
            await self._bisect(ids, error)
        except StoreUnavailableError as error:
            self._fail(ids, error)
        except BaseException:
            self._ledger.unpaid(ids)  # cancelled, or a defect: the write's fate is not known
            raise
        else:
            self._settle(batch, unwritten)

    def _batch(self, ids: Sequence[RuntimeId]) -> WriteBatch:
        lwt, session = rfc3339(self._clock.now_s()), self._registry.session
        states = [state for id_ in ids if (state := self._registry.get(id_)) is not None]
        puts = [state.row(self._place.site, self._place.node, session, lwt=lwt) for state in states if session]
        gone = [id_ for id_ in ids if self._registry.get(id_) is None]
        return WriteBatch(site=self._place.site, puts=puts, deletes=gone)

    def _settle(self, batch: WriteBatch, unwritten: set[RuntimeId]) -> None:
        deletes = set(batch.deletes)
        for runtime_id in batch.ids - unwritten:
            lag_s = self._ledger.paid(runtime_id, deleted=runtime_id in deletes)
            if lag_s is not None:
                self._metrics.lag.observe(lag_s)
            self._refused.discard(runtime_id)
        self._count("written", len(batch.ids) - len(unwritten))
        if len(unwritten) < len(batch.ids):
            self._open()
        if not unwritten:
            self._yielding.reset()
        if unwritten:
            self._retry_later(unwritten, "throttled", "the table took only a part")

    def _open(self) -> None:
        """Go on at full speed: the table answers. Throttled rows of a batch still wait a moment."""
        if self._backoff.failures:
            self._backoff.reset()
            self._closed_until_s = 0.0
            self._ledger.wake.set()

    def _fail(self, ids: Sequence[RuntimeId], error: StoreUnavailableError) -> None:
        ambiguous = isinstance(error, AmbiguousWriteError)
        if ambiguous:  # the request may land late, over a newer one: write again when it no longer can
            self._ledger.owe_at(self._clock.monotonic() + self._lifetime_s, ids)
        self._retry_later(ids, "ambiguous" if ambiguous else "unavailable", str(error), level=level_of(error))

    def _retry_later(
        self, ids: "Sequence[RuntimeId] | set[RuntimeId]", result: str, error: str, *, level: int = logging.WARNING
    ) -> None:
        """Try these ids again after a while, and those that can wait later still: capacity is short."""
        wait_s = self._yielding.next_s()
        self._ledger.rest(wait_s)
        if not self._ledger.is_leisure(ids):
            wait_s = self._backoff.next_s()
            self._closed_until_s = self._clock.monotonic() + wait_s
        self._ledger.unpaid(ids)
        self._count(result, len(ids))
        say(
            "write_failed",
            level=level,
            about=result,
            result=result,
            rows=len(ids),
            retry_in_s=round(wait_s, 2),
            error=error,
        )

    async def _bisect(self, ids: Sequence[RuntimeId], error: RefusedWriteError) -> None:
        self._open()  # a refusal shows that AWS answers
        if len(ids) > 1:
            half = len(ids) // 2
            await asyncio.gather(self._write(ids[:half]), self._write(ids[half:]))
            return
        (runtime_id,) = ids
        self._refused.add(runtime_id)
        self._ledger.set_aside(runtime_id, until_s=self._clock.monotonic() + SET_ASIDE_S)
        self._count("refused", 1)
        say("row_refused", level=logging.ERROR, runtime_id=runtime_id, error=str(error), retry_in_s=SET_ASIDE_S)

    def _count(self, result: str, rows: int) -> None:
        self._metrics.rows.labels(result=result).inc(rows)
        self._metrics.refused_rows.set(len(self._refused))
