"""Every alarm goes off on what it is for, though its points come late, and on nothing else.

The sequences are one value per period of the alarm, the oldest first; None is a period without a point.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from cloudwatch import Point, Value, alarms, is_alarm, late
from ivr_local.template import Stack

X, O = 9.0, 0.0  # noqa: E741 - AWS's own table writes a breaching point X, another one 0

AFTERWARDS = 12
"""Periods that are watched after a sequence has ended."""

LOOKS_BACK = (0, 1, 2)
"""Periods beyond its own that an alarm may see. AWS says that there are some; in its table they are two of five."""

LATE_S = 240
"""How late a point may be. A new metric can be read after two minutes (AWS: "Publish custom metrics"), API Gateway,
Lambda and DynamoDB tell every minute; the rest is for logs on their way to a filter."""

LATE_SHIPPED_S = 600
"""Where an agent's host has been cut off, as one that lets commands expire often was, its log comes later."""


@dataclass(frozen=True, slots=True)
class Story:
    """`fires` and `quiet` by metric of the alarm's expression; "" is the metric of an alarm that has one."""

    fires: Mapping[str, Sequence[Value]]
    quiet: Mapping[str, Sequence[Value]]
    late_s: int = LATE_S


def counts(fires: Sequence[Value], quiet: Sequence[Value] = (None, None, None), late_s: int = LATE_S) -> Story:
    return Story({"": fires}, {"": quiet}, late_s)


ONE_FAILURE_AMONG_CALLS = counts([0, 0, 1, 0, 0, 0, 0], quiet=[0, 0, 0, None, 0])
ONE_LINE = counts([None, None, 1, None, None])

STORIES = {
    "ApiErrors": ONE_FAILURE_AMONG_CALLS,
    "ListErrors": ONE_FAILURE_AMONG_CALLS,
    "StopErrors": ONE_FAILURE_AMONG_CALLS,
    "ListThrottles": ONE_FAILURE_AMONG_CALLS,
    "StopThrottles": ONE_FAILURE_AMONG_CALLS,
    "ApiThrottles": ONE_LINE,
    "ExpiredCommands": counts([None, None, 1, None, None], late_s=LATE_SHIPPED_S),
    # Seconds: a command grows old, and one that is taken within two minutes does not count.
    "CommandAge": counts([0, 60, 120, 180, 0, 0], quiet=[0, 60, 120, 60, 0]),
    "UndeliveredCommands": counts([None, 75, 135, None], quiet=[None, 75, 120, None]),
    "DeadLetters": counts([None, None, 1, 1, 1, 1], quiet=[None, 0, 0, 0]),
    # The index's writes alone: where nothing is throttled, DynamoDB tells nothing.
    "TableThrottles": Story({"m3": [None, None, 5, None]}, {"m3": [None, 0, None]}),
    "StopFailures": Story({"m0": [None, None, 1, None]}, {"m0": [None, None], "m1": [None, 0]}),
}


def of_kind(stack: Stack) -> dict[str, dict[str, Any]]:
    """One alarm of each kind: those of the first site, where each site has its own."""
    found = {
        name: one["Properties"] for name, one in stack.resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"
    }
    return {re.sub(r"SITE1$", "", name): alarm for name, alarm in found.items() if not name.endswith("SITE2")}


def period_s(alarm: Mapping[str, Any]) -> int:
    (length,) = {int(one["MetricStat"]["Period"]) for one in alarm.get("Metrics", ()) if "MetricStat" in one} or {
        int(alarm["Period"])
    }
    return length


def watched(alarm: Mapping[str, Any], metrics: Mapping[str, Sequence[Value]], by: int, looks_back: int) -> list[bool]:
    points = {name: late(values, by) for name, values in metrics.items()}
    until = max(map(len, metrics.values())) + by + AFTERWARDS
    return list(alarms(alarm, points, until=until, looks_back=looks_back))


def test_every_alarm_has_its_story(stack: Stack) -> None:
    assert STORIES.keys() == of_kind(stack).keys()


