"""The agent as a program: its arguments, its exit codes, its end when AWS hangs; and two agents over real TCP."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from emulators import CREDENTIALS, free_port
from ivr_agent.address import listen
from ivr_agent.agent import POLL_GRACE_S, doors, run
from ivr_agent.aws.clock import Clock
from ivr_agent.engine.memory import MemoryEngine
from ivr_agent.process.exits import SecondAgentError
from ivr_agent.protocol.wire import RuntimeState
from ivr_agent.settings import Settings, explain
from ivr_agent.wiring import Stores
from ivr_engine.address import Address
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site, StopId
from ivr_runtimes.lease import LEASE_TTL_S
from ivr_runtimes.model import Runtime, Verb
from ivr_runtimes.ports import Message
from ivr_runtimes.stores.memory import MemoryQueue, MemoryStore
from stack import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

SITE = Site("SITE1")
DOMAIN = Domain("test.rootdomain.ru")


def settings_of(folder: Path, *, number: int = 6, **changes: str) -> dict[str, str]:
    """Return the environment of the agent of node `number`."""
    values = {
        "SITE": SITE,
        "NODE": f"site1_h{number}@127.0.0.1",
        "RUNTIMES_TABLE": "runtimes",
        "NODES_TABLE": "nodes",
        "QUEUE_URL": "http://127.0.0.1:9/000000000000/stop-SITE1",
        "DEAD_LETTER_URL": "http://127.0.0.1:9/000000000000/stop-SITE1-dlq",
        "ENGINE": f"unix:{folder}/engine{number}",
        "LISTEN": f"unix:{folder}/agent{number}",
        "CONTROL_PORT": str(free_port()),
        "PEER_NETWORKS": "127.0.0.0/8",
        "PEER_SECRET": "p" * 32,
    }
    return {f"IVR_AGENT_{name}": value for name, value in {**values, **changes}.items()}


def clean_environment(aws: str = "http://127.0.0.1:9") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IVR_AGENT_")}
    return {**kept, **CREDENTIALS, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ENDPOINT_URL": aws}


def finished(
    *arguments: str, environment: Mapping[str, str] | None = None, clean: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run an agent that is to end by itself; with `clean` the environment's rest is a good one."""
    return subprocess.run(
        [sys.executable, "-m", "ivr_agent", *arguments],
        env={**(clean_environment() if clean else {}), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(environment: Mapping[str, str], *, aws: str = "http://127.0.0.1:9") -> Iterator[subprocess.Popen[str]]:
    """Run an agent until the block ends; wait until it has started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ivr_agent"],
        env={**clean_environment(aws), **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert first["action"] == "started", first
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def test_help_tells_every_setting_and_the_version_is_told() -> None:
    told = finished("--help")
    assert told.returncode == 0
    for name, default, _ in explain():
        assert f"  {name}  [{default}]" in told.stdout
    assert finished("--version").stdout.strip()


def test_wrong_settings_end_it_with_2_and_are_named(tmp_path: Path) -> None:
    ended = finished(environment=settings_of(tmp_path, SITE="1", PEER_SECRET="short-secret"))
    assert ended.returncode == 2
    assert "site: " in ended.stderr
    assert "peer_secret: " in ended.stderr
    assert "short-secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_region_is_a_wrong_setting(tmp_path: Path) -> None:
    environment = {**clean_environment(), **settings_of(tmp_path), "AWS_CONFIG_FILE": os.devnull}
    del environment["AWS_DEFAULT_REGION"]
    ended = finished(environment=environment, clean=False)
    assert ended.returncode == 2
    assert "AWS_DEFAULT_REGION" in ended.stderr


def test_a_taken_control_port_ends_it_with_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = finished(environment=settings_of(tmp_path, CONTROL_PORT=port))
    told = json.loads(ended.stderr.splitlines()[-1])
    assert (ended.returncode, told["action"]) == (3, "fatal")
    assert port in told["error"]
    assert not list(tmp_path.iterdir())


def test_a_taken_socket_ends_it_with_3(tmp_path: Path) -> None:
    with listen(Address(path=f"{tmp_path}/agent6")):
        ended = finished(environment=settings_of(tmp_path))
        assert ended.returncode == 3
        assert "another process listens there" in ended.stderr
    assert (tmp_path / "agent6").exists(), "the other one's socket is left alone"


@pytest.fixture
def silent_aws() -> Iterator[str]:
    """An AWS that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("engine", ["absent", "silent"])
@pytest.mark.parametrize("aws", ["refusing", "silent"])
def test_sigterm_ends_it_within_10_s_whatever_aws_and_the_engine_do(
    tmp_path: Path, silent_aws: str, aws: str, engine: str
) -> None:
    environment = settings_of(tmp_path)
    if engine == "silent":  # any server that takes connections and never answers will do
        environment |= {"IVR_AGENT_ENGINE": silent_aws, "IVR_AGENT_ENGINE_TOKEN": "t" * 32}
    url = silent_aws if aws == "silent" else "http://127.0.0.1:9"
    queue = {"IVR_AGENT_QUEUE_URL": f"{url}/000000000000/stop-SITE1"}
    with running({**environment, **queue}, aws=url) as process:
        time.sleep(1.0)  # let every loop be in the middle of a request
        health = f"http://127.0.0.1:{environment['IVR_AGENT_CONTROL_PORT']}/healthz"
        eventually(lambda: sides(health) == ("down", "down", "up"), within_s=20)
        begun_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - begun_s < 10
    assert not list(tmp_path.iterdir())


def sides(health: str) -> tuple[str, str, str]:
    """What the health page of an agent that is not well says of engine, AWS and peers."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(health, timeout=20)  # noqa: S310  # loopback
    with caught.value as answer:
        told = json.loads(answer.read())
    return told["engine"], told["aws"], told["peers"]


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    environment = settings_of(tmp_path)
    door = ("127.0.0.1", int(environment["IVR_AGENT_CONTROL_PORT"]))
    with running(environment) as process, socket.create_connection(door) as half:
        half.sendall(b"POST /v1/commands HTTP/1.1\r\nHost: h6\r\nContent-Length: 9\r\n\r\n")  # it is waited for
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while json.loads(process.stderr.readline())["action"] != "stopping":
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 5


def test_a_supervisor_hears_of_readiness_and_of_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(20)
        with running({**settings_of(tmp_path), "NOTIFY_SOCKET": str(tmp_path / "notify")}) as process:
            assert supervisor.recv(100) == b"READY=1"
            process.send_signal(signal.SIGTERM)
            told = [supervisor.recv(100)]
            while told[-1] == b"WATCHDOG=1":
                told.append(supervisor.recv(100))
            assert told[-1] == b"STOPPING=1"
            assert process.wait(20) == 0


# Two whole agents in one process, on stores in memory, with engines behind real sockets.


def engine_app(engine: MemoryEngine) -> web.Application:
    """Serve a memory engine's engine side as docs/engine-protocol.md says."""

    async def status(_: web.Request) -> web.Response:
        age = {} if engine.age_s is None else {"age_s": engine.age_s}
        return web.json_response({"session": engine.session, "seq": engine.seq, **age})

    async def snapshot(_: web.Request) -> web.Response:
        rows = [state.model_dump(mode="json") for state in engine.runtimes.values()]
        return web.json_response({"session": engine.session, "seq": engine.seq, "runtimes": rows})

    async def command(request: web.Request) -> web.Response:
        body = await request.json()
        answer = await engine.command(
            Verb(request.match_info["verb"]),
            RuntimeId(request.match_info["id"]),
            session=Session(body["session"]),
            stop_id=StopId(body["stop_id"]),
        )
        if hasattr(answer, "error"):
            code = 404 if answer.error == "unknown_runtime" else 409
            return web.json_response({"error": answer.error, "session": answer.session}, status=code)
        return web.json_response(answer.model_dump(mode="json"))

    app = web.Application()
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/runtimes", snapshot)
    app.router.add_post("/v1/runtimes/{id}/{verb}", command)
    return app


@asynccontextmanager
async def served(app: web.Application, path: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with listen(Address(path=str(path))) as door:
        await web.SockSite(runner, door).start()
        yield
        await runner.cleanup()


def told_clock() -> Clock:
    """Return a clock as AWS would have set it: stores in memory tell no time."""
    clock = Clock()
    clock.observe(time.time())
    return clock


class BriefPolls(MemoryQueue):
    """A queue whose long polls are short, so that an agent's end is not waited for where no test judges it."""

    def receive(self, *, wait_s: int) -> list[Message]:
        return super().receive(wait_s=min(wait_s, 1))


class Sited:
    """A site with agents: its stores, and per node number an engine and its agent."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.store = MemoryStore()
        self.queue: MemoryQueue = BriefPolls()
        self.engines: dict[int, MemoryEngine] = {}
        self.agents: dict[int, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def node(self, number: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MemoryEngine]:
        """Run an engine and an agent for node `number` until the block ends, in order."""
        engine = self.engines[number] = MemoryEngine(session=Session(f"s-{number}"))
        for name, value in settings_of(
            self.folder, number=number, CONTROL_PORT="0", HEARTBEAT_INTERVAL_S="0.5"
        ).items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        stores = Stores(runtimes=self.store, nodes=self.store, inbox=self.queue)
        stop = asyncio.Event()
        async with served(engine_app(engine), self.folder / f"engine{number}"):
            with doors(settings) as opened:
                agent = asyncio.create_task(run(settings, opened=opened, stores=stores, clock=told_clock(), stop=stop))
                self.agents[number] = agent
                yield engine
                stop.set()
                await agent

    async def live(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run a node with an engine of its own, in which script 7 runs, until its agent ends; raises what ended it."""
        async with self.node(number, monkeypatch) as engine:
            engine.session = Session("s-strange")
            engine.put(running_script(7))
            await asyncio.wait({self.agents[number]}, timeout=20)

    def command(self, number: int, runtime: RuntimeState) -> Command:
        now_s = time.time()
        return Command(
            stop_id="stop-1",
            verb=Verb.TERMINATE,
            site=SITE,
            node=f"site1_h{number}@127.0.0.1",
            session=self.engines[number].session,
            runtime_id=runtime.id,
            domain=DOMAIN,
            accepted_at_s=now_s,
            deadline_s=now_s + 60,
        )

    def rows(self) -> list[Runtime]:
        return list(self.store.of_domain(DOMAIN))


async def until(check: Callable[[], Any], *, within_s: float = 20.0) -> None:
    end_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end_s, f"not within {within_s} s"
        await asyncio.sleep(0.02)


def running_script(number: int) -> RuntimeState:
    return RuntimeState(
        id=RuntimeId(f"244f84aa-0624-e639-8061-{number:012x}"),
        domain=DOMAIN,
        type="ivr",
        code="player",
        name="TEST PLAY",
        starttime="2019-11-05T08:36:40Z",
        state="running",
    )


async def test_a_stop_reaches_its_node_whichever_agent_takes_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agent 6 alone drains the queue while agent 8 is deaf to it: 8's stops must come by way of 6."""
    site, deaf = Sited(tmp_path), Sited(tmp_path)
    deaf.store, deaf.engines = site.store, site.engines
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(site.node(6, monkeypatch))
        engine = await stack.enter_async_context(deaf.node(8, monkeypatch))
        script = running_script(8)
        engine.put(script)  # no event is sent: the probe finds the gap
        await until(lambda: [row.node for row in site.rows()] == ["site1_h8@127.0.0.1"])
        site.queue.send(site.command(8, script))
        await until(lambda: not engine.runtimes)
        assert engine.commands == [(Verb.TERMINATE, script.id, "stop-1")]
        await until(lambda: len(site.queue) == 0)
        await until(lambda: not site.rows())


async def test_an_orderly_end_hands_the_node_over_and_leaves_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Sited(tmp_path)
    async with site.node(6, monkeypatch) as engine:
        engine.put(running_script(6))
        await until(site.rows)
    (node,) = site.store.all_nodes()
    assert node.agent_id == ""
    assert node.lease_until_s > time.time() + 50
    assert len(site.rows()) == 1
    async with site.node(6, monkeypatch):
        await until(lambda: site.store.read(SITE, NodeName("site1_h6@127.0.0.1")) != node)
    assert not (await asyncio.to_thread((tmp_path / "agent6").exists))


async def test_the_sockets_file_goes_while_nobody_else_can_have_bound_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was removed after the socket was closed: a successor that had bound its own in between lost the file."""
    site, listened, path = Sited(tmp_path), [], tmp_path / "agent6"
    unlink = Path.unlink

    def spied(gone: Path, *, missing_ok: bool = False) -> None:
        if gone == path and path.exists():
            with socket.socket(socket.AF_UNIX) as trial:
                listened.append(trial.connect_ex(str(path)) == 0)
        unlink(gone, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", spied)
    async with site.node(6, monkeypatch):
        await until(site.store.all_nodes)
    assert listened == [True]
    assert not path.exists()


async def test_a_second_agent_of_a_node_ends_and_the_first_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, other = Sited(tmp_path / "a"), Sited(tmp_path / "b")
    other.store, other.queue = site.store, site.queue
    async with site.node(6, monkeypatch) as engine:
        engine.put(running_script(6))
        await until(site.rows)
        (node,) = site.store.all_nodes()
        with pytest.raises(SecondAgentError):
            await other.live(6, monkeypatch)
        assert [(n.agent_id, n.session) for n in site.store.all_nodes()] == [(node.agent_id, "s-6")]
        assert [row.id for row in site.rows()] == [running_script(6).id], "nothing was swept, nothing added"


async def test_a_long_poll_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, hangs, go_on = Sited(tmp_path), threading.Event(), threading.Event()

    class Silent(MemoryQueue):
        def receive(self, *, wait_s: int) -> list[Message]:
            hangs.set()
            go_on.wait(60 + wait_s)
            return []

    site.queue = Silent()
    async with site.node(6, monkeypatch):
        await until(hangs.is_set)
        begun_s = time.monotonic()
    go_on.set()
    assert POLL_GRACE_S < time.monotonic() - begun_s < 20, "the poll hangs for a minute"


async def test_an_agent_whose_node_was_taken_over_hands_back_the_stops_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended by exit 4 with messages in hand, which stayed hidden from its successor for 15 s."""
    site, asked, name = Sited(tmp_path), asyncio.Event(), NodeName("site1_h6@127.0.0.1")

    async def stuck(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(MemoryEngine, "command", stuck)
    monkeypatch.setattr("ivr_agent.agent.WORK_GRACE_S", 0.1)

    async def live_until_taken_over() -> None:
        async with site.node(6, monkeypatch):
            await until(lambda: site.store.read(SITE, name))
            site.queue.send(site.command(6, running_script(6)))
            await asyncio.wait_for(asked.wait(), 20)
            node = site.store.all_nodes()[0]

            def take_over(lease_s: float) -> None:
                site.store._nodes[SITE, name] = replace(
                    node, agent_id="another", session=Session("s-9"), lease_until_s=time.time() + lease_s
                )

            take_over(30)
            await until(lambda: "lease_held" in caplog.messages)
            take_over(55)  # it is taken for living once it renews
            await asyncio.wait({site.agents[6]}, timeout=20)

    with pytest.raises(SecondAgentError):
        await live_until_taken_over()
    assert len(site.queue.receive(wait_s=0)) == 1


async def test_what_the_engine_forgot_while_no_agent_ran_leaves_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Sited(tmp_path)
    async with site.node(6, monkeypatch) as engine:
        engine.put(running_script(6))
        await until(site.rows)
    async with site.node(6, monkeypatch):  # the same session, and nothing runs in it
        await until(lambda: not site.rows())


async def test_an_engine_that_counts_anew_within_its_session_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran 50 scripts and now runs one: all 50 stayed in the list for as long as it lived."""
    sited = Sited(tmp_path)
    async with sited.node(6, monkeypatch) as engine:
        for number in range(50):
            engine.put(running_script(number))
        await until(lambda: len(sited.rows()) == 50)
        engine.seq, engine.runtimes = 0, {}
        engine.put(running_script(77))
        await until(lambda: [row.id for row in sited.rows()] == [running_script(77).id])


async def test_a_bridge_that_remembers_its_dead_engine_keeps_no_node_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sited = Sited(tmp_path)

    def lease_until_s() -> float:
        return max((node.lease_until_s for node in sited.store.all_nodes()), default=0.0)

    async with sited.node(6, monkeypatch) as engine:
        engine.age_s = 0.0
        await until(lambda: lease_until_s() > time.time() + 10)
        died_s = time.time()
        told_s = [died_s]
        while told_s[-1] < died_s + 4:
            told_s.append(time.time())
            engine.age_s = told_s[-1] - died_s
            await asyncio.sleep(0.1)
        late_s = max(later - earlier for earlier, later in pairwise(told_s))
        assert lease_until_s() <= died_s + late_s + LEASE_TTL_S + 1.5, "the clock is told in whole seconds"
        engine.age_s = 0.0
        await until(lambda: lease_until_s() > time.time() + 14)
