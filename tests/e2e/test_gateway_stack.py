"""The embedded stack as a program: how it starts, what it tells, how it ends, also when it is killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators import MINISTACK, ROOT, free_port
from stack import RESOURCE, Stack, eventually, running_stack, start, wait_until_ready

pytestmark = pytest.mark.e2e


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def pids_of(state: dict[str, Any]) -> list[int]:
    nodes = [node[f"{part}_pid"] for node in state["nodes"] for part in ("agent", "engine")]
    return [state["ministack_pid"], *nodes, *(pid for pids in state["function_pids"].values() for pid in pids)]


def test_within_20_s_of_health_every_domain_runs_ten_scripts_on_three_nodes(tmp_path: Path) -> None:
    with running_stack(tmp_path) as fresh:
        tokens = [fresh.token(domain) for domain in fresh.domains]

        def busy() -> bool:
            """Every domain has ten scripts on three nodes."""
            rows = [fresh.rows(token) for token in tokens]
            return all(len(of) >= 10 and len({row["node"] for row in of}) >= 3 for of in rows)

        eventually(busy, within_s=20)


def test_both_kinds_of_scripts_run_and_some_are_nested(stack: Stack) -> None:
    token = stack.token(stack.domains[0])

    def varied() -> bool:
        """Three root scripts run, and one row is in a nested script."""
        rows = stack.rows(token, mask="code,ext.rootcode")
        roots = Counter(row["ext"]["rootcode"] or row["code"] for row in rows)
        return len(roots) >= 3 and any(row["ext"]["rootcode"] for row in rows)

    eventually(varied, within_s=40)


def test_stack_json_tells_what_runs_where(stack: Stack) -> None:
    state = stack.state
    nodes = [node[f"{part}_pid"] for node in state["nodes"] for part in ("agent", "engine")]
    assert all(is_running(pid) for pid in [state["gateway_pid"], state["ministack_pid"], *nodes])
    assert [(node["site"], node["node"]) for node in state["nodes"]] == [
        (site["code"], node) for site in stack.config["sites"] for node in site["nodes"]
    ]
    assert set(state["tables"].values()) == {"ivr-runtimes-local-runtimes", "ivr-runtimes-local-nodes"}
    assert state["issuer"] == f"http://127.0.0.1:{stack.port}"


def test_what_is_secret_is_for_the_owner_alone(stack: Stack) -> None:
    for name in ("issuer.pem", "stack.json"):
        assert stat.S_IMODE((stack.state_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.state_dir.stat().st_mode) == 0o700


def test_no_token_and_no_secret_is_in_any_log(stack: Stack) -> None:
    token = stack.token(stack.domains[0])
    stack.rows(token)
    secrets = [client["secret"] for client in stack.config["clients"]]
    secrets += [stack.state["admin_token"], *(told["IVR_AGENT_PEER_SECRET"] for told in stack.state["agents"].values())]
    for log in (stack.state_dir / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert not [secret for secret in [token, token.split(".")[2], *secrets] if secret in text], log


@pytest.mark.parametrize(
    ("forge", "status"),
    [
        (lambda stack, token: stack.forge(token), 200),
        (lambda stack, token: stack.forge(token, aud=None), 401),
        (lambda stack, token: stack.forge(token, iss="http://127.0.0.1:1"), 401),
        (lambda stack, token: stack.forge(token, exp=1), 401),
        (lambda stack, token: stack.forge(token, algorithm="HS256", key="k" * 32), 401),
        (lambda stack, token: stack.forge(token, scope="other"), 403),
        (lambda stack, token: stack.forge(token, domain=None), 403),
        (lambda stack, token: stack.forge(token, domain=["test.rootdomain.ru", "shop.rootdomain.ru"]), 403),
    ],
)
def test_only_a_good_token_lists(stack: Stack, forge: Callable[[Stack, str], str], status: int) -> None:
    token = forge(stack, stack.token(stack.domains[0]))
    assert stack.listing(token).status == status


def test_many_callers_at_once_are_all_answered(stack: Stack) -> None:
    token = stack.token(stack.domains[0])
    statuses: list[int] = []

    def caller() -> None:
        statuses.extend(stack.listing(token).status for _ in range(5))

    callers = [threading.Thread(target=caller) for _ in range(16)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert statuses == [200] * 80


def test_killed_function_workers_are_replaced(stack: Stack) -> None:
    token = stack.token(stack.domains[0])
    for pid in stack.state["function_pids"]["ListRuntimesFunction"]:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: stack.listing(token).status == 200, within_s=10)
    eventually(lambda: stack.request("GET", "/healthz").status == 200, within_s=15)


def test_a_killed_agent_shows_in_health_and_is_started_anew_on_request(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        node = stack.state["nodes"][0]
        os.kill(node["agent_pid"], signal.SIGKILL)
        expected = [f"node {node['node']}: the agent does not run"]
        health = {"status": "ok", "down": expected}
        eventually(lambda: stack.request("GET", "/healthz").json() == health, within_s=5)
        told = (tmp_path / "stack.log").read_text()
        assert f"the agent of {node['node']} was ended by SIGKILL" in told

        headers = {"Authorization": f"Bearer {stack.state['admin_token']}"}
        answer = stack.request("POST", f"/local/nodes/{node['node']}/restart?part=agent", headers)
        assert answer.status == 200
        assert answer.json() == stack.state["nodes"][0]
        assert answer.json()["agent_pid"] != node["agent_pid"]
        assert answer.json()["engine_pid"] == node["engine_pid"]
        eventually(lambda: not stack.request("GET", "/healthz").json()["down"], within_s=30)


def unwell(stack: Stack) -> Any:
    answer = stack.request("GET", "/healthz")
    return answer.json()["missing"] if answer.status == 503 else None


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ivr_local", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--config", "nowhere.toml"], {}, "nowhere.toml"),
        (["--template", "nowhere.yaml"], {}, "nowhere.yaml"),
        (["--ministack", "/nowhere/ministack"], {}, "--ministack"),
        (["--port", "0"], {}, "port"),
        (["--aws-host", "0.0.0.0"], {}, "reached from elsewhere"),  # noqa: S104  # what must not be
        (["--aws-host", "192.0.2.1"], {}, "no IPv4 address of this machine"),
        (["--aws-host", "localhost"], {}, "no IPv4 address"),
        ([], {"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS": "soon"}, "IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS"),
    ],
)
def test_a_wrong_setting_is_told_and_starts_nothing(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    state = tmp_path / "state"
    done = run("--port", str(free_port()), "--state-dir", str(state), *arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists()


def test_an_emulator_that_does_not_start_ends_it_all_with_exit_code_1(tmp_path: Path) -> None:
    program = tmp_path / "ministack"
    program.write_text("#!/bin/sh\necho broken\nexit 7\n")
    program.chmod(0o700)
    done = run("--port", str(free_port()), "--state-dir", str(tmp_path / "state"), "--ministack", str(program))
    assert done.returncode == 1
    assert "ministack ended with exit code 7" in done.stderr
    assert "Traceback" not in done.stderr
    assert "broken" in (tmp_path / "state" / "logs" / "ministack.log").read_text()


def test_a_stack_is_as_it_was_asked_for(tmp_path: Path) -> None:
    """The delay of branches comes from the environment, else from the file; the emulated AWS listens where told."""
    config = tmp_path / "fleet.toml"
    text = (ROOT / "samplesconfig.toml").read_text("utf-8")
    config.write_text(text + "\n[sandbox]\nexternal_stop_delay_ms = 1000\n")
    environment = {"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS": "4321"}
    with running_stack(tmp_path, "--aws-host", "127.0.0.2", config=config, environment=environment) as stack:
        assert stack.state["endpoint_url"].startswith("http://127.0.0.2:")
        assert "127.0.0.1" not in stack.sam_variables.read_text()
        for node in stack.state["nodes"]:
            given = Path(f"/proc/{node['engine_pid']}/environ").read_bytes().split(b"\0")
            assert b"IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS=4321" in given


@pytest.mark.parametrize("when", ["while it starts", "while it runs"])
def test_nothing_outlives_a_killed_stack_and_the_next_one_clears_up(tmp_path: Path, when: str) -> None:
    port, log = free_port(), tmp_path / "log"
    stack = Stack(port, tmp_path / "state", ROOT / "samplesconfig.toml")
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(stack.state_dir)]
    process = start(command, log=log)
    if when == "while it runs":
        wait_until_ready(process, stack, log)
    eventually((stack.state_dir / "stack.json").exists, within_s=30)
    pids, sockets = pids_of(json.loads((stack.state_dir / "stack.json").read_text())), sockets_of(stack)
    process.kill()
    process.wait(5)
    eventually(lambda: not [pid for pid in pids if is_running(pid)], within_s=5)
    assert sockets.exists()
    process = start(command, log=log)
    eventually(lambda: not sockets.exists(), within_s=10)
    eventually(lambda: "starting on" in log.read_text(), within_s=10)  # from here on a signal is an orderly end
    process.terminate()
    assert process.wait(20) == 0


def sockets_of(stack: Stack) -> Path:
    return Path((stack.state_dir / "run-directory").read_text())


def test_a_signal_while_it_starts_ends_it_well(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(tmp_path / "state")]
    process = start(command, log=log)
    eventually(lambda: "starting on" in log.read_text(), within_s=20)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert log.read_text().splitlines()[-1] == "stopped"
    assert not (tmp_path / "state" / "run-directory").exists()


def test_requests_before_it_is_ready_are_answered_not_dropped(tmp_path: Path) -> None:
    """A load balancer, or an impatient user, must see 503 and not a closed connection."""
    port, log = free_port(), tmp_path / "log"
    stack = Stack(port, tmp_path / "state", ROOT / "samplesconfig.toml")
    command = [sys.executable, "-m", "ivr_local", "--port", str(port), "--state-dir", str(stack.state_dir)]
    process = start([*command, "--ministack", str(MINISTACK)], log=log)
    eventually(lambda: "starting on" in log.read_text(), within_s=20)
    health = eventually(lambda: unwell(stack), within_s=10)
    assert health[0] == "the emulated AWS is starting"
    assert stack.request("GET", RESOURCE).status == 401
    process.terminate()
    assert process.wait(20) == 0
