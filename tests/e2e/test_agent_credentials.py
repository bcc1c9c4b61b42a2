"""An agent whose credentials come late: the real program, real sources of credentials, an AWS forged on loopback.

Each source is missing when the agent starts and appears while it runs. botocore looks once, at the start.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emulators import free_port
from forged import Answer, Asked, container, instance_metadata, role, served, web_identity
from ivr_agent.aws import sources
from ivr_agent.aws.remedy import cause_of
from ivr_runtimes.stores import boto
from stack import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

KEY = "ASIALATECOMER"
FOUND_WITHIN_S = 40.0
"""The longest rest between two looks, and room for a busy machine."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IVR_"))}
"""Taken once: pytest changes the process's own with every test, and agents are started beside them."""

Appear = Callable[[ExitStack], object]
Late = tuple[dict[str, str], Appear]


def metadata_service(_: Path) -> Late:
    port = free_port()
    given = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "false"}
    return given, lambda stack: stack.enter_context(served(instance_metadata(KEY), port=port))


def container_service(_: Path) -> Late:
    port = free_port()
    given = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{port}/credentials"}
    return given, lambda stack: stack.enter_context(served(container(KEY), port=port))


def process(home: Path) -> Late:
    """A process that fails once, with a secret in what it prints, and then does its work."""
    script = home / "process"
    told = json.dumps(role(KEY) | {"Version": 1, "SessionToken": "planted-token"})
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if not os.path.exists({str(home / 'ready')!r}): sys.exit('boom: planted-secret')\n"
        f"print({told!r})\n"
    )
    script.chmod(0o700)
    (home / "config").write_text(f"[default]\ncredential_process = {script}\n")
    return {}, lambda _: (home / "ready").touch()


def profile(home: Path) -> Late:
    text = f"[ivr]\naws_access_key_id = {KEY}\naws_secret_access_key = planted-secret\n"
    return {"AWS_PROFILE": "ivr"}, lambda _: (home / "credentials").write_text(text)


def half_written(home: Path) -> Late:
    (home / "config").write_text("[default\naws_access_key_id = planted-secret")
    text = f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = planted-secret\n"
    return {}, lambda _: (home / "config").write_text(text)


def token_file(home: Path) -> Late:
    given = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"), "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/ivr"}
    return given, lambda _: (home / "token").write_text("planted-token")


SOURCES = (metadata_service, container_service, process, profile, half_written, token_file)


class Aws:
    """AWS on loopback: notes who signed what; refuses the keys in `refused`."""

    def __init__(self, *refused: str) -> None:
        self.signed: list[tuple[str, str]] = []
        self.refused = {*refused}

    def __call__(self, asked: Asked) -> Answer:
        if "AssumeRoleWithWebIdentity" in asked.body:
            return Answer(web_identity(KEY))
        self.signed.append((asked.key, asked.operation))
        if asked.key in self.refused:
            body = json.dumps({"__type": "UnrecognizedClientException", "message": "The security token is invalid."})
            return Answer(body, 400)
        return Answer()


@contextmanager
def agent(home: Path, aws: Aws, given: dict[str, str]) -> Iterator[tuple[int, Path]]:
    """Run an agent that has nothing but what is given; yield its control port and its log."""
    port, log = free_port(), home / "log"
    with served(aws) as url, log.open("w") as stderr:
        environment = ENVIRONMENT | {
            "HOME": str(home),
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": url,
            "IVR_AGENT_SITE": "SITE1",
            "IVR_AGENT_NODE": "site1_h6@127.0.0.1",
            "IVR_AGENT_RUNTIMES_TABLE": "runtimes",
            "IVR_AGENT_NODES_TABLE": "nodes",
            "IVR_AGENT_QUEUE_URL": f"{url}/000000000000/stop-SITE1",
            "IVR_AGENT_DEAD_LETTER_URL": f"{url}/000000000000/stop-SITE1-dlq",
            "IVR_AGENT_ENGINE": f"unix:{home}/engine",
            "IVR_AGENT_LISTEN": f"unix:{home}/agent",
            "IVR_AGENT_CONTROL_PORT": str(port),
            "IVR_AGENT_SINGLE_NODE_SITE": "true",
            **given,
        }
        running = subprocess.Popen([sys.executable, "-m", "ivr_agent"], env=environment, stderr=stderr)
        try:
            yield port, log
            assert running.poll() is None, log.read_text()
        finally:
            running.kill()
            running.wait(30)


