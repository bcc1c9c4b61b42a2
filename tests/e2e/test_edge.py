"""Requests nobody sends by accident: tricks with paths and headers, odd tokens, log injection, hostile filters.

Over real HTTP, against the gateway of the embedded stack. It is our gateway, not AWS's: what this shows is that our
functions and our gateway answer each of these with a plain refusal, never with a 5xx or what the caller may not see.
"""

import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest

from stack import RESOURCE, Answer, Stack, eventually

pytestmark = pytest.mark.e2e

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PROBLEM = "application/problem+json"
FORGED = '"action":"stop_accepted","forged":true'
MAX_PROBLEM_BYTES = 16_384


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token(stack.domains[0])


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in more.items()}}


def raw(stack: Stack, request: str, token: str, lines: bytes = b"") -> str:
    """Send a request line as it is, with a token and further header lines; return the status."""
    head = f"{request} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n".encode()
    with closing(socket.create_connection(("127.0.0.1", stack.port), timeout=30)) as link:
        link.sendall(head + lines + b"\r\n")
        return link.makefile("rb").readline().split(b" ")[1].decode()


def assert_refused(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, (answer.status, answer.body)
    if answer.headers.get("content-type", "").startswith(PROBLEM):  # one of ours, not the gateway's
        assert_guarded(answer)


def assert_guarded(answer: Answer) -> None:
    """Neither guessed at nor kept by a browser or a proxy."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        f"/{RESOURCE}",
        f"{RESOURCE}/",
        f"{RESOURCE}//",
        f"{RESOURCE}/.",
        f"{RESOURCE}/../ivrscript_runtimes",
        f"{RESOURCE}/%2e%2e/ivrscript_runtimes",
        f"{RESOURCE}%00",
        f"{RESOURCE}%2f",
        f"{RESOURCE};jsessionid=1",
        RESOURCE.upper(),
        "/rest/v1/uc/../uc/ivrscript_runtimes",
        "/rest/v1//uc/ivrscript_runtimes",
        "/rest/v1/uc/ivrscript_runtimes\\..\\x",
        "*",
        "//evil.example/rest/v1/uc/ivrscript_runtimes",
    ],
)
def test_a_path_that_is_nearly_a_route_is_none(stack: Stack, token: str, path: str) -> None:
    assert raw(stack, f"GET {path}", token) in {"400", "404"}


@pytest.mark.parametrize(
    "given",
    [
        *("..", "%2e%2e", "%2e%2e%2fivrscript_runtimes", "%252e%252e", "%F0%9F%92%A3", "%ff%fe", "a" * 5000, "null"),
        *(UNKNOWN + "%00", UNKNOWN + "%0a", UNKNOWN.upper(), "{id}", "${jndi:ldap:x}", "%27%20OR%201=1", "*", "[]"),
    ],
)
def test_an_id_that_is_none_is_not_found(stack: Stack, token: str, given: str) -> None:
    assert raw(stack, f"DELETE {RESOURCE}/{given}", token) in {"400", "404"}


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 300]
)
def test_another_method_reaches_nothing(stack: Stack, token: str, method: str) -> None:
    assert raw(stack, f"{method} {RESOURCE}", token) in {"400", "404", "405"}


# --- headers ----------------------------------------------------------------------------------------------------------


def test_no_header_makes_another_method_or_domain_of_a_request(stack: Stack, token: str) -> None:
    other = stack.domains[1]
    names = ["Domain", "X-Domain", "X-Tenant", "X-Amzn-Oidc-Data", "X-Amzn-Request-Context", "X-Apigateway-Event"]
    claims = json.dumps({"authorizer": {"jwt": {"claims": {"domain": other}}}})
    headers = bearer(token) | dict.fromkeys(names, claims)
    headers |= {"X-HTTP-Method-Override": "DELETE", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": other}
    answer = stack.request("GET", RESOURCE, headers)
    assert answer.status == 200
    assert {row["domain"] for row in answer.json()} == {stack.domains[0]}


@pytest.mark.parametrize(
    "header",
    [
        ("Accept-Encoding", "gzip;q=abc, ;;, *;q=-1"),
        ("Accept-Encoding", "gzip" + "," * 4000),
        ("Accept", "text/html"),
        ("Content-Type", "application/xml"),
        ("Cookie", "a=b; " * 500),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "*"),
        ("Prefer", "count=" + "9" * 400),
        ("X-Amz-Security-Token", "x" * 1000),
        ("Host", "evil.example"),
    ],
)
def test_an_odd_header_changes_nothing_of_a_list(stack: Stack, token: str, header: tuple[str, str]) -> None:
    answer = stack.request("GET", f"{RESOURCE}?limit=1", {**bearer(token), header[0]: header[1]})
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    "key", ["a,b", "a,a", '"a"', "x" * 64, "{}", "'; DROP TABLE", "%0d%0aSet-Cookie:x=1", "\\u000a"]
)
def test_an_odd_key_is_taken_for_what_it_is_or_refused(stack: Stack, token: str, key: str) -> None:
    answer = stack.stop(token, UNKNOWN, key=key)
    assert_refused(answer, 400, 404)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "lines",
    [
        b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
        b"Idempotency-Key: \xff\xfe\r\n",
        b"Idempotency-Key: a\tb\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"X: a\r\n b: folded\r\n",
        b"Bad Header: x\r\n",
        b"X\x00Y: z\r\n",
        b": empty\r\n",
        b"Authorization: Bearer x\r\n",
    ],
)
def test_malformed_or_repeated_headers_are_refused(stack: Stack, token: str, lines: bytes) -> None:
    assert raw(stack, f"DELETE {RESOURCE}/{UNKNOWN}", token, lines) in {"400", "401", "404"}


def test_a_thousand_headers_are_too_many(stack: Stack, token: str) -> None:
    answer = stack.request("GET", RESOURCE, bearer(token) | {f"x-{n}": "v" * 20 for n in range(900)})
    assert answer.status == 431


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8_000, 12_000, 100_000])
def test_an_oversized_token_is_refused_whatever_it_is(stack: Stack, size: int) -> None:
    assert stack.request("GET", RESOURCE, bearer("a" * size)).status in {401, 431}
    assert stack.request("GET", RESOURCE, bearer("a." * (size // 2))).status in {401, 431}


def test_a_good_token_may_be_large_but_not_larger_than_the_gateway_takes(stack: Stack, token: str) -> None:
    assert stack.listing(stack.forge(token, padding="x" * 5_000)).status == 200
    assert stack.listing(stack.forge(token, padding="x" * 9_000)).status == 431


@pytest.mark.parametrize(
    "claims",
    [
        {"domain": ["test.rootdomain.ru", "shop.rootdomain.ru"]},
        {"domain": ["test.rootdomain.ru"]},
        {"domain": {"name": "test.rootdomain.ru"}},
        {"domain": ""},
        {"domain": " "},
        {"domain": "*"},
        {"domain": "test.rootdomain.ru\nshop.rootdomain.ru"},
        {"domain": "test.rootdomain.ru,shop.rootdomain.ru"},
        {"domain": "x" * 4_000},
        {"domain": "\u0000"},
        {"domain": None},
    ],
)
def test_a_domain_claim_that_is_not_one_domain_is_403(stack: Stack, token: str, claims: dict[str, Any]) -> None:
    answer = stack.listing(stack.forge(token, **claims))
    assert_refused(answer, 403)


@pytest.mark.parametrize("domain", [True, 7])
def test_a_domain_claim_that_is_no_string_is_the_domain_of_its_digits_or_letters(
    stack: Stack, token: str, domain: Any
) -> None:
    """API Gateway hands every claim on as a string; nobody's scripts run in such a domain."""
    assert stack.rows(stack.forge(token, domain=domain)) == []


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": -1},
        {"nbf": 9_999_999_999},
        {"iat": {"a": 1}},
        {"iss": None},
        {"iss": "http://127.0.0.1"},
        {"aud": None, "client_id": None},
        {"aud": {"a": 1}},
        {"aud": "ivr-runtimes-local-not"},
    ],
)
def test_a_token_with_odd_times_or_audience_is_401(stack: Stack, token: str, claims: dict[str, Any]) -> None:
    assert stack.listing(stack.forge(token, **claims)).status == 401


