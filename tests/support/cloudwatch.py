"""When a CloudWatch alarm goes off, by AWS's own pages, from the properties of the alarm in the template.

Owns how many points count, what stands in for a missing one, and what an alarm sees of points that come late. By the
pages "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" and "Using math expressions with
CloudWatch metrics" (`FILL`). How far an alarm looks back beyond its own periods AWS does not say, only that it does;
whoever asks says how far.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Value = float | None
"""Of one period; None where the metric has no point."""

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

TERM: Final = re.compile(r"(FILL\()?(\w+)(?(1), ?(\d+)\))")
"""A term of the sums that our alarms watch: `m0`, or `FILL(m0, 0)`."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a metric tells of `period`, from `seen` on. One seen later takes the place of one seen before."""

    period: int
    value: float
    seen: int


def late(values: Sequence[Value], by: int) -> list[Point]:
    """Give each period's value, to be seen `by` periods after it is over."""
    return [Point(period, value, period + by) for period, value in enumerate(values) if value is not None]


def is_alarm(alarm: Mapping[str, Any], retrieved: Sequence[Value]) -> bool:
    """Judge the points retrieved, the oldest first.

    The newest real points count, as many as the alarm has evaluation periods. Only where there are fewer, its treatment
    of missing data makes up for the others.
    """
    periods = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm", periods))
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    real = [value for value in retrieved if value is not None][-periods:]
    made_up = {"notBreaching": 0, "breaching": periods - len(real)}[alarm["TreatMissingData"]]
    return sum(breaches(value, float(alarm["Threshold"])) for value in real) + made_up >= needed


def alarms(
    alarm: Mapping[str, Any], metrics: Mapping[str, Sequence[Point]], *, until: int, looks_back: int
) -> Iterator[bool]:
    """Tell for each period up to `until`, as it ends, whether the alarm is on.

    `metrics` are its metric's points under "", or those of each metric of its expression, by id. It retrieves
    `looks_back` periods beyond its evaluation periods.
    """
    length = int(alarm["EvaluationPeriods"]) + looks_back
    for now in range(until):
        yield is_alarm(alarm, [value(alarm, metrics, period, now) for period in range(now - length + 1, now + 1)])


def value(alarm: Mapping[str, Any], metrics: Mapping[str, Sequence[Point]], period: int, now: int) -> Value:
    """Reckon what the alarm watches, as known `now`: a metric, or a sum that lacks what one of its terms lacks."""
    if "Metrics" not in alarm:
        return known(metrics[""], period, now)
    *_, total = alarm["Metrics"]
    terms = [term(text, metrics, period, now) for text in total["Expression"].split(" + ")]
    present = [one for one in terms if one is not None]
    return sum(present) if len(present) == len(terms) else None


def term(text: str, metrics: Mapping[str, Sequence[Point]], period: int, now: int) -> Value:
    """`FILL` puts its value wherever there is no point: also where one is merely late."""
    found = TERM.fullmatch(text)
    if found is None:
        message = f"an expression of sums and FILL is all that is known here: {text}"
        raise ValueError(message)
    _, metric, filling = found.groups()
    there = known(metrics.get(metric, ()), period, now)
    return float(filling) if there is None and filling is not None else there


def known(points: Sequence[Point], period: int, now: int) -> Value:
    seen = [point for point in points if point.period == period and point.seen <= now]
    return max(seen, key=lambda point: point.seen).value if seen else None
