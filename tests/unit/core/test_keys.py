"""AWS's secrets in variables and token files, with the line end that people have in them."""

from pathlib import Path

import pytest

from ivr_runtimes.stores import boto
from ivr_runtimes.stores.keys import _Environment, _TokenLoader


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_functions_sign_with_variables_without_line_ends(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value + end)
    assert boto.new_session().get_credentials().get_frozen_credentials()[:3] == tuple(keys.values())


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
    providers = {p.METHOD: p for p in boto.new_session().get_component("credential_provider").providers}
    assert isinstance(providers["env"].environ, _Environment)
    assert isinstance(providers["container-role"]._environ, _Environment)
    assert providers["assume-role-with-web-identity"]._token_loader_cls is _TokenLoader