@pytest.mark.parametrize(("algorithm", "key"), [("HS256", "x" * 32), ("HS512", "x" * 64), ("none", "")])
def test_a_token_of_another_algorithm_is_401(stack: Stack, token: str, algorithm: str, key: str) -> None:
    assert stack.listing(stack.forge(token, key=key, algorithm=algorithm)).status == 401


@pytest.mark.parametrize(
    "token",
    [
        "e30.e30.",
        "e30.e30.e30",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6W119.e30.AA",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6eyJhIjoxfX0.e30.AA",
        "eyJhbGciOm51bGx9.e30.AA",
        "W10.e30.AA",
        "bnVsbA.bnVsbA.AA",
        "....",
        ".",
        "%00",
        "é.é.é",
    ],
)
def test_what_only_looks_like_a_token_is_401(stack: Stack, token: str) -> None:
    assert raw(stack, f"GET {RESOURCE}", token) in {"400", "401"}


# --- logs -------------------------------------------------------------------------------------------------------------


def stop_accepted_of(stack: Stack, token: str) -> None:
    """Stop some script, and wait until an agent has told what became of it."""
    answer = stack.stop(token, stack.rows(token)[-1]["id"])
    assert answer.status == 204
    assert_guarded(answer)
    told = f'"stop_id": "{answer.headers["stop-request-id"]}"'
    logs = stack.state_dir / "logs"
    eventually(lambda: [log for log in logs.glob("agent-*.log") if told in log.read_text()], within_s=20)


