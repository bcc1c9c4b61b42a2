"""One stop followed end to end: the same id in the answer, the function's log, the agent's log and its metric."""

import json
import re
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from stack import Stack, eventually

pytestmark = pytest.mark.e2e


def lines(folder: Path, pattern: str, stop_id: str) -> list[dict[str, Any]]:
    """Return the log lines about that stop in all files of that name."""
    text = "\n".join(file.read_text() for file in folder.glob(pattern))
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and f'"{stop_id}"' in line]


def exemplars(stack: Stack) -> set[str]:
    """Return the stop ids that the agents' metrics show."""
    found: set[str] = set()
    for node in stack.state["nodes"]:
        url = f"http://127.0.0.1:{node['control_port']}/metrics"
        request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text"})  # http
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  # http
            told = answer.read().decode()
        found |= set(re.findall(r'^ivr_agent_stop_outcomes_total.* # {stop_id="(.+)"}', told, re.MULTILINE))
    return found


@pytest.mark.parametrize("key", [None, "given-by-the-caller"])
def test_one_stop_can_be_followed_from_the_answer_to_the_engine(stack: Stack, key: str | None) -> None:
    key = key and f"{key}-{uuid.uuid4()}"
    token, logs = stack.token(stack.domains[0]), Path(stack.state["logs"])

    def surveys() -> list[dict[str, Any]]:
        """A script with a branch: its row outlives the stop."""
        rows = stack.rows(token, order="-starttime", mask="id,node,code,ext.state")
        return [row for row in rows if row["code"] == "survey" and row["ext"]["state"] == "running"]

    runtime = eventually(surveys, within_s=30)[0]
    answer = stack.stop(token, runtime["id"], key=key)
    assert answer.status == 204
    stop_id = answer.headers["stop-request-id"]
    assert key is None or stop_id == key

    def acceptances() -> list[dict[str, Any]]:
        return [line for line in lines(logs, "*.log", stop_id) if line["action"] == "stop_accepted"]

    (accepted,) = eventually(acceptances, within_s=20)
    assert accepted["runtime_id"] == runtime["id"]
    subject = accepted["requested_by"]
    assert subject

    def outcomes() -> list[dict[str, Any]]:
        return [line for line in lines(logs, "agent-*.log", stop_id) if line["action"] == "stop_outcome"]

    (outcome,) = eventually(outcomes, within_s=20)
    assert outcome["outcome"] == "acted"
    assert (outcome["runtime_id"], outcome["node"]) == (runtime["id"], runtime["node"])
    assert (outcome["requested_by"], outcome["domain"]) == (subject, stack.domains[0])
    eventually(lambda: stop_id in exemplars(stack), within_s=20)

    for line in lines(logs, "agent-*.log", stop_id):  # a peer's too, if the stop came by way of one
        assert line["requested_by"] == subject
    everything = "".join(file.read_text() for file in logs.glob("*.log"))
    assert token not in everything, "who asked is named, the token never"
