"""The gateway over real HTTP, in front of functions of a few lines that run in real worker processes."""

import asyncio
import io
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from ivr_local import emulator
from ivr_local.authorizer import JwtAuthorizer
from ivr_local.emulator import free_ports
from ivr_local.event import Api
from ivr_local.fleet import ClientConfig
from ivr_local.functions import Function, Surroundings
from ivr_local.gateway import Gateway, match
from ivr_local.issuer import Issuer
from ivr_local.nodes import Part
from ivr_local.server import Console, application, listen, serve
from ivr_local.template import Authorizer, FunctionSpec, Route
from ivr_runtimes.errors import SettingsError

pytestmark = pytest.mark.e2e

HANDLER = """
import json, os, time

def lambda_handler(event, context):
    do = event.get("queryStringParameters", {}).get("do")
    match do:
        case "raise": raise ValueError("secret detail")
        case "die": os._exit(1)
        case "sleep": time.sleep(60)
        case "plain": return {"greeting": "hello"}
        case "204": return {"statusCode": 204, "headers": {"X-Mine": "1"}}
        case "malformed": return {"statusCode": "never"}
        case "cookies": return {"statusCode": 200, "cookies": ["a=1", "b=2"], "body": "x"}
        case "large": return {"statusCode": 200, "body": "x" * 6_000_000}
        case "huge": return {"statusCode": 200, "body": "x" * 7_000_000}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""

CLIENT = ClientConfig(id="c", secret="sample-secret", domain="one.example", scopes=("r:read", "r:stop"))


class OneNode:
    """What stands behind the server's own paths: one node, which notes its restarts."""

    def __init__(self) -> None:
        self.faults = ["the emulated AWS is starting"]
        self.restarted: list[tuple[Part, ...]] = []
        self.published = 0

    def missing(self) -> list[str]:
        return self.faults

    async def down(self) -> list[str]:
        return ["node a@127.0.0.1: the engine does not run"]

    def node(self, name: str) -> "OneNode | None":
        return self if name == "a@127.0.0.1" else None

    def publish(self) -> None:
        self.published += 1

    async def restart(self, *parts: Part) -> None:
        self.restarted.append(parts)

    def as_json(self) -> dict[str, Any]:
        return {"node": "a@127.0.0.1"}


class Api1:
    """A served API and a client of it."""

    def __init__(self, port: int, issuer: Issuer, http: aiohttp.ClientSession, behind: OneNode) -> None:
        self.port = port
        self.issuer = issuer
        self.http = http
        self.behind = behind

    def token(self, *scopes: str) -> str:
        return self.issuer.mint(CLIENT, scopes or ("r:read", "r:stop"))

    async def ask(
        self, method: str = "GET", path: str = "/things", *, token: str | None = None, **more: Any
    ) -> tuple[int, aiohttp.ClientResponse, bytes]:
        headers = {"Authorization": f"Bearer {token or self.token()}"} | more.pop("headers", {})
        url = URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)
        async with self.http.request(method, url, headers=headers, **more) as answer:
            return answer.status, answer, await answer.read()

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read(200)
        writer.close()
        await writer.wait_closed()
        return head + body


