"""The token endpoint, by RFC 6749, and what it publishes."""

import base64
from typing import Any
from urllib.parse import quote_plus

import jwt
import pytest

from ivr_local.fleet import ClientConfig
from ivr_local.issuer import Issuer, TokenAnswer

READER = ClientConfig(id="reader", secret="reader-secret", domain="one.example", scopes=("r:read",))
ODD = ClientConfig(id="odd+client", secret="p%a:s+s&w=ord", domain="two.example", scopes=("r:read", "r:stop"))
NOW_S = 1_800_000_000.5
GRANT = b"grant_type=client_credentials"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(
        url="http://127.0.0.1:3000",
        audience="here",
        clients={"reader": READER, "odd+client": ODD},
        clock=lambda: NOW_S,
    )


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def claims_of(issuer: Issuer, answer: TokenAnswer) -> dict[str, object]:
    token = answer.body["access_token"]
    published = jwt.PyJWKSet.from_dict(issuer.jwks())[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims: dict[str, object] = jwt.decode(token, published, algorithms=["RS256"], audience="here", options=options)
    return claims


def test_a_client_gets_a_token_that_the_published_key_verifies(issuer: Issuer) -> None:
    answer = issuer.grant([basic("reader", "reader-secret")], GRANT)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == 3600
    claims = claims_of(issuer, answer)
    assert claims.pop("jti")
    assert claims == {
        "iss": "http://127.0.0.1:3000",
        "sub": "reader",
        "aud": "here",
        "client_id": "reader",
        "token_use": "access",
        "scope": "r:read",
        "domain": "one.example",
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
    }


def test_ids_and_secrets_are_form_decoded(issuer: Issuer) -> None:
    assert issuer.grant([basic("odd+client", "p%a:s+s&w=ord")], GRANT).status == 200


def test_a_client_may_ask_for_fewer_scopes(issuer: Issuer) -> None:
    answer = issuer.grant([basic("odd+client", "p%a:s+s&w=ord")], GRANT + b"&scope=r%3Astop")
    assert claims_of(issuer, answer)["scope"] == "r:stop"


def test_every_start_has_a_key_of_its_own() -> None:
    """A token of an earlier run opens nothing: no key that it was signed with is published any more."""
    first, second = (Issuer(url="http://127.0.0.1:3000", audience="here", clients={}) for _ in range(2))
    assert first.key_id != second.key_id


def test_no_two_tokens_are_the_same(issuer: Issuer) -> None:
    first, second = (issuer.grant([basic("reader", "reader-secret")], GRANT).body["access_token"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("authorization", "form", "status", "error"),
    [
        (None, GRANT, 401, "invalid_client"),
        ("Bearer abc", GRANT, 401, "invalid_client"),
        ("Basic !!!", GRANT, 401, "invalid_client"),
        ("Basic p\u00e4ss", GRANT, 401, "invalid_client"),  # once a 500: base64 raises another error for these
        ("Basic \udcff", GRANT, 401, "invalid_client"),
        ("Basic " + base64.b64encode(b"\xff\xfe").decode(), GRANT, 401, "invalid_client"),
        ("Basic " + base64.b64encode(b"reader").decode(), GRANT, 401, "invalid_client"),
        (basic("reader", "wrong"), GRANT, 401, "invalid_client"),
        (basic("nobody", "reader-secret"), GRANT, 401, "invalid_client"),
        (basic("nobody", ""), GRANT, 401, "invalid_client"),
        (basic("reader", "reader-secret"), b"grant_type=password", 400, "unsupported_grant_type"),
        (basic("reader", "reader-secret"), b"", 400, "invalid_request"),
        (basic("reader", "reader-secret"), b"no form", 400, "invalid_request"),
        (basic("reader", "reader-secret"), b"\xff=1", 400, "invalid_request"),
        (basic("reader", "reader-secret"), GRANT + b"&" + GRANT, 400, "invalid_request"),
        (basic("reader", "reader-secret"), GRANT + b"&scope=r:stop", 400, "invalid_scope"),
        (basic("reader", "reader-secret"), GRANT + b"&scope=r:read+r:stop", 400, "invalid_scope"),
    ],
)
def test_a_wrong_request_gets_the_error_of_rfc_6749(
    issuer: Issuer, authorization: str | None, form: bytes, status: int, error: str
) -> None:
    answer = issuer.grant([authorization] if authorization else [], form)
    assert (answer.status, answer.body["error"]) == (status, error)
    assert "access_token" not in answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize("second", [basic("reader", "reader-secret"), basic("reader", "wrong"), ""])
def test_credentials_that_come_twice_are_refused_even_if_they_are_the_same(issuer: Issuer, second: str) -> None:
    """The first one counted, so that what a proxy had checked need not have been what we did."""
    answer = issuer.grant([basic("reader", "reader-secret"), second], GRANT)
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


def test_the_documents_point_at_each_other_and_hold_no_private_key(issuer: Issuer) -> None:
    found = issuer.discovery()
    assert found["issuer"] == "http://127.0.0.1:3000"
    assert found["jwks_uri"] == "http://127.0.0.1:3000/.well-known/jwks.json"
    (key,) = issuer.jwks()["keys"]
    assert set(key) == {"kty", "e", "n", "kid", "use", "alg"}
    assert issuer.pem().startswith(b"-----BEGIN PRIVATE KEY-----")
