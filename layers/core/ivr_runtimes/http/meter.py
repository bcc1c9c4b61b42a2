"""What the functions tell CloudWatch about themselves: metrics in its embedded format (EMF), written to the log.

Owns metrics' names, units and dimensions; docs/operations.md lists them, template.yaml's alarms and dashboard read
them. Never decides anything. Called by `edge` and by the functions, between `log_metrics`' start and its flush.
"""

from aws_lambda_powertools import Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from ivr_runtimes.http.response import Response


def answered(metrics: Metrics, response: Response, *, latency_ms: float) -> None:
    """Count an answer by its class (`Status2xx`, `Status4xx`, `Status5xx`); note how long the function took for it."""
    metrics.add_metric(name=f"Status{response['statusCode'] // 100}xx", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Latency", unit=MetricUnit.Milliseconds, value=latency_ms)


def outcome(metrics: Metrics, outcome: str) -> None:
    """Count a request by what became of it: `listed`, a stop's verb or `repeat`, or an error's code."""
    _count(metrics, "Requests", {"outcome": outcome})


def listed(metrics: Metrics, *, rows: int, plan: str | None = None, read_units: float | None = None) -> None:
    """Note a list's size and, where they are known, how it was read (`plan`) and what DynamoDB charged for it.

    Of a plan such as `page+range` the first word becomes the dimension; its further parts would make dozens of metrics.
    """
    outcome(metrics, "listed")
    metrics.add_metric(name="RuntimesListed", unit=MetricUnit.Count, value=rows)
    if read_units is not None:
        metrics.add_metric(name="ReadUnits", unit=MetricUnit.Count, value=read_units)
    if plan is not None:
        _count(metrics, "Lists", {"plan": plan.partition("+")[0]})


def unreadable(metrics: Metrics, table: str, rows: int) -> None:
    """Count rows of a table, `runtimes` or `nodes`, that could not be read."""
    _count(metrics, "UnreadableRows", {"table": table}, value=rows)


def _count(metrics: Metrics, name: str, dimensions: dict[str, str], *, value: int = 1) -> None:
    """Count in a metric of its own, since EMF's dimensions hold for all metrics of a line."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=metrics.namespace) as single:
        for key, of in {"service": str(metrics.service), **dimensions}.items():
            single.add_dimension(name=key, value=of)
