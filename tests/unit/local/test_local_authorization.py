"""The authorization endpoint's rules: what is granted, once, to whom; and what is refused."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from ivr_local.authorization import (
    CODE_TTL_S,
    MOST_KEPT,
    MOST_PENDING,
    REFRESH_TTL_S,
    REQUEST_TTL_S,
    Authorization,
    RefusedError,
    matches,
)
from ivr_local.fleet import PublicClientConfig, UserConfig
from ivr_local.issuer import Issuer, TokenAnswer

URL = "http://127.0.0.1:3000"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:51000/callback"
OLGA = UserConfig(id="olga", name="Olga", domain="one.example", scopes=("r:read", "r:stop"))
CTL = PublicClientConfig(id="ivrctl", redirect_uris=("http://127.0.0.1/callback", "http://[::1]/callback"))
CONSOLE = PublicClientConfig(id="console", redirect_uris=("/",))
ASKED = {
    "response_type": "code",
    "client_id": "ivrctl",
    "redirect_uri": REDIRECT,
    "state": "s t&te",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authorization(clock: Clock) -> Authorization:
    return Authorization(issuer=URL, users={"olga": OLGA}, clients={"ivrctl": CTL, "console": CONSOLE}, clock=clock)


@pytest.fixture
def issuer(authorization: Authorization) -> Issuer:
    return Issuer(url=URL, audience="here", clients={}, authorization=authorization)


def came_back(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def code_of(authorization: Authorization, **changes: str) -> str:
    request_id, _ = authorization.begin({**ASKED, **changes})
    return came_back(authorization.choose(request_id, "olga"))["code"]


def form(code: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "ivrctl",
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }


def granted(issuer: Issuer, fields: dict[str, str]) -> TokenAnswer:
    return issuer.grant([], urlencode(fields).encode())


def refreshed(issuer: Issuer, token: str, client: str = "ivrctl") -> TokenAnswer:
    return granted(issuer, {"grant_type": "refresh_token", "refresh_token": token, "client_id": client})


def claims(answer: TokenAnswer) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(answer.body["access_token"], options={"verify_signature": False})
    return found


def test_a_user_signs_in_and_the_client_gets_a_token_of_that_user(issuer: Issuer, authorization: Authorization) -> None:
    request_id, _ = authorization.begin(ASKED)
    back = authorization.choose(request_id, "olga")
    assert back.startswith(f"{REDIRECT}?")
    assert (came_back(back)["state"], came_back(back)["iss"]) == ("s t&te", URL)
    answer = granted(issuer, form(came_back(back)["code"]))
    assert answer.status == 200
    told = claims(answer)
    assert (told["sub"], told["client_id"], told["domain"], told["scope"], told["aud"]) == (
        "olga",
        "ivrctl",
        "one.example",
        "r:read r:stop",
        "here",
    )


def test_a_refresh_token_is_good_once_and_gives_the_next(issuer: Issuer, authorization: Authorization) -> None:
    first = granted(issuer, form(code_of(authorization))).body["refresh_token"]
    second = refreshed(issuer, first)
    assert (second.status, claims(second)["sub"]) == (200, "olga")
    third = refreshed(issuer, second.body["refresh_token"])
    assert third.status == 200
    assert refreshed(issuer, first).body["error"] == "invalid_grant"
    assert refreshed(issuer, third.body["refresh_token"]).status == 400, (
        "a stolen token ends all that came of the sign-in"
    )


def test_a_code_is_good_once_and_its_second_use_ends_what_came_of_it(
    issuer: Issuer, authorization: Authorization
) -> None:
    code = code_of(authorization)
    refresh = granted(issuer, form(code)).body["refresh_token"]
    assert granted(issuer, form(code)).body["error"] == "invalid_grant"
    assert refreshed(issuer, refresh).body["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "made-up"},
        {"code_verifier": "w" * 43},
        {"code_verifier": "v" * 42},
        {"code_verifier": VERIFIER + "\n"},
        {"redirect_uri": "http://127.0.0.1:51001/callback"},
        {"client_id": "console"},
    ],
)
def test_a_code_does_nothing_without_all_that_belongs_to_it(
    issuer: Issuer, authorization: Authorization, changes: dict[str, str]
) -> None:
    answer = granted(issuer, {**form(code_of(authorization)), **changes})
    assert (answer.status, answer.body["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("missing", ["code", "client_id", "redirect_uri", "code_verifier"])
def test_what_is_missing_is_named(issuer: Issuer, authorization: Authorization, missing: str) -> None:
    fields = form(code_of(authorization))
    del fields[missing]
    answer = granted(issuer, fields)
    assert (answer.body["error"], answer.body["error_description"]) == ("invalid_request", f"{missing} is missing")


def test_pages_codes_and_refresh_tokens_expire(issuer: Issuer, authorization: Authorization, clock: Clock) -> None:
    request_id, _ = authorization.begin(ASKED)
    clock.now_s += REQUEST_TTL_S + 1
    with pytest.raises(RefusedError, match="too long"):
        authorization.choose(request_id, "olga")
    code = code_of(authorization)
    clock.now_s += CODE_TTL_S + 1
    assert granted(issuer, form(code)).body["error"] == "invalid_grant"
    refresh = granted(issuer, form(code_of(authorization))).body["refresh_token"]
    assert refreshed(issuer, refresh, client="console").body["error"] == "invalid_grant"
    refresh = granted(issuer, form(code_of(authorization))).body["refresh_token"]
    clock.now_s += REFRESH_TTL_S + 1
    assert refreshed(issuer, refresh).body["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://evil.example/callback"},
        {"redirect_uri": ""},
        {"redirect_uri": "http://127.0.0.1:51000/other"},
    ],
)
def test_an_unknown_client_or_address_is_told_to_the_person_alone(
    authorization: Authorization, changes: dict[str, str]
) -> None:
    with pytest.raises(RefusedError) as refused:
        authorization.begin({**ASKED, **changes})
    assert refused.value.redirect is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
    ],
)
def test_other_errors_go_back_to_the_client(authorization: Authorization, changes: dict[str, str], error: str) -> None:
    with pytest.raises(RefusedError) as refused:
        authorization.begin({**ASKED, **changes})
    assert refused.value.redirect is not None
    back = came_back(refused.value.redirect)
    assert (back["error"], back["state"], back["iss"]) == (error, "s t&te", URL)


def test_a_choice_is_taken_once_and_only_of_users_that_there_are(authorization: Authorization) -> None:
    request_id, _ = authorization.begin(ASKED)
    with pytest.raises(RefusedError):
        authorization.choose(request_id, "nobody")
    authorization.choose(request_id, "olga")
    with pytest.raises(RefusedError):
        authorization.choose(request_id, "olga")
    with pytest.raises(RefusedError):
        authorization.choose("made-up", "olga")


def test_scopes_are_at_most_the_users(issuer: Issuer, authorization: Authorization) -> None:
    asked = granted(issuer, form(code_of(authorization, scope="r:read r:admin")))
    assert asked.body["scope"] == "r:read"
    assert granted(issuer, form(code_of(authorization, scope="r:admin"))).body["error"] == "invalid_scope"


def test_the_oldest_of_too_many_sign_ins_is_dropped(authorization: Authorization) -> None:
    first, _ = authorization.begin(ASKED)
    others = [authorization.begin(ASKED)[0] for _ in range(MOST_PENDING)]
    with pytest.raises(RefusedError):
        authorization.choose(first, "olga")
    assert authorization.choose(others[0], "olga")


def test_what_is_kept_does_not_grow_without_end(authorization: Authorization) -> None:
    unused = code_of(authorization)
    first = authorization.exchange(form(code_of(authorization))).refresh
    for _ in range(MOST_KEPT):
        authorization.exchange(form(code_of(authorization)))
    kept = (authorization._codes, authorization._refreshes, authorization._spent)
    assert [len(one) for one in kept] == [1, MOST_KEPT, MOST_KEPT]
    with pytest.raises(RefusedError):
        authorization.refresh({"refresh_token": first, "client_id": "ivrctl"})
    assert authorization.exchange(form(unused))


@pytest.mark.parametrize(
    ("registered", "given", "same"),
    [
        ("http://127.0.0.1/callback", "http://127.0.0.1:8080/callback", True),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback", True),
        ("http://[::1]/callback", "http://[::1]:8080/callback", True),
        ("http://127.0.0.1/callback", "http://127.0.0.1:8080/callback?x=1", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:8080/callback/", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:8080/Callback", False),
        ("http://127.0.0.1/callback", "https://127.0.0.1:8080/callback", False),
        ("http://127.0.0.1/callback", "http://localhost:8080/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:8080@evil.example/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1.evil.example:80/callback", False),
        ("http://127.0.0.1/callback", "http://user@127.0.0.1:8080/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:99999/callback", False),
        ("http://127.0.0.1/callback", "http://127.0.0.1:08080/callback", False),
        ("https://app.example/callback", "https://app.example:8080/callback", False),
        ("https://app.example/callback", "https://app.example/callback", True),
    ],
)
def test_addresses_are_compared_letter_by_letter_but_for_loopbacks_port(
    registered: str, given: str, same: bool
) -> None:
    assert matches(registered, given) is same


def test_the_stacks_own_page_is_an_address_of_the_stack(authorization: Authorization) -> None:
    assert authorization.begin({**ASKED, "client_id": "console", "redirect_uri": f"{URL}/"})
    with pytest.raises(RefusedError):
        authorization.begin({**ASKED, "client_id": "console", "redirect_uri": "http://127.0.0.1:3001/"})


def test_discovery_announces_what_there_is(issuer: Issuer) -> None:
    told = issuer.discovery()
    assert told["authorization_endpoint"] == f"{URL}/oauth2/authorize"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert set(told["grant_types_supported"]) == {"client_credentials", "authorization_code", "refresh_token"}
    without = Issuer(url=URL, audience="here", clients={})
    assert "authorization_endpoint" not in without.discovery()
    assert granted(without, form("x")).body["error"] == "unsupported_grant_type"


# --- OpenID Connect: who it is, and who is remembered ---


def exchanged(authorization: Authorization, issuer: Issuer, **changes: str) -> dict[str, Any]:
    answer = granted(issuer, form(code_of(authorization, **changes)))
    assert answer.status == 200, answer.body
    return answer.body


def test_the_id_token_names_the_user_for_this_client_and_repeats_the_nonce(
    authorization: Authorization, issuer: Issuer
) -> None:
    body = exchanged(authorization, issuer, scope="openid r:read", nonce="n-1")
    claims = jwt.decode(body["id_token"], options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["sub"], claims["nonce"]) == (URL, "ivrctl", "olga", "n-1")
    assert body["scope"] == "r:read", "openid opens nothing"


def test_without_the_scope_openid_there_is_no_id_token(authorization: Authorization, issuer: Issuer) -> None:
    assert "id_token" not in exchanged(authorization, issuer, scope="r:read", nonce="n-1")


def test_openid_alone_asks_for_all_that_the_user_may(authorization: Authorization, issuer: Issuer) -> None:
    assert exchanged(authorization, issuer, scope="openid")["scope"] == "r:read r:stop"


@pytest.mark.parametrize("prompt", ["", "none"])
def test_who_was_picked_before_is_signed_in_without_a_page(authorization: Authorization, prompt: str) -> None:
    request_id, _ = authorization.begin(ASKED)
    assert "code" in came_back(authorization.remembered(request_id, "olga", prompt) or "")


@pytest.mark.parametrize(("user", "prompt"), [("", ""), ("nobody", ""), ("olga", "login"), ("olga", "select_account")])
def test_otherwise_the_page_asks(authorization: Authorization, user: str, prompt: str) -> None:
    request_id, _ = authorization.begin(ASKED)
    assert authorization.remembered(request_id, user, prompt) is None
    assert "code" in came_back(authorization.choose(request_id, "olga")), "and the request is still under way"


def test_a_client_that_wants_no_page_is_told_that_nobody_is_signed_in(authorization: Authorization) -> None:
    request_id, _ = authorization.begin(ASKED)
    with pytest.raises(RefusedError) as refused:
        authorization.remembered(request_id, "", "none")
    told = came_back(refused.value.redirect or "")
    assert (told["error"], told["state"], told["iss"]) == ("login_required", "s t&te", URL)


def test_a_sign_out_leads_to_an_address_of_the_client_alone(authorization: Authorization) -> None:
    assert authorization.after_sign_out("console", f"{URL}/") == f"{URL}/"
    for client, address in [("console", "https://evil.example/"), ("nobody", f"{URL}/"), ("console", f"{URL}/x")]:
        assert authorization.after_sign_out(client, address) is None
