"""The sandbox as it is really run: a process beside an agent, over the engine protocol."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from emulators import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

ENDS_WITHIN_S = 10.0
"""A loaded machine needs seconds for what takes it a tenth; what hangs, hangs for ever."""

SAMPLES = Path(__file__).parents[2] / "samples"
GOODBYE = """
code: goodbye
name: Goodbye
main: [start, pause: {duration_s: 60}]
post_processing:
  stop: [run_script: {code: plain}]
"""
PLAIN = "{code: plain, name: Plain, main: [start, pause: {duration_s: 60}]}"
BRIEF = "{code: brief, name: Brief, main: [start, pause: {duration_s: [0.1, 0.3]}, run_script: {code: briefer}]}"
BRIEFER = "{code: briefer, name: Briefer, main: [start, pause: {duration_s: [0, 0.2]}]}"

Row = dict[str, Any]


class Agent:
    """The agent side: keeps every event, and the set of runtimes that they add up to."""

    def __init__(self) -> None:
        self.session = ""
        self.events: list[tuple[int, str, Row | None]] = []
        self.rows: dict[str, Row] = {}
        self.shown: list[Row] = []

    async def put(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.session = event["session"]
        self.changed(event)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        self.ended(int(request.query["seq"]), request.match_info["id"])
        return web.Response(status=204)

    async def post(self, request: web.Request) -> web.Response:
        batch = await request.json()
        self.session = batch["session"]
        for event in batch["events"]:
            if "runtime" in event:
                self.changed(event)
            else:
                self.ended(event["seq"], event["id"])
        return web.Response(status=204)

    def changed(self, event: Row) -> None:
        row = event["runtime"]
        self.events.append((event["seq"], row["id"], row))
        self.rows[row["id"]] = row
        self.shown.append(row)

    def ended(self, seq: int, runtime_id: str) -> None:
        self.events.append((seq, runtime_id, None))
        self.rows.pop(runtime_id)

    def rows_as_of(self, seq: int) -> dict[str, Row]:
        rows: dict[str, Row | None] = {id_: row for number, id_, row in self.events if number <= seq}
        return {id_: row for id_, row in rows.items() if row is not None}

    def has_seen(self, seq: int) -> bool:
        return bool(self.events) and self.events[-1][0] >= seq

    async def listen(self, path: Path) -> web.AppRunner:
        app = web.Application()
        app.router.add_put("/v1/runtimes/{id}", self.put)
        app.router.add_delete("/v1/runtimes/{id}", self.delete)
        app.router.add_post("/v1/events", self.post)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        return runner


class Sandbox:
    """One sandbox process at a time, its agent, and a client of its engine side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agent = Agent()
        self.process: Process
        self.client: aiohttp.ClientSession
        self.settings: dict[str, Any] = {
            "node": "site1_h6@127.0.0.1",
            "node_number": 6,
            "listen": f"unix:{folder}/engine.sock",
            "agent": f"unix:{folder}/agent.sock",
            "scripts": str(folder / "scripts"),
        }

    async def start(self, *domains: Row, **settings: Any) -> None:
        """Start the process and wait until it serves."""
        self.settings |= settings
        self.process = await launch(self.folder, self.settings, list(domains))
        async with asyncio.timeout(20):
            line = json.loads(await self.stderr.readline())
        assert line["action"] == "started", line

    @property
    def stderr(self) -> asyncio.StreamReader:
        assert self.process.stderr is not None
        return self.process.stderr

    async def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        await self.stderr.read()
        return await self.process.wait()

    async def ask(self, path: str, **body: Any) -> Row:
        method = "POST" if body else "GET"
        async with self.client.request(method, f"/v1{path}", json=body or None) as answer:
            parsed: Row = await answer.json()
            return parsed | {"status": answer.status}

    async def command(self, row: Row, verb: str, stop_id: str) -> Row:
        return await self.ask(f"/runtimes/{row['id']}/{verb}", session=self.agent.session, stop_id=stop_id)


async def launch(folder: Path, settings: Row, domains: list[Row]) -> Process:
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    for domain in domains:
        lines += ["[[domains]]", *(f"{name} = {json.dumps(value)}" for name, value in domain.items())]
    config = folder / "sandbox.toml"
    config.write_text("\n".join(lines))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IVR_SANDBOX_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ivr_sandbox", "--config", str(config), env=environment, stdout=PIPE, stderr=PIPE
    )


