"""A stop that waits for its effect, over real processes and HTTP."""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stack import RESOURCE, Answer, Stack, eventually

pytestmark = pytest.mark.e2e

PLAIN = ("player",)
WITH_BRANCH = ("survey", "callback")
WAIT_S = 5


def young(stack: Stack, token: str, codes: tuple[str, ...]) -> dict[str, Any]:
    """Return the youngest running runtime of those scripts: it has the longest to live."""

    def some() -> list[dict[str, Any]]:
        rows = stack.rows(token, order="-starttime", mask="id,node,code,ext.state,ext.rootcode")
        return [row for row in rows if row["code"] in codes and row["ext"] == {"state": "running", "rootcode": None}]

    found: dict[str, Any] = eventually(some, within_s=30)[0]
    return found


def stop(stack: Stack, token: str, runtime_id: str, *, key: str, **headers: str) -> Answer:
    """Send a stop that waits."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Prefer": f"wait={WAIT_S}", **more}
    return stack.request("DELETE", f"{RESOURCE}/{runtime_id}", given)


def settled(stack: Stack, token: str, runtime_id: str, *, key: str, **headers: str) -> str:
    """Stop and wait, with the same key again while the outcome is pending, as it may be on a loaded machine."""
    first = outcome(stop(stack, token, runtime_id, key=key, **headers))

    def told() -> str | None:
        again = stop(stack, token, runtime_id, key=key, **headers)
        found = "ended" if again.status == 404 else outcome(again)
        return None if found == "pending" else found

    return first if first != "pending" else str(eventually(told, within_s=30))


def outcome(answer: Answer) -> str:
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["preference-applied"] == f"wait={WAIT_S}"
    return answer.headers["stop-outcome"]


@pytest.fixture
def token(stack: Stack) -> str:
    return stack.token(stack.domains[0])


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def test_a_plain_script_has_ended_when_the_answer_says_so(stack: Stack, token: str, key: str) -> None:
    runtime = young(stack, token, PLAIN)
    assert settled(stack, token, runtime["id"], key=key) == "ended"
    assert runtime["id"] not in {row["id"] for row in stack.rows(token)}


def test_a_script_with_a_branch_runs_it_when_the_answer_says_so(stack: Stack, token: str, key: str) -> None:
    runtime = young(stack, token, WITH_BRANCH)
    assert settled(stack, token, runtime["id"], key=key) == "post_processing"
    (row,) = stack.rows(token, filter=json.dumps({"ext.stop_id": key}), mask="id,ext.state,ext.stop_id")
    assert row == {"id": runtime["id"], "ext": {"state": "post_processing", "stop_id": key}}


def test_a_second_stop_that_waits_is_answered_once_the_branch_has_ended(stack: Stack, token: str, key: str) -> None:
    runtime = young(stack, token, WITH_BRANCH)
    assert settled(stack, token, runtime["id"], key=key) == "post_processing"
    assert settled(stack, token, runtime["id"], key=f"{key}-2") == "ended"
    assert runtime["id"] not in {row["id"] for row in stack.rows(token)}


def test_ten_requests_at_once_with_one_key_get_one_outcome(stack: Stack, token: str, key: str) -> None:
    runtime = young(stack, token, WITH_BRANCH)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: stop(stack, token, runtime["id"], key=key), range(10)))
    assert {outcome(answer) for answer in answers} - {"pending"} <= {"post_processing"}
    assert {answer.headers["stop-request-id"] for answer in answers} == {key}
    assert settled(stack, token, runtime["id"], key=key) == "post_processing"


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """Keep a process from running at all."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stop_at_a_node_whose_agent_does_not_run_is_pending_in_time(stack: Stack, token: str, key: str) -> None:
    """Its lease still holds: the stop is accepted, and what cannot be seen is not claimed. It takes effect later."""
    runtime = young(stack, token, PLAIN)
    with halted(stack.node(runtime["node"])["agent_pid"]):
        begun_s = time.monotonic()
        assert outcome(stop(stack, token, runtime["id"], key=key, Prefer="wait=5")) == "pending"
        took_s = time.monotonic() - begun_s
    (waited,) = [line for line in logged(stack, key) if line["action"] == "stop_waited"]
    assert waited["waited_s"] < WAIT_S + 4
    assert took_s < 4 * WAIT_S, "it is not waited for until the agent runs again"

    def gone() -> bool:
        """The same key again, until it tells the end: 404 once the script does not run."""
        again = stop(stack, token, runtime["id"], key=key)
        return again.status == 404 or outcome(again) == "ended"

    eventually(gone, within_s=30)


def logged(stack: Stack, stop_id: str) -> list[dict[str, Any]]:
    """Return what function and agents have logged of a stop."""
    text = "\n".join(file.read_text() for file in Path(stack.state["logs"]).glob("*.log"))
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and f'"{stop_id}"' in line]


def test_the_reason_of_a_stop_is_in_the_logs_of_function_and_agent(stack: Stack, token: str, key: str) -> None:
    runtime = young(stack, token, PLAIN)
    assert settled(stack, token, runtime["id"], key=key, Stop_Reason="wrong%20menu%3A%20%E2%84%961") == "ended"

    def told() -> set[str]:
        lines = {line["action"]: line for line in logged(stack, key) if "reason" in line}
        assert {line["reason"] for line in lines.values()} == {"wrong menu: \u21161"}
        assert len({line["requested_by"] for line in lines.values()}) == 1
        return set(lines)

    eventually(lambda: told() >= {"stop_accepted", "stop_waited", "stop_outcome"}, within_s=20)
