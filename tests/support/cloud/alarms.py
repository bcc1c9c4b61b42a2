"""What CloudWatch takes as an alarm on metric math.

Pages: "MetricDataQuery" and "PutMetricAlarm" of the CloudWatch API reference, "Using math expressions with CloudWatch
metrics" and "CloudWatch quotas" of its user guide.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

MAX_METRICS: Final = 10
"""CloudWatch quotas: an alarm on a metric math expression reads at most so many metrics."""

ID: Final = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")
"""MetricDataQuery, `Id`: names of metrics begin with a small letter, those of functions are in capitals."""

NAMED: Final = re.compile(r"(?<![\w.])[a-z]\w*")
QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


class AlarmError(ValueError):
    """CloudWatch would refuse the alarm."""


def total(queries: Sequence[Mapping[str, Any]]) -> str:
    """Return the expression that an alarm watches; raises `AlarmError`."""
    ids = Counter(str(query["Id"]) for query in queries)
    if wrong := [name for name, times in ids.items() if times > 1 or not ID.fullmatch(name)]:
        raise AlarmError(f"ids must be unique and begin with a small letter: {wrong}")
    if both := [query["Id"] for query in queries if ("Expression" in query) == ("MetricStat" in query)]:
        raise AlarmError(f"either Expression or MetricStat is wanted: {both}")
    if sum("MetricStat" in query for query in queries) > MAX_METRICS:
        raise AlarmError(f"an alarm reads at most {MAX_METRICS} metrics")
    expressions = {query["Id"]: str(query["Expression"]) for query in queries if "Expression" in query}
    for expression in expressions.values():
        _check(expression, ids.keys())
    watched = [str(query["Id"]) for query in queries if str(query.get("ReturnData", True)).lower() == "true"]
    if len(watched) != 1:
        raise AlarmError(f"exactly one query returns data, not {watched}")
    return expressions.get(watched[0], watched[0])


def _check(expression: str, known: Collection[str]) -> None:
    if unknown := set(NAMED.findall(QUOTED.sub("", expression))) - set(known):
        raise AlarmError(f"{expression!r} names {sorted(unknown)}, which no query has as its id")
    if "SEARCH(" in expression:
        raise AlarmError("no alarm can be made of SEARCH, which returns several series")
