"""What `/metrics` shows, in Prometheus' text format.

Owns the metrics' names and meanings; one registry per agent, no globals. The loops count, and no code reads the counts.
Scrapers that ask for OpenMetrics also get exemplars: the stop id of the latest stop of each outcome. As labels, stop
ids would be unbounded.
"""

import logging
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from ivr_agent.outcome import Outcome
from ivr_agent.process import say
from ivr_runtimes.unreadable import Notices, Unreadable

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_TEXT: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

LAGS_S: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
"""Fine around the promised 50 ms, and long enough to show how long AWS was away."""

STOP_AGES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
"""Fine where a caller waits for the effect (8 s at most), and up to a command's deadline."""


def notices(metrics: "Metrics") -> Notices:
    """Return the callbacks for unreadable rows: one logs each once, one counts all."""

    def tell(table: str, row: Unreadable) -> None:
        say("table_row_unreadable", level=logging.WARNING, table=table, **row._asdict())

    return Notices(tell=tell, count=lambda table, rows: metrics.unreadable.labels(table=table).inc(rows))


class Metrics:
    """All metrics of one agent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runtimes = self._gauge("runtimes", "Runtimes the engine runs now")
        self.unreadable_rows = self._gauge("unreadable_rows", "Runtimes not listed: the engine's rows cannot be read")
        self.dirty = self._gauge("dirty_rows", "Rows owed to the table and not yet written")
        self.refused_rows = self._gauge("refused_rows", "Rows set aside because the table refuses them")
        self.in_hand = self._gauge("commands_in_hand", "Stop commands being carried out now")
        self.side_up = self._gauge("side_up", "1 while the side answers", "side")
        self.clock_set = self._gauge("clock_set", "1 once AWS has told the time")
        self.lease = self._gauge("lease_seconds", "How much longer the node's lease holds")
        self.lease_state = self._gauge("lease_state", "1 for the state that the lease is in", "state")
        self.events = self._counter("events", "Engine events by what became of them", "result")
        self.snapshots = self._counter("snapshots", "Snapshots taken of the engine")
        self.seq_falls = self._counter("seq_falls", "Times the engine's seq fell within a session, which it must not")
        self.rows = self._counter("rows", "Rows sent to the table by what became of them", "result")
        self.lag = Histogram(
            "ivr_agent_flush_lag_seconds",
            "Seconds from a change in the engine's set to its row being written",
            registry=self.registry,
            buckets=LAGS_S,
        )
        self.renewals = self._counter("lease_renewals", "Heartbeats by what became of them", "result")
        self.outcomes = self._counter("stop_outcomes", "Stop commands by their outcome", "outcome")
        self.stop_ages = Histogram(
            "ivr_agent_stop_age_seconds",
            "Seconds from a stop's acceptance to its outcome",
            registry=self.registry,
            buckets=STOP_AGES_S,
        )
        self.undelivered = self._counter("stops_undelivered", "Times a stop command was put back to be tried again")
        self.deadlines_in_doubt = self._counter(
            "deadlines_in_doubt", "Times a stop was not called expired because AWS's time contradicts all other clocks"
        )
        self.dead_letters = self._counter("dead_letters", "Messages moved to the dead-letter queue by the agent")
        self.peer_requests = self._counter("peer_requests", "Requests of peers by the status answered", "status")
        self.loop_failures = self._counter("loop_failures", "Passes of a loop that ended in a defect", "loop")
        self.unreadable = self._counter("table_rows_unreadable", "Rows of the tables that could not be read", "table")
        for outcome in Outcome:
            self.outcomes.labels(outcome=outcome)

    def stopped(self, outcome: Outcome, stop_id: str, *, age_s: float) -> None:
        """Count a stop's outcome, so long after its acceptance; the stop id is its exemplar."""
        self.outcomes.labels(outcome=outcome).inc(exemplar={"stop_id": stop_id})
        self.stop_ages.observe(age_s)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def open_text(self) -> bytes:
        """Return all metrics, exemplars included, in the OpenMetrics format."""
        text: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # it has no types
        return text

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"ivr_agent_{name}", meaning, labels, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"ivr_agent_{name}", meaning, labels, registry=self.registry)
