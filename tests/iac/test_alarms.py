"""Alarms: all there, each with its runbook entry, all about metrics and fields that something really emits."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from ivr_agent.outcome import Outcome
from ivr_agent.process.log import LOGGER, JsonLines
from ivr_agent.stops.drain import RETURN_MOST_S
from ivr_local.template import Stack

OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
TOPIC = "arn:aws:sns:eu-central-1:000000000000:alarms"
KINDS = {
    *("ApiErrors", "ApiThrottles", "ListErrors", "StopErrors", "ListThrottles", "StopThrottles", "TableThrottles"),
    *("StopFailures", "ExpiredCommands", "UndeliveredCommands", "CommandAge", "DeadLetters"),
}


def of_type(stack: Stack, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body["Properties"] for name, body in stack.resources.items() if body["Type"] == kind}


def alarms(stack: Stack) -> dict[str, dict[str, Any]]:
    return of_type(stack, "AWS::CloudWatch::Alarm")


def kind_of(alarm: str) -> str:
    return re.sub(r"SITE\d$", "", alarm)


def test_there_is_an_alarm_for_everything_that_needs_a_person(stack: Stack) -> None:
    assert {kind_of(name) for name in alarms(stack)} == KINDS
    for kind in ("CommandAge", "DeadLetters"):
        assert {name for name in alarms(stack) if kind_of(name) == kind} == {f"{kind}SITE1", f"{kind}SITE2"}


def test_every_alarm_has_a_runbook_entry_and_every_entry_an_alarm() -> None:
    entries = re.findall(r"^### (\w+)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(entries) == sorted(KINDS)


def test_an_alarm_says_in_which_stack_it_is_and_where_its_runbook_is(stack: Stack) -> None:
    for name, alarm in alarms(stack).items():
        assert alarm["AlarmName"].startswith(f"st-{kind_of(name)}")
        assert alarm["AlarmDescription"].endswith(f". docs/operations.md, {kind_of(name)}")


def test_alarms_notify_the_topic_if_there_is_one(stack: Stack, expanded_with: Any) -> None:
    for alarm in alarms(expanded_with(AlarmTopic=TOPIC)).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    for alarm in alarms(stack).values():
        assert not alarm.keys() & {"AlarmActions", "OKActions"}


def test_silence_is_never_an_alarm(stack: Stack) -> None:
    """A night without calls has no data at all."""
    assert {alarm["TreatMissingData"] for alarm in alarms(stack).values()} == {"notBreaching"}


def test_a_command_may_wait_for_two_minutes_and_no_letter_may_be_dead(stack: Stack) -> None:
    for site in ("SITE1", "SITE2"):
        age, dead = alarms(stack)[f"CommandAge{site}"], alarms(stack)[f"DeadLetters{site}"]
        assert (age["MetricName"], age["Threshold"]) == ("ApproximateAgeOfOldestMessage", 120)
        assert age["Dimensions"] == [{"Name": "QueueName", "Value": f"st-stop-{site}"}]
        assert (dead["MetricName"], dead["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)
        assert dead["Dimensions"] == [{"Name": "QueueName", "Value": f"st-stop-{site}-dlq"}]


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm_of_its_own(stack: Stack, metric: str) -> None:
    watched = [
        alarm["Dimensions"][0]["Value"]
        for alarm in alarms(stack).values()
        if (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/Lambda", metric)
    ]
    assert sorted(watched) == sorted(f"st-{function.logical_id}" for function in stack.functions)


def test_both_tables_and_the_index_are_watched_for_throttling(stack: Stack) -> None:
    metrics = [one["MetricStat"]["Metric"] for one in alarms(stack)["TableThrottles"]["Metrics"] if "MetricStat" in one]
    watched = {(metric["MetricName"], *(one["Value"] for one in metric["Dimensions"])) for metric in metrics}
    assert watched == {
        (f"{kind}ThrottleEvents", *place)
        for kind in ("Read", "Write")
        for place in (("st-runtimes",), ("st-runtimes", "by_domain"), ("st-nodes",))
    }


def test_a_sum_adds_up_all_it_names(stack: Stack) -> None:
    for alarm in alarms(stack).values():
        if "Metrics" in alarm:
            *parts, total = alarm["Metrics"]
            assert total["Expression"] == " + ".join(f"FILL({part['Id']}, 0)" for part in parts)
            assert [part["ReturnData"] for part in parts] == [False] * len(parts)


def test_expired_commands_are_counted_from_what_agents_log(stack: Stack) -> None:
    expired = stack.resources["ExpiredCommandsFilter"]["Properties"]
    (transformation,) = expired["MetricTransformations"]
    alarm = alarms(stack)["ExpiredCommands"]
    assert expired["LogGroupName"] == stack.outputs["AgentLogGroup"]
    assert expired["FilterPattern"] == '{ $.action = "stop_outcome" && $.outcome = "expired" }'
    record = logging.makeLogRecord({"name": LOGGER.name, "msg": "stop_outcome", "fields": {"outcome": Outcome.EXPIRED}})
    written = json.loads(JsonLines().format(record))
    assert (written["action"], written["outcome"]) == ("stop_outcome", "expired")
    assert (transformation["MetricNamespace"], transformation["MetricName"]) == (
        alarm["Namespace"],
        alarm["MetricName"],
    )


def test_the_age_of_a_command_that_comes_back_is_what_the_agent_logs(stack: Stack) -> None:
    """Received three times, it is in SQS's own age no more. That the line has these fields is the drain's own test."""
    undelivered = stack.resources["UndeliveredCommandsFilter"]["Properties"]
    alarm = alarms(stack)["UndeliveredCommands"]
    (transformation,) = undelivered["MetricTransformations"]
    assert undelivered["LogGroupName"] == stack.outputs["AgentLogGroup"]
    assert undelivered["FilterPattern"] == '{ $.action = "stop_undelivered" }'
    assert (transformation["MetricValue"], transformation["Unit"]) == ("$.age_s", "Seconds")
    assert (transformation["MetricNamespace"], transformation["MetricName"]) == (
        alarm["Namespace"],
        alarm["MetricName"],
    )
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 120)
    assert alarm["Period"] > RETURN_MOST_S, "a command that is away is told of in every period"


def test_answers_429_are_counted_from_the_access_log(stack: Stack) -> None:
    """An HTTP API has no metric of them."""
    refused, alarm = stack.resources["ApiThrottlesFilter"]["Properties"], alarms(stack)["ApiThrottles"]
    (transformation,) = refused["MetricTransformations"]
    access_log = stack.resources["Api"]["Properties"]["AccessLogSettings"]
    assert access_log["DestinationArn"].endswith(f":log-group:{refused['LogGroupName']}:*")
    assert json.loads(access_log["Format"])["status"] == "$context.status", "a string, as in the pattern"
    assert refused["FilterPattern"] == '{ $.status = "429" }'
    assert transformation["MetricName"] == alarm["MetricName"] == "ThrottledRequests"
    assert transformation["MetricNamespace"] == alarm["Namespace"]