def health(port: int) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            told = answer.read()
    except urllib.error.HTTPError as error:
        told = error.read()
    except OSError:
        return {}
    report: dict[str, str] = json.loads(told)
    return report


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def found_late(home: Path, late: Callable[[Path], Late]) -> None:
    """Until then the health page and the log say what is missing and what to do, once and not every second."""
    aws, (given, appear) = Aws(), late(home)
    with ExitStack() as late_ones, agent(home, aws, given) as (port, log):
        eventually(lambda: "aws_fault" in health(port), within_s=FOUND_WITHIN_S)
        told = health(port)
        assert (told["aws"], told["aws_fault"].partition(":")[0]) == ("down", "NoCredentials")
        time.sleep(2)
        causes = [line["cause"] for line in lines(log) if line["action"] == "credentials_missing"]
        assert len(causes) == len(set(causes)), "each is told once"
        remedies = [line["remedy"] for line in lines(log) if line["action"] == "credentials_missing"]
        assert any(remedy in told["aws_fault"] for remedy in remedies)
        assert {line["action"] for line in lines(log)} == {"started", "engine_down", "credentials_missing"}
        assert aws.signed == [], "nothing is sent unsigned"
        appear(late_ones)
        eventually(lambda: health(port).get("aws") == "up", within_s=FOUND_WITHIN_S)
        assert "aws_fault" not in health(port)
        assert {key for key, _ in aws.signed} == {KEY}
        assert "credentials_found" in [line["action"] for line in lines(log)]
        assert "planted" not in log.read_text() + json.dumps(told)


def found_rotated(home: Path) -> None:
    """An agent whose keys AWS refuses reads the new ones from their file."""
    aws, text = Aws("AKOLD"), "[default]\naws_access_key_id = {}\naws_secret_access_key = planted-secret\n"
    (home / "credentials").write_text(text.format("AKOLD"))
    with agent(home, aws, {}) as (port, log):
        eventually(lambda: "aws_fault" in health(port), within_s=FOUND_WITHIN_S)
        (home / "credentials").write_text(text.format("AKNEW"))
        eventually(lambda: health(port).get("aws") == "up", within_s=FOUND_WITHIN_S)
        assert {key for key, _ in aws.signed} == {"AKOLD", "AKNEW"}
        assert "planted" not in log.read_text()


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """All these agents at the same time: they wait for most of it."""
    stories: dict[str, Callable[[Path], None]] = {late.__name__: partial(found_late, late=late) for late in SOURCES}
    stories["rotated"] = found_rotated
    with ThreadPoolExecutor(len(stories)) as pool:
        yield {name: pool.submit(story, tmp_path_factory.mktemp(name)) for name, story in stories.items()}


@pytest.mark.parametrize("late", [source.__name__ for source in SOURCES])
def test_credentials_that_come_late_are_found_without_a_restart(agents: dict[str, Future[None]], late: str) -> None:
    """A metadata service that answered 6 s after the start left the agent `aws: down` for ever; a `credential_process`
    that failed once, a profile or a token's file that was not there yet ended it with exit code 2, `wrong settings`.
    """
    agents[late].result()


def test_rotated_keys_are_read_from_their_file_once_aws_refuses_the_old_ones(agents: dict[str, Future[None]]) -> None:
    agents["rotated"].result()


def test_both_clients_get_what_one_look_has_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws()
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = s\n")
    with served(aws) as url:
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        session, config = sources.client_session(), boto.config(connect_timeout_s=1, read_timeout_s=1, attempts=1)
        boto.call(boto.dynamodb_client(config, session).get_item, TableName="nodes", Key={"site": {"S": "SITE1"}})
        boto.call(boto.sqs_client(config, session).receive_message, QueueUrl=f"{url}/000000000000/q")
    assert aws.signed == [(KEY, "GetItem"), (KEY, "ReceiveMessage")]


def test_a_container_service_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/x")
    with pytest.raises(Exception, match="container") as caught:
        sources.look()
    cause = cause_of(caught.value)
    assert cause.what == "CredentialRetrievalError of container-role"
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in cause.remedy