def calls(*codes: str, per_minute: float = 600) -> Row:
    return {"name": "test.rootdomain.ru", "scripts": list(codes), "calls_per_minute": per_minute}


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.02)


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    texts = {"plain": PLAIN, "brief": BRIEF, "briefer": BRIEFER, "goodbye": GOODBYE}
    for name, text in texts.items():
        (scripts / f"{name}.yaml").write_text(text)
    sandbox = Sandbox(tmp_path)
    runner = await sandbox.agent.listen(tmp_path / "agent.sock")
    async with AsyncExitStack() as stack:
        connector = aiohttp.UnixConnector(str(tmp_path / "engine.sock"))
        sandbox.client = await stack.enter_async_context(aiohttp.ClientSession("http://engine", connector=connector))
        yield sandbox
        await sandbox.end(signal.SIGKILL)
    await runner.cleanup()


async def test_the_events_add_up_to_the_snapshot_while_calls_come_and_go(sandbox: Sandbox) -> None:
    await sandbox.start(calls("brief", "plain", per_minute=3000))
    agent = sandbox.agent
    for events in (50, 100, 200):
        await until(partial(agent.has_seen, events))
        snapshot = await sandbox.ask("/runtimes")
        # The agent is told everything: the events up to the snapshot are there or on their way.
        await until(partial(agent.has_seen, snapshot["seq"]))
        assert {row["id"]: row for row in snapshot["runtimes"]} == agent.rows_as_of(snapshot["seq"])
    assert [seq for seq, _, _ in agent.events] == list(range(1, len(agent.events) + 1))
    assert {(row["code"], row["rootcode"]) for row in agent.shown} == {
        ("brief", None),
        ("briefer", "brief"),
        ("plain", None),
    }
    assert all(row["id"].endswith("0000000006") for row in agent.shown)


async def test_a_stop_hands_control_to_the_branch_and_the_second_one_ends_it(sandbox: Sandbox) -> None:
    await sandbox.start(calls("goodbye", per_minute=60))
    agent = sandbox.agent
    await until(lambda: bool(agent.rows))
    row = next(iter(agent.rows.values()))
    stopped = await sandbox.command(row, "external_stop", "s1")
    assert (stopped["state"], stopped["result"]) == ("post_processing", "acted")
    await until(lambda: agent.rows[row["id"]]["code"] == "plain")
    shown = agent.rows[row["id"]]
    assert (shown["state"], shown["stoptype"], shown["stop_id"]) == ("post_processing", "stop", "s1")
    assert shown["rootcode"] == "goodbye"
    repeated = await sandbox.command(row, "terminate", "s1")
    assert (repeated["state"], repeated["result"]) == ("post_processing", "already_stopping")
    ended = await sandbox.command(row, "terminate", "s2")
    assert (ended["state"], ended["result"]) == ("ended", "acted")
    await until(lambda: row["id"] not in agent.rows)
    assert (await sandbox.command(row, "terminate", "s2"))["error"] == "unknown_runtime"


async def test_a_delayed_branch_is_acknowledged_as_running_and_starts_later(sandbox: Sandbox) -> None:
    await sandbox.start(calls("goodbye", per_minute=60), external_stop_delay_ms=2000)
    agent = sandbox.agent
    await until(lambda: bool(agent.rows))
    row = next(iter(agent.rows.values()))
    began = time.monotonic()
    assert (await sandbox.command(row, "external_stop", "s1"))["state"] == "running"
    assert (await sandbox.command(row, "external_stop", "s2"))["result"] == "already_stopping"
    await until(lambda: agent.rows[row["id"]]["state"] == "post_processing")
    assert time.monotonic() - began >= 2
    await until(lambda: agent.rows[row["id"]]["stop_id"] == "s2")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once_and_leaves_no_socket(sandbox: Sandbox, number: int) -> None:
    await sandbox.start(calls("plain"))
    await until(lambda: len(sandbox.agent.rows) > 2)
    began = time.monotonic()
    assert await sandbox.end(number) == 0
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert not (sandbox.folder / "engine.sock").exists()


async def test_a_signal_ends_it_while_its_agent_does_not_answer(sandbox: Sandbox) -> None:
    await sandbox.start(calls("plain"), agent=f"unix:{sandbox.folder}/nobody.sock")
    async with asyncio.timeout(20):
        while json.loads(await sandbox.stderr.readline())["action"] != "agent_unreachable":
            pass
    began = time.monotonic()
    assert await sandbox.end() == 0
    assert time.monotonic() - began < ENDS_WITHIN_S


