"""A site with a sandbox and an Asterisk beside each other: one list, and stops that reach either, over HTTP."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from asterisks import SCRIPTS, Program, asterisk
from stack import RESOURCE, Stack, eventually, running_stack

pytestmark = pytest.mark.e2e

DOMAIN, SANDBOX, PBX = "test.rootdomain.ru", "site1_s@127.0.0.1", "site1_p@127.0.0.1"

FLEET = f"""
[[sites]]
code = "SITE1"
nodes = ["{SANDBOX}", "{PBX}"]

[[domains]]
name = "{DOMAIN}"
scripts = ["survey", "callback"]
calls_per_minute = 60

[[clients]]
id = "operator"
secret = "sample-operator-secret"
domain = "{DOMAIN}"
scopes = ["ivrscript_runtimes:read", "ivrscript_runtimes:stop"]

[[bridges]]
node = "{PBX}"
program = "ivr_asterisk"
"""

MASK = "id,node,code,name,ext.rootcode,ext.rootname,ext.state,ext.stop_id"

Row = dict[str, Any]


@dataclass
class Fleet:
    """The site. `pbx` is its Asterisk."""

    stack: Stack
    pbx: Program
    token: str

    def rows(self, node: str, **among: str) -> dict[str, Row]:
        """Return the runtimes of a node, by id."""
        return {row["id"]: row for row in self.stack.rows(self.token, mask=MASK, **among) if row["node"] == node}

    def one(self, code: str) -> Row:
        """Wait for a running script of the Asterisk; return the youngest."""

        def running() -> Row | None:
            rows = self.rows(PBX, order="-starttime").values()
            return next((row for row in rows if (row["code"], row["ext"]["state"]) == (code, "running")), None)

        found: Row = eventually(running, within_s=30)
        return found

    def stop(self, runtime_id: str, *, key: str | None = None) -> str:
        """Stop a runtime and wait for the effect; return the outcome that the answer tells."""
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": "wait=10", "Idempotency-Key": key or new_key()}
        answer = self.stack.request("DELETE", f"{RESOURCE}/{runtime_id}", headers)
        assert answer.status == 204, answer.body
        return answer.headers["stop-outcome"]


def new_key() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("mixed")
    with ExitStack() as running:
        calls = ["survey@ivr", "plain@ivr", "nested@ivr"]
        pbx = running.enter_context(asterisk(folder, "--calls-per-minute", "90", calls=calls))
        scripts = ", ".join("{" + f'context = "{rule["context"]}"' + "}" for rule in SCRIPTS)
        settings = f'ami = "tcp://127.0.0.1:{pbx.port}", username = "least", secret = "secret", scripts = [{scripts}]'
        (config := folder / "fleet.toml").write_text(f"{FLEET}settings = {{{settings}}}\n")
        stack = running.enter_context(running_stack(folder, config=config))
        yield Fleet(stack, pbx, stack.token(DOMAIN))


def test_one_list_shows_both_nodes_and_a_nested_script_by_its_own_code(fleet: Fleet) -> None:
    eventually(lambda: fleet.rows(SANDBOX) and len(fleet.rows(PBX)) >= 3, within_s=40)

    def nested() -> Row | None:
        rows = fleet.rows(PBX).values()  # one that began after the bridge, which then knows both names
        return next((row for row in rows if (row["name"], row["ext"]["rootname"]) == ("Inner", "Caller")), None)

    row = eventually(nested, within_s=30)
    assert (row["code"], row["ext"]["rootcode"]) == ("inner", "nested")
    assert row["id"] in fleet.rows(PBX, filter='{"ext.rootcode":"nested"}')
    assert fleet.stack.listing(fleet.token).headers["site-nodes"] == "SITE1=2/2"


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


def test_a_bridge_that_is_killed_and_comes_back_loses_no_runtime_and_repeats_no_stop(fleet: Fleet) -> None:
    stopped, other, key = fleet.one("survey")["id"], fleet.one("inner")["id"], new_key()
    assert fleet.stop(stopped, key=key) == "post_processing"
    os.kill(fleet.stack.node(PBX)["engine_pid"], signal.SIGKILL)
    headers = {"Authorization": f"Bearer {fleet.stack.state['admin_token']}"}
    assert fleet.stack.request("POST", f"/local/nodes/{PBX}/restart?part=engine", headers).status in {200, 204}
    fresh = fleet.one("plain")
    eventually(lambda: {stopped, other} <= set(fleet.rows(PBX)), within_s=30)
    assert fleet.stop(fresh["id"]) == "ended"
    assert fleet.stop(stopped, key=key) == "post_processing"


def test_a_restart_of_asterisk_takes_its_calls_out_of_the_list_at_once(fleet: Fleet) -> None:
    before = {fleet.one("survey")["id"], fleet.one("inner")["id"]}
    fleet.pbx.command("core restart now")
    eventually(lambda: fleet.rows(PBX) and not before & set(fleet.rows(PBX)), within_s=30)
    assert {fleet.stack.stop(fleet.token, runtime_id).status for runtime_id in before} == {404}
