"""The wait for a stop's effect, which `Prefer: wait=N` asks for (docs/api.md).

Owns how long and how often it looks at the runtime's row. Never changes what was sent, and never makes an error of an
accepted stop: what it cannot see is `pending`. Called by the stop function.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ivr_runtimes.ports import NodeLookup, RuntimeLookup
from ivr_runtimes.stopping.acceptance import StopReceipt
from ivr_runtimes.stopping.deadline import within
from ivr_runtimes.stopping.outcome import StopOutcome, proven
from ivr_runtimes.telling import told

FIRST_LOOK_S: Final = 0.05
"""The pause before the first look: the engine has seldom been told any sooner."""

GROWTH: Final = 1.5
"""By how much each pause is longer than the one before: an effect is seen at most half as late again as it came."""

MAX_READS: Final = 12
"""Reads per wait: eleven of the runtime's row reach beyond the longest wait, and one of its node's."""

LAST_LOOK_S: Final = 0.2
"""How long before its end a wait looks for the last time, so that the answer is there in time."""


@dataclass(slots=True)
class Waited:
    """What a wait saw: the outcome, after how long, by how many reads; `error` is that of the last read that failed.

    `effect_s` is how long the stop took from its acceptance on; None where it was not seen, or sent by an earlier
    request.
    """

    outcome: StopOutcome = StopOutcome.PENDING
    took_s: float = 0.0
    effect_s: float | None = None
    reads: int = 0
    error: str = ""

    def described(self) -> dict[str, Any]:
        """Return what a log tells about the wait."""
        told_s = round(self.took_s, 3)
        return {"stop_outcome": self.outcome, "waited_s": told_s, "reads": self.reads, "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectWait:
    """The use case. `monotonic` is the clock of the receipts; `sleep` waits so many seconds."""

    runtimes: RuntimeLookup
    nodes: NodeLookup
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def watch(self, receipt: StopReceipt, *, wait_s: int) -> Waited:
        """Look until the stop has taken effect, or `wait_s` after the request came; never raises.

        The row that the stop was accepted by counts as a look: it shows a repeat what the first request has done.
        """
        return _Watch(self, receipt, until_s=receipt.begun_s + wait_s).through()


@dataclass(slots=True)
class _Watch:
    """One wait."""

    of: EffectWait
    receipt: StopReceipt
    until_s: float = field(kw_only=True)
    waited: Waited = field(default_factory=Waited)

    def through(self) -> Waited:
        begun_s = self.of.monotonic()
        outcome = proven(self.receipt, self.receipt.runtime)
        pauses = self._pauses()
        while outcome is None and (pause_s := next(pauses, None)) is not None:
            self.of.sleep(pause_s)
            outcome = self._read(self._row)
        self.waited.outcome = outcome or self._read(self._node) or StopOutcome.PENDING
        self.waited.took_s = self.of.monotonic() - begun_s
        if self.receipt.verb is not None and self.waited.outcome is not StopOutcome.PENDING:
            self.waited.effect_s = self.waited.took_s
        return self.waited

    def _pauses(self) -> Iterator[float]:
        """Yield growing pauses; the last one ends shortly before the wait does."""
        pause_s = FIRST_LOOK_S
        for _ in range(MAX_READS - 1):
            left_s = self.until_s - LAST_LOOK_S - self.of.monotonic()
            if left_s < FIRST_LOOK_S / 2:
                return
            yield min(pause_s, left_s)
            pause_s *= GROWTH

    def _row(self) -> StopOutcome | None:
        runtime = self.receipt.runtime
        return proven(self.receipt, self.of.runtimes.present(runtime.site, runtime.id))

    def _node(self) -> StopOutcome | None:
        """Look whether the engine lives anew: rows of its earlier session are deleted later than that is known.

        A lease that has lapsed proves nothing: the call may still run.
        """
        runtime = self.receipt.runtime
        node = self.of.nodes.read(runtime.site, runtime.node)
        return StopOutcome.ENDED if node is not None and node.session != runtime.session else None

    def _read(self, look: Callable[[], StopOutcome | None]) -> StopOutcome | None:
        """Look once, within what is left of the wait; None if nothing was proven, or no answer came."""
        left_s = self.until_s - self.of.monotonic()
        if left_s <= 0:
            return None
        self.waited.reads += 1
        try:
            return within(left_s, look)
        except Exception as error:  # noqa: BLE001  # the stop is accepted, whatever goes wrong with a look; the log tells
            self.waited.error = told(error)
            return None
