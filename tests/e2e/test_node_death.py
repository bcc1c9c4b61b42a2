"""What becomes of a node's runtimes when its processes are killed."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ivr_runtimes.lease import CLOCK_SKEW_S, LEASE_TTL_S
from stack import eventually, running_stack

pytestmark = pytest.mark.e2e

SLACK_S = 5.0
"""How much later a loaded machine may answer."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with running_stack(tmp_path_factory.mktemp("deaths")) as stack:
        yield stack


@pytest.fixture(scope="module", autouse=True)
def flickers(stack):
    """How often a node showed nothing after its agent alone was killed and restarted; watched beside the other test."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(watch_a_restarted_agent, stack)


def ids_on(stack, token, node):
    return {row["id"] for row in stack.rows(token, filter=f'{{"node":"{node}"}}')}


def kill(stack, node, *parts):
    for part in parts:
        os.kill(stack.node(node)[f"{part}_pid"], signal.SIGKILL)


def restart(stack, node, part):
    headers = {"Authorization": f"Bearer {stack.state['admin_token']}"}
    answer = stack.request("POST", f"/local/nodes/{node}/restart?part={part}", headers)
    assert answer.status in {200, 204}, answer.body


def test_a_killed_nodes_runtimes_leave_the_list_and_never_come_back_as_ghosts(stack):
    node = stack.config["sites"][0]["nodes"][0]
    tokens = [stack.token(domain) for domain in stack.domains]
    eventually(lambda: all(len(ids_on(stack, token, node)) >= 2 for token in tokens), within_s=30)
    before = set().union(*(ids_on(stack, token, node) for token in tokens))
    kill(stack, node, "agent", "engine")
    killed_at = time.monotonic()

    within_s = LEASE_TTL_S + CLOCK_SKEW_S + SLACK_S
    eventually(lambda: not any(ids_on(stack, token, node) for token in tokens), within_s=within_s)
    assert time.monotonic() - killed_at <= within_s
    assert stack.listing(tokens[0]).headers["site-nodes"] == "SITE1=1/2, SITE2=2/2"

    answers = [stack.stop(token, runtime_id) for runtime_id in list(before)[:3] for token in tokens]
    assert {answer.status for answer in answers} <= {404, 503}
    assert 503 in {answer.status for answer in answers}

    restart(stack, node, "both")
    eventually(lambda: all(ids_on(stack, token, node) for token in tokens), within_s=40)
    for _ in range(20):
        for token in tokens:
            assert not ids_on(stack, token, node) & before
        time.sleep(0.1)

    gone = [stack.stop(token, runtime_id) for runtime_id in before for token in tokens]
    assert {answer.status for answer in gone} == {404}
    unknown = stack.stop(tokens[0], "00000000-0000-4000-8000-000000000000")
    assert {str({**a.json(), "request_id": ""}) for a in gone} == {str({**unknown.json(), "request_id": ""})}


def test_an_agent_restarted_while_its_engine_lives_loses_nothing_from_the_list(flickers):
    assert flickers.result() == 0


def watch_a_restarted_agent(stack):
    """Return how often the node's runtimes were not listed until its dead agent's lease had lapsed, and beyond."""
    node = stack.config["sites"][1]["nodes"][0]
    token = stack.token(stack.domains[0])
    eventually(lambda: len(ids_on(stack, token, node)) >= 2, within_s=30)
    before = ids_on(stack, token, node)
    kill(stack, node, "agent")
    restart(stack, node, "agent")
    assert ids_on(stack, token, node) & before
    flickered, deadline = 0, time.monotonic() + LEASE_TTL_S + CLOCK_SKEW_S + 2
    while time.monotonic() < deadline:
        flickered += not ids_on(stack, token, node)
        time.sleep(0.2)
    return flickered
