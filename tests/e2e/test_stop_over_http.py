"""The stop over real processes and HTTP."""

import http.client
import time
import uuid
from contextlib import closing

import pytest

from stack import RESOURCE, eventually

pytestmark = pytest.mark.e2e

PLAIN = ("player",)
WITH_BRANCH = ("survey", "callback")


def young(stack, token, codes):
    """Return the youngest runtime of those scripts: it has the longest to live."""

    def some():
        rows = stack.rows(token, order="-starttime", mask="id,code,ext.state,ext.rootcode")
        return [r for r in rows if r["code"] in codes and r["ext"] == {"state": "running", "rootcode": None}]

    return eventually(some, within_s=30)[0]["id"]


def state_of(stack, token, runtime_id):
    rows = stack.rows(token, filter=f'{{"id":"{runtime_id}"}}', mask="id,ext.state")
    return rows[0]["ext"]["state"] if rows else "gone"


def becomes(stack, token, runtime_id, state):
    """How soon is the benchmark's to judge (benchmarks/README.md)."""
    eventually(lambda: state_of(stack, token, runtime_id) == state, within_s=20, every_s=0.05)


@pytest.fixture
def token(stack):
    return stack.token(stack.domains[0])


def test_a_script_without_external_stop_branch_is_gone_after_the_first_stop(stack, token):
    runtime_id = young(stack, token, PLAIN)
    answer = stack.stop(token, runtime_id)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["stop-request-id"]
    becomes(stack, token, runtime_id, "gone")


def test_a_script_with_that_branch_stays_listed_while_it_runs_and_a_second_stop_ends_it(stack, token):
    runtime_id = young(stack, token, WITH_BRANCH)
    assert stack.stop(token, runtime_id).status == 204
    becomes(stack, token, runtime_id, "post_processing")
    time.sleep(2)
    assert state_of(stack, token, runtime_id) == "post_processing"
    assert stack.stop(token, runtime_id).status == 204
    becomes(stack, token, runtime_id, "gone")


def test_ten_stops_with_one_key_over_three_seconds_do_not_cut_the_branch_off(stack, token):
    runtime_id, key = young(stack, token, WITH_BRANCH), str(uuid.uuid4())
    for _ in range(10):
        answer = stack.stop(token, runtime_id, key=key)
        assert (answer.status, answer.headers["stop-request-id"]) == (204, key)
        time.sleep(0.3)
    assert state_of(stack, token, runtime_id) == "post_processing"
    time.sleep(1)
    assert state_of(stack, token, runtime_id) == "post_processing"


def stop_with_keys(stack, token, runtime_id, *keys):
    """Send a stop with a line of the header for each key; return status and stop id."""
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)) as connection:
        connection.putrequest("DELETE", f"{RESOURCE}/{runtime_id}")
        connection.putheader("Authorization", f"Bearer {token}")
        for key in keys:
            connection.putheader("Idempotency-Key", key)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers["stop-request-id"]


def test_a_key_that_was_doubled_on_its_way_does_not_make_the_honest_repeat_a_second_stop(stack, token):
    """A proxy had sent the header twice: `v,v` was another key than `v`, and the repeat cut the goodbye off."""
    runtime_id, key = young(stack, token, WITH_BRANCH), str(uuid.uuid4())
    assert stop_with_keys(stack, token, runtime_id, key, key) == (204, key)
    becomes(stack, token, runtime_id, "post_processing")
    assert stop_with_keys(stack, token, runtime_id, key) == (204, key)
    assert stop_with_keys(stack, token, runtime_id.upper(), f'"{key}"', key) == (204, key)
    assert stop_with_keys(stack, token, runtime_id, key, "another") == (400, None)
    time.sleep(1)
    assert state_of(stack, token, runtime_id.upper()) == "post_processing"


def test_unknown_and_foreign_ids_get_the_same_404(stack, token):
    other = stack.token(stack.domains[1])
    foreign = eventually(lambda: stack.rows(other), within_s=20)[-1]["id"]
    answers = [stack.stop(token, runtime_id) for runtime_id in (str(uuid.uuid4()), foreign, "no-uuid")]
    assert {answer.status for answer in answers} == {404}
    assert len({str({**answer.json(), "request_id": ""}) for answer in answers}) == 1
    assert foreign in {row["id"] for row in stack.rows(other)}


def test_stops_reach_every_node_whichever_agent_takes_them_from_the_queue(stack, token):
    """The two agents of a site drain one queue: a command for the other node is forwarded."""
    for node in sorted({row["node"] for row in stack.rows(token)}):

        def on_node(node=node):
            rows = stack.rows(token, order="-starttime", filter=f'{{"node":"{node}","code":"player"}}')
            return rows[0]["id"] if rows else None

        runtime_id = eventually(on_node, within_s=30)
        assert stack.stop(token, runtime_id).status == 204
        becomes(stack, token, runtime_id, "gone")