async def test_a_killed_process_is_followed_by_a_new_session_on_the_same_socket(sandbox: Sandbox) -> None:
    await sandbox.start(calls("plain"))
    await until(lambda: bool(sandbox.agent.rows))
    before = sandbox.agent.session
    row = next(iter(sandbox.agent.rows.values()))
    await sandbox.end(signal.SIGKILL)
    assert (sandbox.folder / "engine.sock").exists()
    await sandbox.start()
    status = await sandbox.ask("/status")
    assert status["session"] != before
    assert (await sandbox.command(row, "terminate", "s1"))["error"] == "session_mismatch"
    assert (await sandbox.ask("/runtimes"))["runtimes"] == []


async def test_the_same_seed_brings_the_same_calls_again(sandbox: Sandbox) -> None:
    seen = []
    for _ in range(2):
        sandbox.agent.shown.clear()
        await sandbox.start(calls("plain", "brief", "goodbye", per_minute=1200), seed=5)
        await until(lambda: sum(row["rootcode"] is None for row in sandbox.agent.shown) > 30)
        await sandbox.end()
        # A call counts from where it is first shown. How soon it comes back from a nested script varies.
        starts = {row["id"]: row["rootcode"] or row["code"] for row in sandbox.agent.shown}
        seen.append(list(starts.values())[:12])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 3


async def test_over_tcp_nothing_is_answered_without_the_token(sandbox: Sandbox) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    await sandbox.start(listen=url, token="secret")
    async with aiohttp.ClientSession(url) as client:
        async with client.get("/v1/status") as refused:
            assert refused.status == 401
        async with client.get("/v1/status", headers={"Authorization": "Bearer secret"}) as answered:
            assert answered.status == 200


async def finish(process: Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_wrong_settings_end_it_with_2_and_a_remedy_each(sandbox: Sandbox) -> None:
    settings = sandbox.settings | {"node_number": -1, "agent": "http://10.0.0.1:1"}
    sandbox.process = await launch(sandbox.folder, settings, [])
    status, _, err = await finish(sandbox.process)
    assert status == 2
    assert sorted(line.partition(":")[0] for line in err.splitlines()[1:]) == ["agent", "node_number"]


async def test_a_domain_with_a_script_that_is_not_there_ends_it_with_2(sandbox: Sandbox) -> None:
    sandbox.process = await launch(sandbox.folder, sandbox.settings, [calls("plain", "player")])
    status, _, err = await finish(sandbox.process)
    assert status == 2
    assert "domains[0].scripts: no script has the code player; use one of: brief, briefer, goodbye, plain" in err


async def test_a_faulty_script_ends_it_with_2(sandbox: Sandbox) -> None:
    (sandbox.folder / "scripts" / "bad.yaml").write_text("{code: bad, name: Bad, main: [start, hop]}")
    sandbox.process = await launch(sandbox.folder, sandbox.settings, [])
    status, _, err = await finish(sandbox.process)
    assert status == 2
    assert "bad.yaml: main[1]: unknown step hop; use one of: start, play" in err


async def test_a_second_engine_on_the_same_socket_is_refused_and_the_first_goes_on(sandbox: Sandbox) -> None:
    await sandbox.start()
    status, _, err = await finish(await launch(sandbox.folder, sandbox.settings, []))
    assert status == 2
    assert "another process listens there" in err
    assert (await sandbox.ask("/status"))["seq"] == 0


async def test_help_names_every_setting(sandbox: Sandbox) -> None:
    command = Path(sys.executable).with_name("ivr-sandbox")
    sandbox.process = await asyncio.create_subprocess_exec(str(command), "--help", stdout=PIPE, stderr=PIPE)
    status, out, _ = await finish(sandbox.process)
    assert status == 0
    assert all(f"IVR_SANDBOX_{name.upper()}" in out for name in (*sandbox.settings, "token", "domains", "seed"))


async def test_the_samples_run(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.folder / "scripts")
    shutil.copytree(SAMPLES, sandbox.folder / "scripts")
    await sandbox.start(calls("player", "welcome", "survey", "callback", per_minute=3000))
    await until(lambda: {row["code"] for row in sandbox.agent.shown} >= {"player", "welcome", "survey", "callback"})
    assert {row["name"] for row in sandbox.agent.shown} >= {"TEST PLAY", "Main scenario"}
