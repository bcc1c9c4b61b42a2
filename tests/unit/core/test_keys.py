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

from ivr_runtimes import boto
from ivr_runtimes.errors import DeniedError
from ivr_runtimes.keys import _Environment, _TokenLoader

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
    session = boto._new_session()
    client = session.create_client("dynamodb", region_name="eu-central-1", endpoint_url="http://127.0.0.1:9")
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
    with pytest.raises(DeniedError, match="one line of visible characters") as caught:
        ask()
    assert not any(value in str(caught.value) for value in KEYS.values())


def test_the_container_s_token_is_read_anew_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """botocore refuses a token that ends in a line end, and the agent ended with wrong settings."""
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    environ = _Environment()
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" not in environ
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN" in environ
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == token
    assert len(environ) == len(set(environ))
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" not in set(environ)


def test_a_web_identity_token_loses_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a.b.c\n")
    assert _TokenLoader(str(tmp_path / "token"))() == "a.b.c"


def test_every_provider_that_reads_secrets_reads_them_whole() -> None:
    """botocore's names of providers and of their parts are its own: a new version may change them."""
    providers = {p.METHOD: p for p in boto._new_session().get_component("credential_provider").providers}
    assert isinstance(providers["env"].environ, _Environment)
    assert isinstance(providers["container-role"]._environ, _Environment)
    assert providers["assume-role-with-web-identity"]._token_loader_cls is _TokenLoader
