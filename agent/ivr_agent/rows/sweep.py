"""Clears away what earlier lives left in the table: once per engine session, and once more per life of the agent.

Owns finding this node's rows that should not be there. Rows of the running session that the registry does not hold
are owed at once (they are visible); rows of dead sessions, invisible already, at leisure. Once more, when no write of a
killed predecessor can land any longer: what landed after the first look may show what has ended, or hide a change of
what lives, so then every live row is owed too. Only owes: `flush` deletes, and looks at the truth when it does.
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
"""One batch of invisible rows per this long at least, so that a few are no burst."""

CLEAR_WITHIN_S: Final = 90.0
"""Within this long all invisible rows shall be gone, if the table keeps up: lists read, and pay for, what they skip."""

FASTEST_S: Final = 0.05
"""One batch per this long at most, of invisible rows and of live ones: 500 rows/s, half of what a partition takes."""

RETRY_S: Final = 5.0
"""How soon the table is read again when it could not be."""


class Sweep:
    """The sweeping loop; `may_write` tells whether the node is surely ours; requests live `lifetime_s` at most.

    `at_once` is how many batches of what can wait are written side by side: some writers stay free for what cannot.
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
        """True when no visible row of the running session is left that should not be there."""
        if self._swept is None or self._swept != self._registry.session:
            return False
        return not any(runtime_id in self._ledger for runtime_id in self._unknown)

    async def step(self) -> float | None:
        """Read the node's rows when it is time to, then owe one batch at a time what can wait."""
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
        """Owe one more batch, unless as many wait as may be written at once: the table sets the pace then."""
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
        self._pace_s = min(self._pace_s, pace) if again else pace  # what is left is no reason to slow down
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
    """Return how often, in seconds, a batch of that many invisible rows is owed: the more there are, the faster."""
    batches = math.ceil(rows / MAX_WRITES)
    return min(PACE_S, max(FASTEST_S, CLEAR_WITHIN_S / batches)) if batches else PACE_S
