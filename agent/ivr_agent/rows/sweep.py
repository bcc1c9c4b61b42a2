"""Removes rows that earlier sessions and agents left: once per engine session, and once more per run of the agent.

Owns finding this node's rows that should not be there. Rows of the running session that the registry does not hold are
visible, so they are owed at once; rows of dead sessions are invisible, so they are owed at leisure. The second look
comes when no write of a killed predecessor can arrive any more. A late write may show an ended runtime or hide a change
of a live one, so then every live row is owed too. Only owes: `flush` deletes, by the state at that time.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from ivr_agent.aws import Run, level_of
from ivr_agent.process import NOT_OURS_S, say
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import RuntimeId, Session
from ivr_runtimes.ports import MAX_WRITES, RowRef, RuntimeWriter

PACE_S: Final = 1.0
"""The longest time between batches of invisible rows: a few rows cause no burst."""

CLEAR_WITHIN_S: Final = 90.0
"""All invisible rows should be gone within this, if the table keeps up: lists read and pay for them."""

FASTEST_S: Final = 0.05
"""The shortest time between batches, invisible rows or live: 500 rows/s, half of a partition's limit."""

RETRY_S: Final = 5.0
"""How soon the table is read again after a failure."""


class Sweep:
    """The sweeping loop; `may_write` tells whether this agent surely may; requests live `lifetime_s` at most.

    `at_once` is how many batches at leisure are written in parallel: some writers stay free for urgent rows.
    """

    def __init__(  # noqa: PLR0913  # the loop's collaborators; bundling them would only hide them
        self,
        *,
        place: Place,
        registry: Registry,
        ledger: Ledger,
        table: RuntimeWriter,
        service: Run,
        may_write: Callable[[], bool],
        monotonic: Callable[[], float],
        lifetime_s: float,
        at_once: int = 1,
    ) -> None:
        self._place = place
        self._registry = registry
        self._ledger = ledger
        self._table = table
        self._service = service
        self._may_write = may_write
        self._monotonic = monotonic
        self._lifetime_s = lifetime_s
        self._at_once = at_once
        self._pace_s = PACE_S
        self._swept: Session | None = None
        self._again_s: float | None = None
        """When (monotonic) to look once more; infinite once that is done."""
        self._live: deque[RuntimeId] = deque()
        self._leisure: deque[RuntimeId] = deque()
        self._unknown: list[RuntimeId] = []

    @property
    def done(self) -> bool:
        """True when the running session has no wrong visible row left."""
        if self._swept is None or self._swept != self._registry.session:
            return False
        return not any(runtime_id in self._ledger for runtime_id in self._unknown)

    async def step(self) -> float | None:
        """Read the node's rows when due, then owe those that can wait, one batch at a time."""
        if not self._may_write():
            return NOT_OURS_S
        if self._registry.session != self._swept:
            return await self._look()
        if self._again_s is not None and self._monotonic() >= self._again_s:
            return await self._look(again=True)
        if self._live:
            self._owe_some(self._live)
            return FASTEST_S
        if self._leisure:
            self._owe_some(self._leisure)
            return self._pace_s
        return None

    def _owe_some(self, waiting: deque[RuntimeId]) -> None:
        """Owe one more batch, unless `at_once` batches still wait: then the table sets the pace."""
        if self._ledger.leisure <= (self._at_once - 1) * MAX_WRITES:
            self._ledger.owe_at_leisure([waiting.popleft() for _ in range(min(MAX_WRITES, len(waiting)))])

    async def _look(self, *, again: bool = False) -> float | None:
        session = self._registry.session
        try:
            rows = await self._service(self._rows)
        except StoreUnavailableError as error:
            say("sweep_failed", level=level_of(error), error=str(error))
            return RETRY_S
        if session != self._registry.session:
            return 0.0
        self._unknown = [row.id for row in rows if row.session == session and self._registry.get(row.id) is None]
        self._leisure = deque(row.id for row in rows if row.session != session)
        pace = pace_s(len(self._leisure))
        self._pace_s = min(self._pace_s, pace) if again else pace  # fewer rows must not slow it down
        self._swept = session
        self._live = deque(self._registry.ids() if again else ())
        if again:
            self._again_s = math.inf
        elif self._again_s is None:
            self._again_s = self._monotonic() + self._lifetime_s
        self._ledger.hold(self._unknown)
        self._ledger.owe(self._unknown)
        say("swept", rows=len(rows), unknown=len(self._unknown), dead=len(self._leisure))
        return 0.0

    def _rows(self) -> list[RowRef]:
        return list(self._table.rows_of_node(self._place.site, self._place.node))


def pace_s(rows: int) -> float:
    """Return the seconds between batches for that many invisible rows: the more rows, the faster."""
    batches = math.ceil(rows / MAX_WRITES)
    return min(PACE_S, max(FASTEST_S, CLEAR_WITHIN_S / batches)) if batches else PACE_S
