"""No secret is ever told: planted in every setting and source of credentials, every call broken, every log searched.

The other side is `echo`, which breaks each request in another way and quotes its head wherever an answer has room.
"""

import asyncio
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from echo import BREAKS, Echo, echo
from emulators import ROOT, free_port
from ivr_agent.aws.clock import Clock
from ivr_agent.engine.client import Engine, EngineError
from ivr_agent.health import Health
from ivr_agent.outcome import UndeliveredError
from ivr_agent.peers.peers import Peers
from ivr_agent.peers.signature import NONCE, SIGNATURE, Signer
from ivr_agent.process.log import JsonLines
from ivr_engine.address import Address
from ivr_local.server import AccessLine
from ivr_local.stack import Lines
from ivr_runtimes.command import Command
from ivr_runtimes.errors import StoreError
from ivr_runtimes.identifiers import NodeName, RuntimeId, Session, Site, StopId
from ivr_runtimes.model import Node, Verb
from ivr_runtimes.stores import boto
from ivr_runtimes.telling import told, trace_of

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

PLANTED = "Planted"
"""What every secret of these tests holds, and nothing else does."""

TOKEN = f"{PLANTED}EngineToken"
PEER_SECRET = f"{PLANTED}PeerSecret" * 3
KEYS = {
    "AWS_ACCESS_KEY_ID": f"AKIA{PLANTED}Id",
    "AWS_SECRET_ACCESS_KEY": f"{PLANTED}Key",
    "AWS_SESSION_TOKEN": f"{PLANTED}Session",
}


@pytest.fixture
def other() -> Iterator[Echo]:
    with echo() as server:
        yield server


INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("IVR_", "AWS_"))}
"""Taken once: pytest changes the process's own with every test, and agents are started beside them."""


def of_variables(_: Path, __: Echo) -> Mapping[str, str]:
    return {name: f"{value}\n" for name, value in KEYS.items()}


def of_variables_that_no_header_carries(_: Path, __: Echo) -> Mapping[str, str]:
    return {name: f"{value}\nmore" for name, value in KEYS.items()}


def of_a_file(folder: Path, _: Echo) -> Mapping[str, str]:
    lines = [f"{name.lower()} = {value}" for name, value in KEYS.items()]
    (folder / "credentials").write_text("\r\n".join(["[default]", *lines, ""]), newline="")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials")}


def of_a_file_with_more_than_a_line(folder: Path, _: Echo) -> Mapping[str, str]:
    lines = [f"{name.lower()} = {value}\n  more" for name, value in KEYS.items()]
    (folder / "credentials").write_text("\n".join(["[default]", *lines, ""]))
    return {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials")}


def process(folder: Path, text: str) -> Mapping[str, str]:
    (folder / "process.py").write_text(text)
    (folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {folder}/process.py\n")
    return {"AWS_CONFIG_FILE": str(folder / "config")}


def of_a_process(folder: Path, _: Echo) -> Mapping[str, str]:
    key, secret, token = (f"{value}\n" for value in KEYS.values())
    keys = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token}
    return process(folder, f"print({json.dumps(keys)!r})")


def of_a_process_that_fails(folder: Path, _: Echo) -> Mapping[str, str]:
    return process(folder, f"import sys; sys.exit('no {PLANTED}')")


def of_a_process_that_talks(folder: Path, _: Echo) -> Mapping[str, str]:
    return process(folder, f"print('{PLANTED}')")


def of_a_container(folder: Path, other: Echo) -> Mapping[str, str]:
    (folder / "token").write_text(f"{PLANTED}Container\n")
    where = f"{other.url}/?{PLANTED}Query"
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": where,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "token"),
    }


def of_a_web_identity(folder: Path, _: Echo) -> Mapping[str, str]:
    (folder / "token").write_text(f"{PLANTED}.web.identity\n")
    role = "arn:aws:iam::000000000000:role/agent"
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"), "AWS_ROLE_ARN": role}


Source = Callable[[Path, Echo], Mapping[str, str]]

SOURCES: list[Source] = [
    of_variables,
    of_variables_that_no_header_carries,
    of_a_file,
    of_a_file_with_more_than_a_line,
    of_a_process,
    of_a_process_that_fails,
    of_a_process_that_talks,
    of_a_container,
    of_a_web_identity,
]


class Said(NamedTuple):
    """What an agent said, its pages included, how it ended, and the heads of the requests it sent."""

    text: str
    pages: list[str]
    exit_code: int
    heads: list[str]


def said_by_an_agent(folder: Path, source: Source) -> Said:
    """Run an agent until every way of breaking a request has met one of its own, or for 8 s."""
    with echo() as other:
        return _said(folder, other, source(folder, other))


