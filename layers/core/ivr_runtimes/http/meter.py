"""The functions' metrics, written to the log in CloudWatch's embedded metric format (EMF).

Owns their names, units and dimensions. docs/operations.md lists them; alarms and dashboard in template.yaml use them.
Called by `edge` and by the functions, within `log_metrics`.
"""

from aws_lambda_powertools import Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from ivr_runtimes.http.response import Response


def answered(metrics: Metrics, response: Response, *, latency_ms: float) -> None:
    """Count an answer by its class (`Status2xx`, `Status4xx`, `Status5xx`), and record how long it took."""
    metrics.add_metric(name=f"Status{response['statusCode'] // 100}xx", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Latency", unit=MetricUnit.Milliseconds, value=latency_ms)


def outcome(metrics: Metrics, outcome: str) -> None:
    """Count a request by its outcome: `listed`, a stop's verb, `repeat`, or an error's code."""
    _count(metrics, "Requests", {"outcome": outcome})


def waited(metrics: Metrics, outcome: str, *, effect_s: float | None) -> None:
    """Count a stop that was waited for by what became of it; record how long its effect took, if it was seen."""
    _count(metrics, "StopOutcomes", {"outcome": outcome})
    if effect_s is not None:
        metrics.add_metric(name="StopEffect", unit=MetricUnit.Milliseconds, value=effect_s * 1000)


def listed(metrics: Metrics, *, rows: int, plan: str | None = None, read_units: float | None = None) -> None:
    """Record a list's size and, if known, its plan and the read units that DynamoDB charged.

    Only the first word of a plan such as `page+range` becomes the dimension: all of it would make dozens of metrics.
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
    """Write a line of its own, because EMF's dimensions apply to all metrics of a line."""
    with single_metric(name=name, unit=MetricUnit.Count, value=value, namespace=metrics.namespace) as single:
        for key, of in {"service": str(metrics.service), **dimensions}.items():
            single.add_dimension(name=key, value=of)
