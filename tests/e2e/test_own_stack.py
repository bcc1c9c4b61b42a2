"""What needs a stack of its own: one just started, one with settings, one whose agent is killed. They share it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators import ROOT
from stack import Stack, eventually, running_stack

pytestmark = pytest.mark.e2e

DELAY_MS = 8000
"""How late External Stop branches begin: on a loaded machine, too, ten stops are sent before."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The delay of branches comes from the environment, else from the file; the emulated AWS listens where told."""
    folder = tmp_path_factory.mktemp("own")
    text = (ROOT / "samplesconfig.toml").read_text("utf-8")
    (config := folder / "fleet.toml").write_text(text + "\n[sandbox]\nexternal_stop_delay_ms = 1000\n")
    environment = {"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS": str(DELAY_MS)}
    with running_stack(folder, "--aws-host", "127.0.0.2", config=config, environment=environment) as stack:
        yield stack


def test_within_20_s_of_health_every_domain_runs_ten_scripts_on_three_nodes(stack: Stack) -> None:
    tokens = [stack.token(domain) for domain in stack.domains]

    def busy() -> bool:
        """Every domain has ten scripts on three nodes."""
        rows = [stack.rows(token) for token in tokens]
        return all(len(of) >= 10 and len({row["node"] for row in of}) >= 3 for of in rows)

    eventually(busy, within_s=20)


def test_a_stack_is_as_it_was_asked_for(stack: Stack) -> None:
    assert stack.state["endpoint_url"].startswith("http://127.0.0.2:")
    assert "127.0.0.1" not in stack.sam_variables.read_text()
    for node in stack.state["nodes"]:
        given = Path(f"/proc/{node['engine_pid']}/environ").read_bytes().split(b"\0")
        assert f"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS={DELAY_MS}".encode() in given


def test_ten_stops_before_the_branch_starts_do_not_skip_it(stack: Stack) -> None:
    token = stack.token(stack.domains[0])

    def surveys() -> list[str]:
        """The youngest survey that runs: it has the longest to live."""
        rows = stack.rows(token, order="-starttime", mask="id,ext.state", filter='{"code":"survey"}')
        return [row["id"] for row in rows if row["ext"]["state"] == "running"]

    runtime_id = eventually(surveys, within_s=30)[0]

    def state() -> str:
        (row,) = stack.rows(token, filter=f'{{"id":"{runtime_id}"}}', mask="id,ext.state")
        return str(row["ext"]["state"])

    for _ in range(10):
        assert stack.stop(token, runtime_id).status == 204
    assert state() == "running"
    eventually(lambda: state() == "post_processing", within_s=DELAY_MS / 1000 + 20)
    time.sleep(1.5)
    assert state() == "post_processing"


def test_a_killed_agent_shows_in_health_and_is_started_anew_on_request(stack: Stack) -> None:
    node = stack.state["nodes"][0]
    os.kill(node["agent_pid"], signal.SIGKILL)
    expected = [f"node {node['node']}: the agent does not run"]
    health = {"status": "ok", "down": expected}
    eventually(lambda: stack.request("GET", "/healthz").json() == health, within_s=20)
    told = (stack.state_dir.parent / "stack.log").read_text()
    assert f"the agent of {node['node']} was ended by SIGKILL" in told

    headers = {"Authorization": f"Bearer {stack.state['admin_token']}"}
    answer = stack.request("POST", f"/local/nodes/{node['node']}/restart?part=agent", headers)
    assert answer.status == 200
    assert answer.json() == stack.state["nodes"][0]
    assert answer.json()["agent_pid"] != node["agent_pid"]
    assert answer.json()["engine_pid"] == node["engine_pid"]
    eventually(lambda: not stack.request("GET", "/healthz").json()["down"], within_s=30)
