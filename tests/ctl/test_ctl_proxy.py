"""HTTPS goes through the proxy that the environment names, and loopback through none."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ivrctl.http import connection
from scripted_api import ScriptedApi

Ctl = Callable[..., Any]


@pytest.fixture
def proxy() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that lets nobody through; its port, and the requests that came."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                heads.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        yield server.getsockname()[1], heads


def test_https_asks_the_proxy_with_its_login_and_keeps_the_token_to_itself(
    ctl: Ctl, proxy: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, heads = proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://night:p%40ss@127.0.0.1:{port}")
    monkeypatch.setenv("IVRCTL_TOKEN", "t0ken")
    told = ctl("list", "--url", "https://api.example.com/base")
    assert (told.code, "403" in told.err) == (6, True)
    (head,) = heads
    assert head.startswith(b"CONNECT api.example.com:443 ")
    assert base64.b64encode(b"night:p@ss") in head
    assert b"t0ken" not in head


def test_loopback_goes_straight(ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert ctl("list").code == 0


@pytest.mark.parametrize(
    ("no_proxy", "straight"), [("api.example.com", True), (".example.com", True), ("example.org", False)]
)
def test_what_no_proxy_names_goes_straight(monkeypatch: pytest.MonkeyPatch, no_proxy: str, straight: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (connection._proxy(urlsplit("https://api.example.com")) is None) is straight
