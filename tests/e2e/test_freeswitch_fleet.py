"""A site with a sandbox and a FreeSWITCH beside each other: one list, and stops that reach either, over HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridges import bridge, program
from emulators import free_port
from ivr_local.attach import environment
from stack import Stack, eventually, running_stack

pytestmark = pytest.mark.e2e

DOMAIN, SANDBOX, SWITCH = "test.rootdomain.ru", "site1_s@127.0.0.1", "site1_f@127.0.0.1"

FLEET = f"""
[[sites]]
code = "SITE1"
nodes = ["{SANDBOX}"]

[[domains]]
name = "{DOMAIN}"
scripts = ["survey", "callback"]
calls_per_minute = 60

[[clients]]
id = "operator"
secret = "sample-operator-secret"
domain = "{DOMAIN}"
scopes = ["ivrscript_runtimes:read", "ivrscript_runtimes:stop"]
"""

PATIENCE_S = 30.0


@dataclass
class Fleet:
    """The site: its stack, the port of its FreeSWITCH, and the addresses of that node's agent and engine."""

    stack: Stack
    esl_port: int
    listen: str
    agent: str
    token: str

    def bridge(self) -> Any:
        """Run the bridge between the two."""
        return bridge(self.esl_port, listen=self.listen, agent=self.agent, token="of-no-use-on-a-socket")

    def rows(self, node: str = SWITCH) -> dict[str, dict[str, Any]]:
        """Return the runtimes of a node, by id."""
        mask = "id,node,code,name,ext.state,ext.rootcode,ext.rootname"
        return {row["id"]: row for row in self.stack.rows(self.token, mask=mask) if row["node"] == node}

    def one(self, code: str) -> dict[str, Any]:
        """Wait for a running script of the FreeSWITCH node; return its row."""

        def running() -> Any:
            rows = self.rows().values()
            return next((row for row in rows if row["code"] == code and row["ext"]["state"] == "running"), None)

        found: dict[str, Any] = eventually(running, within_s=PATIENCE_S)
        return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder: Path = tmp_path_factory.mktemp("mixed")
    config = folder / "fleet.toml"
    config.write_text(FLEET)
    port = free_port()
    numbers = ("--number", "welcome", "--number", "survey", "--number", "callback")
    with ExitStack() as running:
        stack = running.enter_context(running_stack(folder, config=config))
        running.enter_context(program("esl", "--port", str(port), *numbers, "--at-once", "9"))
        agent = environment(stack.state, site="SITE1", node=SWITCH, control_port=free_port())
        log = running.enter_context((folder / "agent.log").open("wb"))
        process = subprocess.Popen([sys.executable, "-m", "ivr_agent"], env={**os.environ, **agent}, stderr=log)
        running.callback(process.wait, 15)
        running.callback(process.terminate)
        yield Fleet(stack, port, agent["IVR_AGENT_ENGINE"], agent["IVR_AGENT_LISTEN"], stack.token(DOMAIN))


def test_one_list_shows_both_nodes_and_stops_reach_each_script_of_the_switch(fleet: Fleet) -> None:
    with fleet.bridge():
        eventually(lambda: fleet.rows(SANDBOX) and len(fleet.rows()) == 9, within_s=PATIENCE_S)
        assert fleet.stack.listing(fleet.token).headers["site-nodes"] == "SITE1=2/2"
        nested = fleet.one("player")
        assert (nested["name"], nested["ext"]["rootcode"]) == ("TEST PLAY", "callback")

        with_branch, without = fleet.one("welcome"), fleet.one("survey")
        for row in (with_branch, without):
            assert fleet.stack.stop(fleet.token, row["id"], key=f"once-{row['code']}").status == 204
        eventually(lambda: without["id"] not in fleet.rows(), within_s=PATIENCE_S)
        eventually(lambda: fleet.rows()[with_branch["id"]]["ext"]["state"] == "post_processing", within_s=PATIENCE_S)
        assert fleet.stack.stop(fleet.token, with_branch["id"], key="once-welcome").status == 204
        assert fleet.rows()[with_branch["id"]]["ext"]["state"] == "post_processing", "a repeat kills no goodbye"
        assert fleet.stack.stop(fleet.token, with_branch["id"]).status == 204
        eventually(lambda: with_branch["id"] not in fleet.rows(), within_s=PATIENCE_S)


def test_a_bridge_that_is_killed_and_comes_back_loses_no_runtime_and_repeats_no_stop(fleet: Fleet) -> None:
    with fleet.bridge() as first:
        stopped = fleet.one("welcome")
        assert fleet.stack.stop(fleet.token, stopped["id"], key="before").status == 204
        eventually(lambda: fleet.rows()[stopped["id"]]["ext"]["state"] == "post_processing", within_s=PATIENCE_S)
        before = set(fleet.rows())
        first.kill()
        first.wait(10)
    with fleet.bridge():
        fresh = fleet.one("survey")
        assert fleet.stack.stop(fleet.token, fresh["id"]).status == 204
        eventually(lambda: set(fleet.rows()) == before - {fresh["id"]}, within_s=PATIENCE_S)
        assert fleet.stack.stop(fleet.token, stopped["id"], key="before").status == 204
        assert fleet.rows()[stopped["id"]]["ext"]["state"] == "post_processing"
