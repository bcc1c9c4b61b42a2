"""What `/metrics` shows, in Prometheus' text format.

Owns the metrics' names and meanings; one registry per agent, no globals. The loops count, nobody reads back.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from ivr_agent.outcome import Outcome


class Metrics:
    """All metrics of one agent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runtimes = self._gauge("runtimes", "Runtimes the engine runs now")
        self.dirty = self._gauge("dirty_rows", "Rows owed to the table and not yet written")
        self.refused_rows = self._gauge("refused_rows", "Rows set aside because the table refuses them")
        self.in_hand = self._gauge("commands_in_hand", "Stop commands being carried out now")
        self.side_up = self._gauge("side_up", "1 while the side answers", "side")
        self.lease = self._gauge("lease_seconds", "How much longer the node's lease holds")
        self.events = self._counter("events", "Engine events by what became of them", "result")
        self.snapshots = self._counter("snapshots", "Snapshots taken of the engine")
        self.rows = self._counter("rows", "Rows sent to the table by what became of them", "result")
        self.renewals = self._counter("lease_renewals", "Heartbeats by what became of them", "result")
        self.outcomes = self._counter("stop_outcomes", "Stop commands by their outcome", "outcome")
        self.undelivered = self._counter("stops_undelivered", "Times a stop command was put back to be tried again")
        self.dead_letters = self._counter("dead_letters", "Messages moved to the dead-letter queue by the agent")
        self.peer_requests = self._counter("peer_requests", "Requests of peers by the status answered", "status")
        self.loop_failures = self._counter("loop_failures", "Passes of a loop that ended in a defect", "loop")
        for outcome in Outcome:
            self.outcomes.labels(outcome=outcome)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"ivr_agent_{name}", meaning, labels, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"ivr_agent_{name}", meaning, labels, registry=self.registry)