TIMEOUT_S = 20
"""The function's: no call takes as long, but on the slowest of machines."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api1]:
    async with served(tmp_path, timeout_s=TIMEOUT_S) as api:
        yield api


@asynccontextmanager
async def served(folder: Path, *, timeout_s: int) -> AsyncIterator[Api1]:
    """Serve the API in front of a function that may take so long."""
    (folder / "app.py").write_text(HANDLER)
    with listen(0) as bound:
        port = bound.getsockname()[1]
        issuer = Issuer(url=f"http://127.0.0.1:{port}", audience="here", clients={"c": CLIENT})
        spec = FunctionSpec(
            logical_id="Fn",
            code_path=folder,
            handler="app.lambda_handler",
            environment={},
            timeout_s=timeout_s,
            memory_mb=128,
        )
        surroundings = Surroundings(
            environment={}, region="eu-central-1", account_id="000000000000", stack_name="st", logs=folder
        )
        function = Function(spec=spec, surroundings=surroundings, tell=lambda _: None, workers=2)
        authorizer = Authorizer(issuer=issuer.url, audience=("here",), identity_source="$request.header.Authorization")
        gateway = Gateway(
            routes=(
                Route(method="GET", path="/things/{id}", scopes=("r:read",), function="Fn"),
                Route(method="GET", path="/things", scopes=("r:read",), function="Fn"),
                Route(method="GET", path="/things/special", scopes=("r:none",), function="Fn"),
                Route(method="DELETE", path="/things/{id}", scopes=("r:stop",), function="Fn"),
                Route(method="POST", path="/things", scopes=(), function="Fn"),
            ),
            authorizer=JwtAuthorizer(config=authorizer, jwks=issuer.jwks()),
            functions={"Fn": function},
            api=Api(account_id="000000000000", api_id="local"),
            port=port,
        )
        behind = OneNode()
        nothing = Console(files={}, headers={})
        app = application(gateway=gateway, issuer=issuer, behind=behind, admin_token="admin", console=nothing)
        runner: web.AppRunner = await serve(app, bound, access_log=None)
        function.start()
        async with aiohttp.ClientSession() as http:
            yield Api1(port, issuer, http, behind)
        await runner.cleanup()
        await function.stop()


def message(text: str) -> bytes:
    return json.dumps({"message": text}, separators=(",", ":")).encode()


async def test_a_request_reaches_the_function_as_an_event(api: Api1) -> None:
    status, answer, body = await api.ask("DELETE", "/things/a%2Fb%20c?x=%5B1%5D&x=2&y", headers={"X-One": "1"})
    event = json.loads(body)
    assert status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["apigw-requestid"] == event["requestContext"]["requestId"]
    assert event["routeKey"] == "DELETE /things/{id}"
    assert event["pathParameters"] == {"id": "a/b c"}
    assert event["rawQueryString"] == "x=%5B1%5D&x=2&y"
    assert event["queryStringParameters"] == {"x": "[1],2", "y": ""}
    assert event["headers"]["x-one"] == "1"
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["domain"] == "one.example"
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["exp"].isdigit()
    assert event["requestContext"]["authorizer"]["jwt"]["scopes"] == ["r:read", "r:stop"]
    assert "body" not in event


async def test_the_query_arrives_byte_for_byte(api: Api1) -> None:
    odd = 'a=%7e~&b=+%20&&=&c=["="]{}|\\^`\'<>%zz'
    request = f"GET /things?{odd} HTTP/1.1\r\nHost: h\r\nAuthorization: {api.token()}\r\nConnection: close\r\n\r\n"
    answer = await api.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.dumps(odd)[1:-1].encode() in answer


async def test_a_body_is_handed_on(api: Api1) -> None:
    _, _, body = await api.ask("POST", "/things", json={"a": "я"})
    event = json.loads(body)
    assert json.loads(event["body"]) == {"a": "я"}
    assert event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/thing"),
        ("GET", "/things/"),
        ("GET", "/things/a/b"),
        ("PUT", "/things"),
        ("DELETE", "/things"),
        ("OPTIONS", "/things"),
        ("GET", "/oauth2/token"),
        ("POST", "/healthz"),
    ],
)
async def test_what_matches_no_route_is_404_with_or_without_a_token(api: Api1, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "garbage"}):
        status, answer, body = await api.ask(method, path, headers=headers)
        assert (status, body) == (404, message("Not Found"))
        assert answer.headers["content-type"] == "application/json"


async def test_head_of_a_known_path_is_404_without_a_body(api: Api1) -> None:
    status, _, body = await api.ask("HEAD")
    assert (status, body) == (404, b"")


async def test_a_literal_path_wins_over_a_parameter(api: Api1) -> None:
    assert (await api.ask(path="/things/special"))[0] == 403
    assert (await api.ask(path="/things/other"))[0] == 200


async def test_each_route_wants_its_own_scope(api: Api1) -> None:
    reader = api.token("r:read")
    assert (await api.ask("GET", "/things/1", token=reader))[0] == 200
    status, answer, body = await api.ask("DELETE", "/things/1", token=reader)
    assert (status, body) == (403, message("Forbidden"))
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("authorization", ["", "garbage", "Bearer ", "Bearer a.b.c", "Basic Yzpz"])
async def test_a_request_without_a_good_token_is_401(api: Api1, authorization: str) -> None:
    status, answer, body = await api.ask(headers={"Authorization": authorization})
    assert (status, body) == (401, message("Unauthorized"))
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_two_authorization_headers_are_no_way_in(api: Api1) -> None:
    header = f"Authorization: Bearer {api.token()}\r\n"
    answer = await api.raw(f"GET /things HTTP/1.1\r\nHost: h\r\n{header}{header}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("header", "joined"),
    [
        ("Idempotency-Key", "v,v"),
        ("Prefer", "v,v"),
        ("Accept-Encoding", "v,v"),
        ("Origin", "v,v"),
        ("Content-Type", None),
        ("Host", None),
        ("User-Agent", None),
    ],
)
async def test_a_header_that_comes_twice_is_joined_by_a_comma_or_refused(
    api: Api1, header: str, joined: str | None
) -> None:
    twice = f"{header}: v\r\n{header.upper()}:  v \r\nAuthorization: {api.token()}\r\nConnection: close\r\n\r\n"
    host = "" if header == "Host" else "Host: h\r\n"
    answer = await api.raw(f"GET /things HTTP/1.1\r\n{host}{twice}".encode())
    if joined is None:
        assert answer.split(b" ", 2)[1] == b"400"
    else:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert f'"{header.lower()}": "{joined}"'.encode() in answer


async def test_credentials_that_come_twice_get_no_token(api: Api1) -> None:
    basic = aiohttp.encode_basic_auth("c", "sample-secret")
    form = "grant_type=client_credentials"
    head = f"POST /oauth2/token HTTP/1.1\r\nHost: h\r\nContent-Length: {len(form)}\r\nConnection: close\r\n"
    once = f"Authorization: {basic}\r\n"
    assert (await api.raw(f"{head}{once}\r\n{form}".encode())).startswith(b"HTTP/1.1 200 ")
    answer = await api.raw(f"{head}{once}{once}\r\n{form}".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"invalid_request"' in answer


async def test_an_admin_token_that_comes_twice_is_refused(api: Api1) -> None:
    path = "/local/nodes/a@127.0.0.1/restart"
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n"
    once = "Authorization: Bearer admin\r\n"
    assert (await api.raw(f"{head}{once}{once}\r\n".encode())).startswith(b"HTTP/1.1 401 ")
    assert (await api.raw(f"{head}{once}\r\n".encode())).startswith(b"HTTP/1.1 200 ")


async def test_request_line_and_header_values_may_have_10240_bytes_together(api: Api1) -> None:
    token = api.token()
    line = b"GET /things?x= HTTP/1.1"
    room = 10_240 - len(line) - len(b"h") - len(token) - len(b"close")
    for extra, expected in ((0, b"200"), (1, b"431")):
        query = b"x=" + b"a" * (room + extra)
        head = b"Host: h\r\nAuthorization: " + token.encode() + b"\r\nConnection: close\r\n\r\n"
        answer = await api.raw(b"GET /things?" + query + b" HTTP/1.1\r\n" + head)
        assert answer.split(b" ", 2)[1] == expected


@pytest.mark.parametrize("size", [9_000, 11_000, 200_000])
async def test_a_long_head_is_answered_as_aws_does_not_as_the_parser_would(api: Api1, size: int) -> None:
    expected = 200 if size < 10_000 else 431
    assert (await api.ask(path="/things?do=plain&x=" + "a" * size))[0] == expected
    assert (await api.ask(path="/things?do=plain", headers={"X-Long": "a" * size}))[0] == expected


async def test_a_body_over_ten_megabytes_is_413(api: Api1) -> None:
    status, _, body = await api.ask("POST", "/things", data=io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)))
    assert (status, body) == (413, message("Request Entity Too Large"))


async def test_an_answer_without_a_status_is_a_json_body(api: Api1) -> None:
    status, answer, body = await api.ask(path="/things?do=plain")
    assert (status, json.loads(body)) == (200, {"greeting": "hello"})
    assert answer.headers["content-type"] == "application/json"


async def test_204_has_no_body_and_keeps_its_headers(api: Api1) -> None:
    status, answer, body = await api.ask(path="/things?do=204")
    assert (status, body, answer.headers["x-mine"]) == (204, b"", "1")
    assert "content-type" not in answer.headers


async def test_cookies_become_headers(api: Api1) -> None:
    _, answer, _ = await api.ask(path="/things?do=cookies")
    assert answer.headers.getall("set-cookie") == ["a=1", "b=2"]


async def test_an_answer_of_almost_six_megabytes_passes(api: Api1) -> None:
    status, _, body = await api.ask(path="/things?do=large")
    assert (status, len(body)) == (200, 6_000_000)


@pytest.mark.parametrize("fault", ["raise", "die", "malformed", "huge"])
async def test_a_function_that_fails_is_a_bare_500_and_the_next_call_works(api: Api1, fault: str) -> None:
    assert (await api.ask(path=f"/things?do={fault}"))[::2] == (500, message("Internal Server Error"))
    assert (await api.ask())[0] == 200


async def test_a_function_that_overruns_is_503_and_the_next_call_works(tmp_path: Path) -> None:
    async with served(tmp_path, timeout_s=3) as api:
        assert (await api.ask(path="/things?do=sleep"))[::2] == (503, message("Service Unavailable"))
        assert (await api.ask())[0] == 200


async def test_raw_bytes_that_are_no_utf_8_are_400(api: Api1) -> None:
    head = f"Host: h\r\nAuthorization: {api.token()}\r\nConnection: close\r\n\r\n".encode()
    answer = await api.raw(b"GET /things?x=\xff HTTP/1.1\r\n" + head)
    assert answer.split(b" ", 2)[1] == b"400"


async def test_a_target_with_scheme_and_host_is_understood(api: Api1) -> None:
    head = f"Host: h\r\nAuthorization: {api.token()}\r\nConnection: close\r\n\r\n".encode()
    answer = await api.raw(b"GET http://h/things?x=1 HTTP/1.1\r\n" + head)
    assert b'"rawPath": "/things"' in answer


async def test_a_client_gets_a_token_and_the_token_opens_the_api(api: Api1) -> None:
    form = {"grant_type": "client_credentials", "scope": "r:read"}
    async with api.http.post(
        f"{api.issuer.url}/oauth2/token",
        data=form,
        headers={"Authorization": aiohttp.encode_basic_auth("c", "sample-secret")},
    ) as answer:
        granted = await answer.json()
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert (await api.ask(token=granted["access_token"]))[0] == 200
    assert (await api.ask("DELETE", "/things/1", token=granted["access_token"]))[0] == 403


async def test_a_client_with_a_wrong_secret_is_told_how_to_authenticate(api: Api1) -> None:
    url, form = f"{api.issuer.url}/oauth2/token", {"grant_type": "client_credentials"}
    async with api.http.post(
        url, data=form, headers={"Authorization": aiohttp.encode_basic_auth("c", "wrong")}
    ) as answer:
        assert (answer.status, (await answer.json())["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


async def test_the_well_known_documents_lead_to_the_keys(api: Api1) -> None:
    async with api.http.get(f"{api.issuer.url}/.well-known/openid-configuration") as answer:
        found = await answer.json()
    async with api.http.get(found["jwks_uri"]) as answer:
        assert await answer.json() == api.issuer.jwks()


async def test_health_says_what_is_missing_until_nothing_is(api: Api1) -> None:
    async with api.http.get(f"{api.issuer.url}/healthz") as answer:
        assert (answer.status, (await answer.json())["missing"]) == (503, ["the emulated AWS is starting"])
    api.behind.faults = []
    async with api.http.get(f"{api.issuer.url}/healthz") as answer:
        down = ["node a@127.0.0.1: the engine does not run"]
        assert (answer.status, await answer.json()) == (200, {"status": "ok", "down": down})


@pytest.mark.parametrize(
    ("part", "restarted"),
    [
        ("?part=agent", (Part.AGENT,)),
        ("?part=engine", (Part.ENGINE,)),
        ("?part=both", (Part.ENGINE, Part.AGENT)),
        ("", (Part.ENGINE, Part.AGENT)),
    ],
)
async def test_a_node_is_started_anew_with_the_admin_token(api: Api1, part: str, restarted: tuple[Part, ...]) -> None:
    path = f"/local/nodes/a@127.0.0.1/restart{part}"
    status, _, body = await api.ask("POST", path, token="admin")
    assert (status, json.loads(body)) == (200, {"node": "a@127.0.0.1"})
    assert api.behind.restarted == [restarted]
    assert api.behind.published == 1


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/local/nodes/a@127.0.0.1/restart", "wrong", 401),
        ("/local/nodes/b@127.0.0.1/restart", "admin", 404),
        ("/local/nodes/a@127.0.0.1/restart?part=all", "admin", 400),
    ],
)
async def test_any_other_restart_is_refused(api: Api1, path: str, token: str, status: int) -> None:
    assert (await api.ask("POST", path, token=token))[0] == status
    assert api.behind.restarted == []


async def test_a_users_token_restarts_nothing(api: Api1) -> None:
    assert (await api.ask("POST", "/local/nodes/a@127.0.0.1/restart"))[0] == 401


def test_the_stack_listens_on_loopback_alone() -> None:
    (port,) = free_ports(1)
    with listen(port) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_told_with_the_remedy() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"port {port} .* is taken by another process; .*--port"):
            listen(port)


def test_free_ports_are_distinct_free_and_not_the_kernels_own() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        assert port < 32_768
        with listen(port), pytest.raises(SettingsError):
            listen(port)


def test_no_other_stack_is_given_a_port_before_it_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that was killed found its port "taken by another process": by a stack that had just started."""
    few = range(31_900, 31_940)
    program = """from ivr_local import emulator
emulator.PORTS = range(31_900, 31_940)
print(*emulator.free_ports(15), flush=True)
input()"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        monkeypatch.setattr(emulator, "PORTS", few)
        assert len(theirs) == 15
        assert theirs.isdisjoint(free_ports(15))
        other.communicate(b"\n")


@pytest.mark.parametrize(
    ("pattern", "path", "parameters"),
    [
        ("/a/{id}", "/a/b", {"id": "b"}),
        ("/a/{id}", "/a/", None),
        ("/a/{id}", "/a/b/c", None),
        ("/a/{id}", "/%61/b%20c", {"id": "b%20c"}),
        ("/a", "/a/", None),
        ("/a", "//a", None),
        ("/a", "/A", None),
    ],
)
def test_paths_match_segment_by_segment(pattern: str, path: str, parameters: dict[str, str] | None) -> None:
    assert match(pattern, path) == parameters
