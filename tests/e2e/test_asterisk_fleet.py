"""A site with a sandbox and an Asterisk beside each other: one list, and stops that reach either, over HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asterisks import Program, asterisk, bridge
from emulators import free_port
from ivr_local.attach import environment
from stack import Stack, eventually, running_stack

pytestmark = pytest.mark.e2e

DOMAIN, SANDBOX, PBX = "test.rootdomain.ru", "site1_s@127.0.0.1", "site1_p@127.0.0.1"

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


@dataclass
class Fleet:
    """The site. `pbx` is its Asterisk; `settings` are its bridge's."""

    stack: Stack
    pbx: Program
    folder: Path
    settings: dict[str, Any]
    token: str

    def rows(self, node: str, **among: str) -> dict[str, dict[str, Any]]:
        """Return the runtimes of a node, by id."""
        found = self.stack.rows(self.token, mask="id,node,code,name,ext.rootcode,ext.rootname", **among)
        return {row["id"]: row for row in found if row["node"] == node}

    def one(self, code: str) -> dict[str, Any]:
        """Wait for a running script of the Asterisk node; return its row."""

        def running() -> Any:
            rows = self.rows(PBX).values()
            return next((row for row in rows if row["code"] == code and row["name"] != "Goodbye"), None)

        found: dict[str, Any] = eventually(running, within_s=30)
        return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("mixed")
    config = folder / "fleet.toml"
    config.write_text(FLEET)
    with ExitStack() as running:
        stack = running.enter_context(running_stack(folder, config=config))
        calls = ["survey@ivr", "plain@ivr", "nested@ivr"]
        pbx = running.enter_context(asterisk(folder, "--calls-per-minute", "90", calls=calls))
        agent = environment(stack.state, site="SITE1", node=PBX, control_port=free_port())
        settings = {
            "ami": f"tcp://127.0.0.1:{pbx.port}",
            "listen": agent["IVR_AGENT_ENGINE"],
            "agent": agent["IVR_AGENT_LISTEN"],
            "token": "of-no-use-on-a-socket",
        }
        log = running.enter_context((folder / "agent.log").open("wb"))
        process = subprocess.Popen([sys.executable, "-m", "ivr_agent"], env={**os.environ, **agent}, stderr=log)
        running.callback(process.wait, 15)
        running.callback(process.terminate)
        yield Fleet(stack, pbx, folder, settings, stack.token(DOMAIN))


@pytest.fixture
def beside(fleet: Fleet) -> Iterator[subprocess.Popen[bytes]]:
    """The bridge, for one test."""
    with bridge(fleet.folder / "bridge.log", **fleet.settings) as process:
        yield process


def test_one_list_shows_both_nodes_and_a_nested_script_by_its_own_code(fleet: Fleet, beside: object) -> None:
    eventually(lambda: fleet.rows(SANDBOX) and len(fleet.rows(PBX)) >= 3, within_s=40)
    shown = {"rootcode": "nested", "rootname": "Caller"}  # of a call that began after the bridge

    def nested() -> Any:
        rows = fleet.rows(PBX).values()
        return next((row for row in rows if (row["name"], row["ext"]) == ("Inner", shown)), None)

    found = eventually(nested, within_s=30)
    assert set(fleet.rows(PBX, filter='{"code":"inner"}')) >= {found["id"]}
    assert fleet.stack.listing(fleet.token).headers["site-nodes"] == "SITE1=2/2"


def test_a_stop_leads_a_call_into_its_branch_and_ends_one_without(fleet: Fleet, beside: object) -> None:
    with_branch, without = fleet.one("survey"), fleet.one("plain")
    for row in (with_branch, without):
        assert fleet.stack.stop(fleet.token, row["id"], key=f"once-{row['code']}").status == 204
    eventually(lambda: without["id"] not in fleet.rows(PBX), within_s=20)
    eventually(lambda: fleet.rows(PBX)[with_branch["id"]]["name"] == "Goodbye", within_s=20)
    assert fleet.stack.stop(fleet.token, with_branch["id"], key="once-survey").status == 204
    assert fleet.rows(PBX)[with_branch["id"]]["name"] == "Goodbye"


def test_a_bridge_that_is_killed_and_comes_back_loses_no_runtime(fleet: Fleet, beside: subprocess.Popen[bytes]) -> None:
    before = {fleet.one("survey")["id"], fleet.one("inner")["id"]}
    beside.kill()
    beside.wait(10)
    with bridge(fleet.folder / "again.log", **fleet.settings):
        fresh = fleet.one("plain")
        eventually(lambda: before <= set(fleet.rows(PBX)), within_s=30)
        assert fleet.stack.stop(fleet.token, fresh["id"]).status == 204
        eventually(lambda: fresh["id"] not in fleet.rows(PBX), within_s=20)


def test_a_restart_of_asterisk_takes_its_calls_out_of_the_list_at_once(fleet: Fleet, beside: object) -> None:
    before = {fleet.one("survey")["id"], fleet.one("inner")["id"]}
    fleet.pbx.command("core restart now")
    eventually(lambda: fleet.rows(PBX) and not before & set(fleet.rows(PBX)), within_s=30)
    for runtime_id in before:
        assert fleet.stack.stop(fleet.token, runtime_id).status == 404
