"""The embedded stack while it runs: what it tells of itself, whom it lets in, what becomes of killed workers."""

import os
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from processes import is_running
from stack import Stack, eventually

pytestmark = pytest.mark.e2e


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
    eventually(lambda: stack.listing(token).status == 200, within_s=20)
    eventually(lambda: stack.request("GET", "/healthz").status == 200, within_s=20)
