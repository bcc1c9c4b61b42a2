"""A site of a sandbox, an Asterisk and a FreeSWITCH: one list, and stops that reach each, over HTTP."""

import json
import os
import signal
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from asterisks import SCRIPTS, Program, asterisk
from bridges import SAMPLES, program
from emulators import free_port
from stack import RESOURCE, Stack, eventually, running_stack

pytestmark = pytest.mark.e2e

DOMAIN = "test.rootdomain.ru"
SANDBOX, PBX, SWITCH = "site1_s@127.0.0.1", "site1_p@127.0.0.1", "site1_f@127.0.0.1"

FLEET = f"""
[[sites]]
code = "SITE1"
nodes = ["{SANDBOX}", "{PBX}", "{SWITCH}"]

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

NUMBERS = ("--number", "welcome", "--number", "survey", "--number", "callback")

MASK = "id,node,code,name,ext.rootcode,ext.rootname,ext.state,ext.stop_id"

Row = dict[str, Any]


@dataclass
class Fleet:
    """The site. `pbx` is its Asterisk; its FreeSWITCH has nine calls and gets no more."""

    stack: Stack
    pbx: Program
    token: str

    def rows(self, node: str, **among: str) -> dict[str, Row]:
        """Return the runtimes of a node, by id."""
        return {row["id"]: row for row in self.stack.rows(self.token, mask=MASK, **among) if row["node"] == node}

    def one(self, code: str, node: str = PBX) -> Row:
        """Wait for a running script of the node; return the youngest."""

        def running() -> Row | None:
            rows = self.rows(node, order="-starttime").values()
            return next((row for row in rows if (row["code"], row["ext"]["state"]) == (code, "running")), None)

        found: Row = eventually(running, within_s=30)
        return found

    def stop(self, runtime_id: str, *, key: str | None = None) -> str:
        """Stop a runtime and wait for the effect; return the outcome that the answer tells."""
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "wait=10", "Idempotency-Key": key or new_key()}
        answer = self.stack.request("DELETE", f"{RESOURCE}/{runtime_id}", headers)
        assert answer.status == 204, answer.body
        return answer.headers["stop-outcome"]

    def restart_bridge(self, node: str) -> None:
        """Kill the node's bridge and start it again."""
        os.kill(self.stack.node(node)["engine_pid"], signal.SIGKILL)
        headers = {"Authorization": f"Bearer {self.stack.state['admin_token']}"}
        assert self.stack.request("POST", f"/local/nodes/{node}/restart?part=engine", headers).status in {200, 204}


def new_key() -> str:
    return str(uuid.uuid4())