def test_a_list_is_neither_guessed_at_nor_kept(stack: Stack, token: str) -> None:
    assert_guarded(stack.listing(token))
    unknown = stack.stop(token, UNKNOWN)
    assert unknown.status == 404
    assert_guarded(unknown)


def test_nothing_a_caller_sends_becomes_a_line_of_a_log(stack: Stack, token: str) -> None:
    line = f"x\r\n{{{FORGED}}}\r\n\x1b[2J\u2028{{{FORGED}}}"
    forged = stack.forge(token, sub=line)
    stop_accepted_of(stack, forged)
    assert stack.listing(forged, filter=json.dumps({"code": line})).status == 200
    assert_refused(stack.listing(forged, filter=json.dumps({line: 1})), 400)
    assert_refused(stack.request("GET", f"{RESOURCE}?{quote(line)}=1", bearer(forged)), 400)
    assert_refused(stack.request("DELETE", f"{RESOURCE}/{quote(line, safe='')}", bearer(forged)), 404)
    assert_refused(stack.request("DELETE", f"{RESOURCE}/{UNKNOWN}?{quote(line)}", bearer(forged)), 400)
    assert_refused(stack.request("DELETE", f"{RESOURCE}/{UNKNOWN}", bearer(forged, User_Agent="a\x1b[2J")), 400, 404)
    logs = stack.state_dir / "logs"
    for log in (*logs.glob("*Function.log"), *logs.glob("agent-*.log")):
        text = log.read_bytes()
        assert b"\x1b" not in text
        for written in text.decode().split("\n"):
            if written.startswith("{"):
                assert "forged" not in json.loads(written)
    gateway = (logs / "gateway.log").read_bytes()
    assert b"\x1b" not in gateway
    assert not [one for one in gateway.split(b"\n") if one.startswith(b"{")]


def test_no_token_is_in_any_log(stack: Stack, token: str) -> None:
    stack.listing(token)
    stack.listing(token + "x")
    signature = token.rpartition(".")[2].encode()
    for log in (stack.state_dir / "logs").glob("*.log"):
        assert signature not in log.read_bytes(), log.name


# --- filters ----------------------------------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    expression: Any = ["==", ["property", "site"], "SITE1"]
    for _ in range(depth):
        expression = ["not", expression]
    return expression


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4_000,
        "{" * 1_000,
        '{"a":' * 600 + "1" + "}" * 600,
        json.dumps(nested(17)),
        json.dumps(nested(300)),
        json.dumps(["in", ["property", "code"], ["x"] * 900]) + "x",
        json.dumps({f"f{n}": 1 for n in range(400)}),
        '{"site":"SITE1","site":"SITE2"}',
        '{"code":NaN}',
        '{"code":1e400}',
        '{"code":"\\ud800"}',
        '{"starttime":' + "9" * 4_000 + "}",
        '["==",["property","__class__"],"x"]',
        '["like",["property","code"]]',
        '["==",["property","code"],["const",["const",1]]]',
        '["eval","1"]',
        "null",
        "0",
        '"x"',
        "'x'",
        "\ufeff{}",
        "x" * 5_000,
    ],
)
def test_a_hostile_filter_is_refused_briefly(stack: Stack, token: str, text: str) -> None:
    answer = stack.listing(token, filter=text)
    assert_refused(answer, 400, 431)
    assert len(answer.body) < MAX_PROBLEM_BYTES


@pytest.mark.parametrize("pattern", ["%" * 1_500, "%a" * 700, "_" * 1_500, "\\\\" * 700, "%a%b%c%d%e%f%g%h" * 40])
def test_a_hostile_pattern_is_answered_quickly(stack: Stack, token: str, pattern: str) -> None:
    """One that took its time would meet the function's limit, a 503."""
    answer = stack.listing(token, filter=json.dumps(["like", ["property", "name"], pattern]))
    assert answer.status in {200, 400}, answer.body


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"n{n}=1" for n in range(1_000)),
        "&".join(f"{'x' * 60}{n}=1" for n in range(100)),
        "&".join(["filter={}"] * 500),
        "limit=" + "9" * 5_000,
        "limit=-1&offset=1e3&flat=maybe&order=nothing&mask=nothing&filter=x",
        "mask=" + ",".join(f"f{n}" for n in range(1_000)),
        "order=" + ",".join(["id"] * 1_000),
        "filter=%ff",
        "filter=%zz",
        "%00=1",
        "=",
        "&&&=&",
        "filter",
    ],
)
def test_a_hostile_query_is_refused_briefly(stack: Stack, token: str, query: str) -> None:
    answer = stack.request("GET", f"{RESOURCE}?{query}", bearer(token))
    assert_refused(answer, 400)
    assert len(answer.body) < MAX_PROBLEM_BYTES
    assert len(answer.json()["errors"]) <= 20


def test_the_functions_still_answer_after_all_this(stack: Stack, token: str) -> None:
    assert stack.listing(token).status == 200
    assert stack.stop(token, UNKNOWN).status == 404
