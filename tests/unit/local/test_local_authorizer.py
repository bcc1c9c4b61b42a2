"""Who gets past the JWT authorizer, and how the others are refused."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ivr_local.authorizer import AuthorizationError, JwtAuthorizer, scopes_of
from ivr_local.issuer import Issuer
from ivr_local.template import Authorizer

NOW_S = 1_800_000_000.5
ISSUER = Issuer(url="http://127.0.0.1:3000", audience="here", clients={})
STRANGER = rsa.generate_private_key(65537, 2048)
CONFIG = Authorizer(issuer=ISSUER.url, audience=("here", "there"), identity_source="$request.header.Authorization")
GATE = JwtAuthorizer(config=CONFIG, jwks=ISSUER.jwks(), clock=lambda: NOW_S)
ROUTE = ("r:read",)

GOOD = {
    "iss": ISSUER.url,
    "aud": "here",
    "client_id": "c",
    "sub": "c",
    "scope": "r:read r:other",
    "iat": int(NOW_S),
    "exp": int(NOW_S) + 10,
}


def signed(*, key: Any = ISSUER.key, algorithm: str = "RS256", kid: str | None = ISSUER.key_id, **changes: Any) -> str:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(GOOD).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hs256_with_the_public_key() -> str:
    pem = ISSUER.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    token = unsigned({"alg": "HS256", "typ": "JWT", "kid": ISSUER.key_id}).rstrip(".")
    signature = base64.urlsafe_b64encode(algorithm.sign(token.encode(), pem)).rstrip(b"=").decode()
    return f"{token}.{signature}"


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_a_good_token_passes_with_or_without_bearer(prefix: str) -> None:
    grant = GATE.authorize(prefix + signed(), ROUTE)
    assert grant.claims["sub"] == "c"
    assert grant.scopes == ("r:read", "r:other")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["elsewhere", "there"]},
        {"aud": ..., "client_id": "here"},
        {"nbf": int(NOW_S)},
        {"exp": NOW_S + 0.1},
        {"scope": ..., "scp": ["r:read"]},
        {"scope": ..., "scp": "r:other r:read"},
        {"jti": 7},
    ],
)
def test_tokens_that_the_rules_allow_pass(changes: dict[str, Any]) -> None:
    assert GATE.authorize(signed(**changes), ROUTE).claims["sub"] == "c"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: signed(exp=int(NOW_S)), id="expired this second"),
        pytest.param(lambda: signed(exp=...), id="never expires"),
        pytest.param(lambda: signed(exp="9999999999"), id="exp is text"),
        pytest.param(lambda: signed(exp=True), id="exp is a bool"),
        pytest.param(lambda: signed(nbf=int(NOW_S) + 1), id="not yet valid"),
        pytest.param(lambda: signed(iat=int(NOW_S) + 60), id="issued in the future"),
        pytest.param(lambda: signed(iss="http://127.0.0.1:3001"), id="another issuer"),
        pytest.param(lambda: signed(iss=ISSUER.url + "/"), id="almost the issuer"),
        pytest.param(lambda: signed(iss=...), id="no issuer"),
        pytest.param(lambda: signed(aud="elsewhere"), id="another audience"),
        pytest.param(lambda: signed(aud="elsewhere", client_id="here"), id="aud counts where both are"),
        pytest.param(lambda: signed(aud=[]), id="no audience in the list"),
        pytest.param(lambda: signed(aud={"here": 1}), id="an audience that is an object"),
        pytest.param(lambda: signed(aud=..., client_id="c"), id="another client_id"),
        pytest.param(lambda: signed(aud=..., client_id=...), id="neither aud nor client_id"),
        pytest.param(lambda: signed(kid=None), id="no kid"),
        pytest.param(lambda: signed(kid="another"), id="unknown kid"),
        pytest.param(lambda: signed(key=STRANGER), id="our kid, another's signature"),
        pytest.param(lambda: signed(algorithm="RS512"), id="an RSA algorithm that is not ours"),
        pytest.param(lambda: unsigned({"alg": "none", "kid": ISSUER.key_id}), id="alg none"),
        pytest.param(lambda: unsigned({"alg": "none", "kid": ISSUER.key_id}, b"x"), id="alg none with a signature"),
        pytest.param(lambda: unsigned({"alg": "RS256", "kid": [ISSUER.key_id]}), id="kid is a list"),
        pytest.param(lambda: unsigned({"alg": "RS256", "kid": ISSUER.key_id}), id="no signature"),
        pytest.param(hs256_with_the_public_key, id="HS256 with the public key as secret"),
        pytest.param(lambda: signed()[:-4] + "AAAA", id="a broken signature"),
        pytest.param(lambda: "garbage", id="garbage"),
        pytest.param(lambda: "a.b.c", id="three parts of garbage"),
        pytest.param(lambda: "Bearer", id="only the prefix"),
        pytest.param(lambda: "Basic " + signed(), id="another scheme"),
        pytest.param(lambda: f"Bearer {signed()},Bearer {signed()}", id="two tokens"),
        pytest.param(lambda: "Bearer \u00e9.\u00e9.\u00e9", id="not ASCII"),
    ],
)
def test_any_other_token_is_401_with_a_challenge_that_says_why(make: Callable[[], str]) -> None:
    with pytest.raises(AuthorizationError) as caught:
        GATE.authorize(make(), ROUTE)
    assert (caught.value.status, caught.value.message) == (401, "Unauthorized")
    assert caught.value.challenge.startswith('Bearer scope="r:read" error="invalid_token" error_description="')
    assert caught.value.challenge.isascii()
    assert "\n" not in caught.value.challenge


@pytest.mark.parametrize("authorization", [None, ""])
def test_a_request_without_a_token_is_401(authorization: str | None) -> None:
    with pytest.raises(AuthorizationError) as caught:
        GATE.authorize(authorization, ROUTE)
    assert (caught.value.status, caught.value.challenge) == (401, "Bearer")


def test_the_documented_description_of_a_wrong_audience_is_given() -> None:
    with pytest.raises(AuthorizationError) as caught:
        GATE.authorize(signed(aud="elsewhere"), ())
    assert caught.value.challenge == (
        'Bearer scope="" error="invalid_token" error_description="the token does not have a valid audience"'
    )


@pytest.mark.parametrize(
    "changes", [{"scope": "r:rea"}, {"scope": "r:read2"}, {"scope": ...}, {"scope": 7}, {"scope": ["x"]}, {"scope": ""}]
)
def test_a_good_token_without_the_routes_scope_is_403(changes: dict[str, Any]) -> None:
    with pytest.raises(AuthorizationError) as caught:
        GATE.authorize(signed(**changes), ROUTE)
    assert (caught.value.status, caught.value.message) == (403, "Forbidden")


def test_a_bad_token_is_401_whatever_its_scopes() -> None:
    with pytest.raises(AuthorizationError) as caught:
        GATE.authorize(signed(scope="x", exp=1), ROUTE)
    assert caught.value.status == 401


def test_a_route_without_scopes_takes_any_good_token() -> None:
    assert GATE.authorize(signed(scope=...), ()).scopes == ()


def test_scopes_are_words_not_substrings() -> None:
    assert scopes_of({"scope": " a  b "}) == ("a", "b")
    assert scopes_of({"scope": "a\u00a0b c\td"}) == ("a\u00a0b", "c\td"), "spaces alone separate scopes"
    assert scopes_of({"scp": ["a b", 7]}) == ("a b",)
