"""Payload format 2.0, both ways."""

import base64
import json
from typing import Any

import pytest

from ivr_local.authorizer import Grant
from ivr_local.event import Api, HttpRequest, MalformedResponseError, build, claim_text, map_answer

GRANT = Grant({"sub": "c", "exp": 1_800_000_000, "groups": ["a", "b"]}, ("r:read",))


def event_of(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": "GET",
        "target": "/things/a%2Fb%20c?x=1&x=2&y=%D1%8F&z",
        "protocol": "HTTP/1.1",
        "headers": [("Host", "127.0.0.1:3000"), ("X-A", "1"), ("x-a", "2"), ("User-Agent", "t/1")],
        "body": b"",
        "source_ip": "127.0.0.1",
        "port": 3000,
        "request_id": "r-1",
        "received_at_s": 1_572_943_000.25,
    }
    return build(
        HttpRequest(**(request | changes)),
        api=Api(account_id="000000000000", api_id="local"),
        route_key="GET /things/{id}",
        parameters={"id": "a%2Fb%20c"},
        grant=GRANT,
    )


def test_the_event_is_what_api_gateway_builds() -> None:
    assert event_of() == {
        "version": "2.0",
        "routeKey": "GET /things/{id}",
        "rawPath": "/things/a/b c",
        "rawQueryString": "x=1&x=2&y=%D1%8F&z",
        "headers": {
            "host": "127.0.0.1:3000",
            "x-a": "1,2",
            "user-agent": "t/1",
            "content-length": "0",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "3000",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"x": "1,2", "y": "я", "z": ""},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "authorizer": {
                "jwt": {"claims": {"sub": "c", "exp": "1800000000", "groups": "[a b]"}, "scopes": ["r:read"]}
            },
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "GET",
                "path": "/things/a/b c",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "t/1",
            },
            "requestId": "r-1",
            "routeKey": "GET /things/{id}",
            "stage": "$default",
            "time": "05/Nov/2019:08:36:40 +0000",
            "timeEpoch": 1_572_943_000_250,
        },
        "pathParameters": {"id": "a/b c"},
        "isBase64Encoded": False,
    }


def test_without_a_query_there_is_an_empty_raw_one_and_no_parameters() -> None:
    event = event_of(target="/things/a")
    assert event["rawQueryString"] == ""
    assert "queryStringParameters" not in event


def test_a_second_question_mark_belongs_to_the_query() -> None:
    assert event_of(target="/things/a?q=a?b%3F")["rawQueryString"] == "q=a?b%3F"


def test_cookies_leave_the_headers() -> None:
    event = event_of(headers=[("cookie", "a=1; b=2"), ("Cookie", "c=3")])
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    ("kind", "body", "sent", "is_base64"),
    [
        ("application/json; charset=utf-8", "{я}".encode(), "{я}", False),
        ("text/plain", b"x", "x", False),
        ("text/plain", b"\xff", base64.b64encode(b"\xff").decode(), True),
        ("application/octet-stream", b"x", base64.b64encode(b"x").decode(), True),
    ],
)
def test_text_travels_as_text_and_everything_else_in_base64(
    kind: str, body: bytes, sent: str, *, is_base64: bool
) -> None:
    event = event_of(headers=[("Content-Type", kind)], body=body)
    assert (event["body"], event["isBase64Encoded"]) == (sent, is_base64)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "<nil>"),
        (["a", 1, ["b"]], "[a 1 [b]]"),
        ({"b": 1, "a": [False]}, "map[a:[false] b:1]"),
        ([], "[]"),
    ],
)
def test_every_claim_becomes_a_string(value: object, text: str) -> None:
    assert claim_text(value) == text


def answered(answer: object) -> tuple[int, dict[str, str], bytes]:
    response = map_answer(json.dumps(answer).encode())
    return response.status, dict(response.headers), response.body


def test_a_full_answer_is_taken_as_it_is() -> None:
    response = map_answer(
        json.dumps(
            {"statusCode": 201, "headers": {"X-A": "1", "Content-Type": "a/b"}, "cookies": ["c=1", "d=2"], "body": "я"}
        ).encode()
    )
    assert response.status == 201
    assert list(response.headers) == [
        ("x-a", "1"),
        ("content-type", "a/b"),
        ("set-cookie", "c=1"),
        ("set-cookie", "d=2"),
    ]
    assert response.body == "я".encode()


def test_an_answer_without_a_status_code_is_a_json_body() -> None:
    assert answered({"a": "я"}) == (200, {"content-type": "application/json"}, '{"a": "я"}'.encode())
    assert answered([1]) == (200, {"content-type": "application/json"}, b"[1]")
    assert answered("hello") == (200, {"content-type": "application/json"}, b"hello")


def test_base64_is_decoded_and_text_has_a_default_type() -> None:
    assert answered({"statusCode": 200, "isBase64Encoded": True, "body": "AP8="})[2] == b"\x00\xff"
    assert answered({"statusCode": "200", "body": "x"})[:2] == (200, {"content-type": "text/plain; charset=utf-8"})


def test_204_has_neither_body_nor_type() -> None:
    assert answered({"statusCode": 204}) == (204, {}, b"")
    assert answered({"statusCode": 204, "headers": {"content-type": "a/b"}, "body": "x"})[2] == b""


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "teapot"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": "1\r\nb: 2"}},
        {"statusCode": 200, "cookies": ["a\n"]},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
    ],
)
def test_an_answer_that_cannot_be_mapped_is_refused(answer: object) -> None:
    with pytest.raises(MalformedResponseError):
        answered(answer)


def test_an_answer_that_is_no_json_is_refused() -> None:
    with pytest.raises(MalformedResponseError):
        map_answer(b"nothing")