@pytest.mark.parametrize("looks_back", LOOKS_BACK)
@pytest.mark.parametrize("kind", STORIES)
def test_an_alarm_goes_off_however_late_its_points_are_and_ends(stack: Stack, kind: str, looks_back: int) -> None:
    """Also where they come after newer ones, or the newest period has none yet."""
    alarm, story = of_kind(stack)[kind], STORIES[kind]
    for by in range(story.late_s // period_s(alarm) + 1):
        states = watched(alarm, story.fires, by, looks_back)
        assert any(states), f"{by} periods late"
        if kind != "DeadLetters":
            assert not states[-1], "it is over"


@pytest.mark.parametrize("looks_back", LOOKS_BACK)
@pytest.mark.parametrize("kind", STORIES)
def test_an_alarm_stays_silent_on_what_is_usual(stack: Stack, kind: str, looks_back: int) -> None:
    alarm, story = of_kind(stack)[kind], STORIES[kind]
    for by in range(story.late_s // period_s(alarm) + 1):
        assert not any(watched(alarm, story.quiet, by, looks_back)), f"{by} periods late"


@pytest.mark.parametrize("kind", STORIES)
def test_an_alarm_goes_off_on_a_period_that_is_counted_to_the_end_later(stack: Stack, kind: str) -> None:
    """What the first look says of a busy minute is not the last word: the failure comes after newer, good points."""
    alarm, story = of_kind(stack)[kind], STORIES[kind]
    by = story.late_s // period_s(alarm)
    (name, values), *_ = story.fires.items()
    first = [Point(period, 0.0, period) for period in range(len(values) + by)]
    points = {name: [*first, *late(values, by)]}
    assert any(alarms(alarm, points, until=len(values) + by + AFTERWARDS, looks_back=0))


@pytest.mark.parametrize("kind", ["TableThrottles", "StopFailures"])
def test_an_alarm_of_one_filled_period_would_be_stuck(stack: Stack, kind: str) -> None:
    """The fault that these alarms had: the newest point was always FILL's, so they never went off."""
    one_period = {**of_kind(stack)[kind], "EvaluationPeriods": 1}
    assert any(watched(one_period, STORIES[kind].fires, by=0, looks_back=2)), "unless a point is there at once"
    assert not any(watched(one_period, STORIES[kind].fires, by=1, looks_back=2))


def test_whatever_is_missing_of_a_table_is_filled(stack: Stack) -> None:
    """Of a metric of AWS/DynamoDB, CloudWatch ignores what is missing, whatever the alarm says; it would never end."""
    (throttles,) = (alarm for alarm in of_kind(stack).values() if "AWS/DynamoDB" in str(alarm))
    *parts, total = throttles["Metrics"]
    assert all(f"FILL({part['Id']}, 0)" in total["Expression"] for part in parts)


TABLE = [
    # EvaluationPeriods, DatapointsToAlarm, the five points retrieved, ALARM if missing is breaching, if notBreaching
    (3, 3, [O, None, X, None, X], False, False),
    (3, 3, [O, None, None, None, None], False, False),
    (3, 3, [None, None, None, None, None], True, False),
    (3, 3, [O, X, X, None, X], True, True),
    (3, 3, [None, None, X, None, None], True, False),
    (3, 2, [O, None, X, None, X], True, True),
    (3, 2, [O, O, X, O, X], True, True),
    (3, 2, [O, None, X, None, None], True, False),
    (3, 2, [None, None, None, None, O], True, False),
    (3, 2, [None, None, None, X, None], True, False),
]


@pytest.mark.parametrize(("periods", "needed", "points", "breaching", "not_breaching"), TABLE)
def test_points_are_judged_as_in_the_tables_of_aws(
    periods: int, needed: int, points: list[Value], breaching: bool, not_breaching: bool
) -> None:
    """AWS: "Configuring how CloudWatch alarms treat missing data", both tables."""
    alarm = {"EvaluationPeriods": periods, "DatapointsToAlarm": needed, "Threshold": 0}
    alarm["ComparisonOperator"] = "GreaterThanThreshold"
    assert is_alarm(alarm | {"TreatMissingData": "breaching"}, points) is breaching
    assert is_alarm(alarm | {"TreatMissingData": "notBreaching"}, points) is not_breaching
