"""AWS credentials from every source that botocore knows, each with the line end that people have in it.

`AWS_SESSION_TOKEN` with a line end made urllib3 refuse the header, in an error that quoted the token into the log.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from ivr_agent.aws import sources
from ivr_runtimes.errors import DeniedError
from ivr_runtimes.stores import boto

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAPLANTED", "AWS_SECRET_ACCESS_KEY": "PlantedKey", "AWS_SESSION_TOKEN": "PlantedToken"}

Plant = Callable[[str], None]


@pytest.fixture
def from_variables(monkeypatch: pytest.MonkeyPatch) -> Plant:
    def plant(end: str) -> None:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value + end)

    return plant


@pytest.fixture
def from_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plant:
    def plant(end: str) -> None:
        without_variables(monkeypatch)
        written = end.replace("\n", "\n ")  # how a value goes on in such a file
        lines = [f"{name.lower()} = {value}{written}" for name, value in KEYS.items()]
        (tmp_path / "credentials").write_text("\n".join(["[default]", *lines, ""]))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    return plant


@pytest.fixture
def from_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Plant:
    def plant(end: str, *, expire: bool = False) -> None:
        without_variables(monkeypatch)
        key, secret, token = (value + end for value in KEYS.values())
        told: dict[str, Any] = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token}
        if expire:
            told["Expiration"] = "2999-01-01T00:00:00Z"
        (tmp_path / "told.py").write_text(f"print({json.dumps(told)!r})")
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tmp_path}/told.py\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    return plant


@pytest.fixture
def from_process_for_a_while(from_process: Any) -> Plant:
    return partial(from_process, expire=True)


def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


SOURCES = ["from_variables", "from_file", "from_process", "from_process_for_a_while"]


def ask() -> dict[str, str]:
    """Send one request, caught before it leaves; return its headers."""
    sent: list[Any] = []
    config = boto.config(connect_timeout_s=1, read_timeout_s=1, attempts=1)
    client = boto.dynamodb_client(config, sources.client_session())
    client.meta.events.register("before-send", lambda request, **_: sent.append(request) or empty(request.url))
    boto.call(client.get_item, TableName="nodes", Key={"site": {"S": "SITE1"}})
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in sent[0].headers.items()}


def empty(url: str) -> AWSResponse:
    class Body:
        def stream(self) -> Any:
            yield b"{}"

    return AWSResponse(url, 200, {}, Body())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_request_is_signed_without_line_ends(request: pytest.FixtureRequest, source: str, end: str) -> None:
    request.getfixturevalue(source)(end)
    headers = ask()
    assert headers["X-Amz-Security-Token"] == KEYS["AWS_SESSION_TOKEN"]
    assert f"Credential={KEYS['AWS_ACCESS_KEY_ID']}/" in headers["Authorization"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("inside", ["\nmore", "\tmore"])
def test_a_credential_that_no_header_carries_is_a_denial_that_does_not_quote_it(
    request: pytest.FixtureRequest, source: str, inside: str
) -> None:
    request.getfixturevalue(source)(inside)
    with pytest.raises(DeniedError, match="holds a blank or a control character") as caught:
        ask()
    assert not any(value in str(caught.value) for value in KEYS.values())