def _said(folder: Path, other: Echo, given: Mapping[str, str]) -> Said:
    port = free_port()
    settings = {
        "SITE": "SITE1",
        "NODE": "h6@127.0.0.1",
        "RUNTIMES_TABLE": "runtimes",
        "NODES_TABLE": "nodes",
        "QUEUE_URL": f"http://user:{PLANTED}@127.0.0.1:{other.port}/1/stop-SITE1",
        "DEAD_LETTER_URL": f"{other.url}/1/stop-SITE1-dlq",
        "ENGINE": other.url,
        "LISTEN": f"http://127.0.0.1:{free_port()}",
        "ENGINE_TOKEN": f"{TOKEN}\n",
        "PEER_NETWORKS": "127.0.0.0/8",
        "PEER_SECRET": f"{PEER_SECRET}\r\n",
        "CONTROL_PORT": str(port),
        "LOG_LEVEL": "debug",
    }
    aws = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://user:{PLANTED}@127.0.0.1:{other.port}/{PLANTED}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **given,
    }
    agent = subprocess.Popen(
        [sys.executable, "-m", "ivr_agent"],
        env={**INHERITED, **aws, **{f"IVR_AGENT_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pages = []
    while not other.heads and agent.poll() is None:
        time.sleep(0.2)
    end_s = time.monotonic() + 8
    while len(other.heads) < len(BREAKS) and agent.poll() is None and time.monotonic() < end_s:
        time.sleep(0.2)
        pages += [page(port, "/healthz"), page(port, "/metrics")]
    agent.send_signal(signal.SIGTERM)
    text, _ = agent.communicate(timeout=30)
    return Said(text, pages, agent.returncode, other.heads)


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Source, Future[Said]]]:
    """All these agents, some at the same time: they wait for most of it."""
    with ThreadPoolExecutor(5) as pool:
        yield {one: pool.submit(said_by_an_agent, tmp_path_factory.mktemp(one.__name__), one) for one in SOURCES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_an_agent_tells_no_secret(agents: dict[Source, Future[Said]], source: Source) -> None:
    said = agents[source].result()
    assert said.text, "it says something"
    assert PLANTED not in "\n".join([said.text, *said.pages])
    if said.exit_code != 2:
        bearers = [line for head in said.heads for line in head.splitlines() if "Bearer" in line]
        assert set(bearers) == {f"Authorization: Bearer {TOKEN}"}, "without the line end"


def page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


def test_a_sandbox_tells_no_secret(tmp_path: Path, other: Echo) -> None:
    settings = {
        "NODE": "h6@127.0.0.1",
        "NODE_NUMBER": "6",
        "LISTEN": f"http://127.0.0.1:{free_port()}",
        "AGENT": other.url,
        "TOKEN": f"{TOKEN}\n",
        "SCRIPTS": str(ROOT / "samples"),
        "LOG_LEVEL": "debug",
        "DOMAINS": json.dumps([{"name": "a.example", "scripts": ["player"], "calls_per_minute": 6000}]),
    }
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "ivr_sandbox"],
        env={**INHERITED, **{f"IVR_SANDBOX_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end_s = time.monotonic() + 20
    while len(other.heads) < 2 * len(BREAKS) and time.monotonic() < end_s:
        time.sleep(0.2)
    sandbox.send_signal(signal.SIGTERM)
    said, _ = sandbox.communicate(timeout=30)
    assert len(other.heads) >= len(BREAKS)
    assert "event_refused" in said
    assert "agent_unreachable" in said
    assert PLANTED not in said
    assert any(f"Authorization: Bearer {TOKEN}" in head.splitlines() for head in other.heads)


async def test_no_way_of_breaking_a_request_to_the_engine_tells_its_token(other: Echo) -> None:
    engine = Engine(Address(host="127.0.0.1", port=other.port), token=TOKEN)
    stop: Any = {"session": Session("s"), "stop_id": StopId("1")}
    said = []
    for ask in (
        engine.status,
        engine.snapshot,
        lambda: engine.command(Verb.EXTERNAL_STOP, RuntimeId("x"), **stop),
    ):
        for _ in BREAKS:
            with pytest.raises(EngineError) as caught:
                await ask()
            said += [str(caught.value), trace_of(caught.value)]
    await engine.close()
    assert TOKEN in "".join(other.heads)
    assert PLANTED not in "".join(said)


async def test_no_way_of_breaking_a_request_to_a_peer_tells_its_signature(other: Echo) -> None:
    peers = Peers(
        networks=(ip_network("127.0.0.0/8"),), signer=Signer(PEER_SECRET, Clock()), health=Health(time.monotonic)
    )
    names: Any = {"site": "SITE1", "node": "h8@127.0.0.1", "session": "s-8", "domain": "a.example"}
    command = Command(
        stop_id="1",
        verb=Verb.TERMINATE,
        runtime_id="244f84aa-0624-e639-8061-a80000000006",
        accepted_at_s=0,
        deadline_s=1,
        **names,
    )
    row = Node(
        site=Site("SITE1"),
        node=NodeName("h8@127.0.0.1"),
        session=Session("s-8"),
        lease_until_s=0,
        agent_id="b",
        control_port=other.port,
        agent_version="1",
        started_at="2019-11-05T08:36:40Z",
    )
    said = []
    for _ in BREAKS:
        with pytest.raises(UndeliveredError) as caught:
            await peers(command, row)
        said += [str(caught.value), trace_of(caught.value)]
    await peers.close()
    sent = [line.partition(": ") for head in other.heads for line in head.splitlines()]
    secrets = {value for name, _, value in sent if name in {SIGNATURE, NONCE}}
    assert len(secrets) == 2 * len(BREAKS)
    assert not any(secret in line for secret in {*secrets, PLANTED} for line in said)


def test_no_way_of_breaking_a_request_to_aws_tells_a_credential(other: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://user:{PLANTED}@127.0.0.1:{other.port}"}.items():
        monkeypatch.setenv(name, value)
    config = boto.config(connect_timeout_s=1, read_timeout_s=1, attempts=1)
    session = boto.new_session()
    tables, queues = (session.create_client(name, "eu-central-1", config=config) for name in ("dynamodb", "sqs"))
    said = []
    for method, request in (
        (tables.get_item, {"TableName": "nodes", "Key": {"site": {"S": "SITE1"}}}),
        (tables.batch_write_item, {"RequestItems": {"t": [{"DeleteRequest": {"Key": {"site": {"S": PLANTED}}}}]}}),
        (queues.receive_message, {"QueueUrl": f"{other.url}/1/stop-SITE1?X-Amz-Signature={PLANTED}"}),
        (queues.send_message, {"QueueUrl": f"{other.url}/1/stop-SITE1", "MessageBody": [PLANTED]}),
    ):
        for _ in BREAKS:
            try:
                boto.call(method, **request)  # botocore takes some of them for empty answers
            except StoreError as error:
                said += [str(error), trace_of(error), told(error)]
    assert len(said) > 2 * len(BREAKS)
    assert "PlantedSession" in "".join(other.heads)
    assert PLANTED not in "".join(said)


@pytest.mark.parametrize("function", ["list_runtimes", "stop_runtime"])
def test_a_function_tells_no_credential(
    other: Echo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], function: str
) -> None:
    environment = {
        **KEYS,
        "AWS_ENDPOINT_URL": f"http://user:{PLANTED}@127.0.0.1:{other.port}",
        "RUNTIMES_TABLE": "runtimes",
        "NODES_TABLE": "nodes",
        "SITES": "SITE1",
        "STOP_QUEUE_URL_PREFIX": f"{other.url}/1/stop-",
        "POWERTOOLS_SERVICE_NAME": function,
        "POWERTOOLS_METRICS_NAMESPACE": "untold",
        "LOG_LEVEL": "DEBUG",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    boto._session.cache_clear()
    spec = importlib.util.spec_from_file_location(f"untold_{function}", ROOT / "functions" / function / "app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    event = json.loads((ROOT / "events" / ("list.json" if "list" in function else "stop.json")).read_text())
    event["headers"] = {**event.get("headers", {}), "authorization": f"Bearer {PLANTED}"}

    class Context:
        function_name = function_version = invoked_function_arn = aws_request_id = "untold"
        memory_limit_in_mb = 128

    answers = [app.lambda_handler(event, Context()) for _ in BREAKS]
    boto._session.cache_clear()
    assert {answer["statusCode"] for answer in answers} <= {200, 404, 500, 503}
    assert any(answer["statusCode"] == 503 for answer in answers)
    assert PLANTED not in json.dumps(answers)
    out, err = capfd.readouterr()
    assert '"refused"' in out
    assert PLANTED not in out + err


async def test_the_local_gateway_logs_neither_queries_nor_headers(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/things", serve)
    runner = web.AppRunner(app, access_log=logging.getLogger("ivr_local.access"), access_log_class=AccessLine)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    caplog.set_level(logging.INFO)
    headers = {"Authorization": f"Basic {PLANTED}", "Referer": f"http://h/?{PLANTED}", "User-Agent": PLANTED}
    async with aiohttp.ClientSession() as http:
        await http.get(f"http://127.0.0.1:{port}/things?access_token={PLANTED}", headers=headers)
        await http.get(URL(f"http://127.0.0.1:{port}/things%0Aforged", encoded=True))
    await runner.cleanup()
    assert "GET /things 200" in caplog.text
    assert "GET /things%0Aforged 404" in caplog.text
    assert PLANTED not in caplog.text


@pytest.mark.parametrize("formatter", [JsonLines(), Lines("%(message)s")], ids=["agent", "local stack"])
def test_a_trace_in_a_log_quotes_nothing(formatter: logging.Formatter) -> None:
    try:
        int(TOKEN)
    except ValueError:
        record = logging.LogRecord(
            "aiohttp.server", logging.ERROR, "f", 1, "Error handling request", (), sys.exc_info()
        )
    written = formatter.format(record)
    assert "test_a_trace_in_a_log_quotes_nothing" in written
    assert PLANTED not in written


async def test_a_library_is_logged_without_what_it_says_it_of(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio writes an error that nobody fetched into its message; others write URLs with their queries."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError(TOKEN), "future": TOKEN}
    )
    logging.getLogger("aiohttp.client").warning("Retrying %s", f"http://h/?{PLANTED}")
    written = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert [line["detail"] for line in written] == ["Task exception was never retrieved", "Retrying %s"]
    assert PLANTED not in json.dumps(written)