def bridges(*, ami_port: int, esl_port: int) -> str:
    """Return the part of the fleet's file that joins both engines; FreeSWITCH with the sample's scripts and user."""
    sample = tomllib.loads((SAMPLES / "h6.toml").read_text())
    return f"""
[[bridges]]
node = "{PBX}"
program = "ivr_asterisk"
[bridges.settings]
ami = "tcp://127.0.0.1:{ami_port}"
username = "least"
secret = "secret"
scripts = '{json.dumps(SCRIPTS)}'

[[bridges]]
node = "{SWITCH}"
program = "ivr_freeswitch"
[bridges.settings]
port = {esl_port}
user = "{sample["user"]}"
password = "change-me"
scripts = '{json.dumps(sample["scripts"])}'
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("mixed")
    with ExitStack() as running:
        calls = ["survey@ivr", "plain@ivr", "nested@ivr"]
        pbx = running.enter_context(asterisk(folder, "--calls-per-minute", "90", calls=calls))
        running.enter_context(program("esl", "--port", str(esl := free_port()), *NUMBERS, "--at-once", "9"))
        (config := folder / "fleet.toml").write_text(FLEET + bridges(ami_port=pbx.port, esl_port=esl))
        stack = running.enter_context(running_stack(folder, config=config))
        yield Fleet(stack, pbx, stack.token(DOMAIN))


def test_one_list_shows_each_node_and_nested_scripts_by_their_own_codes(fleet: Fleet) -> None:
    eventually(lambda: fleet.rows(SANDBOX) and len(fleet.rows(PBX)) >= 3 and len(fleet.rows(SWITCH)) == 9, within_s=40)

    def nested() -> Row | None:
        rows = fleet.rows(PBX).values()  # one that began after the bridge, which then knows both names
        return next((row for row in rows if (row["name"], row["ext"]["rootname"]) == ("Inner", "Caller")), None)

    row = eventually(nested, within_s=30)
    assert (row["code"], row["ext"]["rootcode"]) == ("inner", "nested")
    assert row["id"] in fleet.rows(PBX, filter='{"ext.rootcode":"nested"}')
    assert fleet.stack.listing(fleet.token).headers["site-nodes"] == "SITE1=3/3"
    of_switch = fleet.one("player", SWITCH)
    assert (of_switch["name"], of_switch["ext"]["rootcode"]) == ("TEST PLAY", "callback")


def test_a_stop_waits_until_the_branch_runs_and_its_id_proves_it(fleet: Fleet) -> None:
    row, key = fleet.one("survey"), new_key()
    assert fleet.stop(row["id"], key=key) == "post_processing"
    shown = fleet.rows(PBX, filter=json.dumps({"ext.stop_id": key}))[row["id"]]
    assert (shown["name"], shown["ext"]["state"], shown["ext"]["stop_id"]) == ("Goodbye", "post_processing", key)
    assert fleet.stop(row["id"], key=key) == "post_processing"


def test_a_stop_waits_until_a_script_without_a_branch_is_gone(fleet: Fleet) -> None:
    row = fleet.one("plain")
    assert fleet.stop(row["id"]) == "ended"
    assert row["id"] not in fleet.rows(PBX)


def test_a_bridge_to_asterisk_that_is_killed_and_comes_back_loses_no_runtime_and_repeats_no_stop(fleet: Fleet) -> None:
    stopped, other, key = fleet.one("survey")["id"], fleet.one("inner")["id"], new_key()
    assert fleet.stop(stopped, key=key) == "post_processing"
    fleet.restart_bridge(PBX)
    fresh = fleet.one("plain")
    eventually(lambda: {stopped, other} <= set(fleet.rows(PBX)), within_s=30)
    assert fleet.stop(fresh["id"]) == "ended"
    assert fleet.stop(stopped, key=key) == "post_processing"


def test_a_restart_of_asterisk_takes_its_calls_out_of_the_list_at_once(fleet: Fleet) -> None:
    before = {fleet.one("survey")["id"], fleet.one("inner")["id"]}
    fleet.pbx.command("core restart now")
    eventually(lambda: fleet.rows(PBX) and not before & set(fleet.rows(PBX)), within_s=30)
    assert {fleet.stack.stop(fleet.token, runtime_id).status for runtime_id in before} == {404}


def test_a_stop_reaches_a_sandbox_of_the_same_site(fleet: Fleet) -> None:
    assert fleet.stop(fleet.one("survey", SANDBOX)["id"]) in {"post_processing", "ended"}


def test_stops_reach_scripts_of_freeswitch_and_a_repeat_kills_no_goodbye(fleet: Fleet) -> None:
    with_branch, without, key = fleet.one("welcome", SWITCH)["id"], fleet.one("survey", SWITCH)["id"], new_key()
    assert fleet.stop(without) == "ended"
    assert without not in fleet.rows(SWITCH)
    assert fleet.stop(with_branch, key=key) == "post_processing"
    assert fleet.stop(with_branch, key=key) == "post_processing"
    shown = fleet.rows(SWITCH)[with_branch]["ext"]
    assert (shown["state"], shown["stop_id"]) == ("post_processing", key)
    assert fleet.stop(with_branch) == "ended"
    assert with_branch not in fleet.rows(SWITCH)


def test_a_bridge_to_freeswitch_that_is_killed_and_comes_back_loses_no_runtime_and_repeats_no_stop(
    fleet: Fleet,
) -> None:
    stopped, key = fleet.one("welcome", SWITCH)["id"], new_key()
    assert fleet.stop(stopped, key=key) == "post_processing"
    before = set(fleet.rows(SWITCH))
    fleet.restart_bridge(SWITCH)
    fresh = fleet.one("survey", SWITCH)["id"]
    assert fleet.stop(fresh) == "ended"
    eventually(lambda: set(fleet.rows(SWITCH)) == before - {fresh}, within_s=30)
    assert fleet.stop(stopped, key=key) == "post_processing"
