"""`ivrctl login` and `logout`, against an issuer in this process that answers well, badly or not at all."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from ivrctl.access import browser
from ivrctl.access.browser import login as by_browser
from ivrctl.access.device import login as by_device
from ivrctl.errors import AuthError, UsageError
from ivrctl.profiles import Profile, resolve
from scripted_api import Answer, Asked, ScriptedApi, nothing

Ctl = Callable[..., Any]


def answer(document: dict[str, Any], status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(document).encode()


@pytest.fixture
def profile(api: ScriptedApi, tmp_path: Path) -> Profile:
    """A public client of an issuer that announces both endpoints for people."""

    def discovery(asked: Asked) -> Answer | None:
        if asked.path != "/.well-known/openid-configuration":
            return None
        return answer(
            {
                "issuer": api.url,
                "token_endpoint": f"{api.url}/oauth2/token",
                "authorization_endpoint": f"{api.url}/authorize",
                "device_authorization_endpoint": f"{api.url}/device",
                "code_challenge_methods_supported": ["S256"],
            }
        )

    api.fault = discovery
    environment = {"IVRCTL_CACHE": str(tmp_path), "IVRCTL_CLIENT_ID": "ivrctl", "IVRCTL_LOGIN": "browser"}
    return resolve({"url": api.url}, environment)


def browsing(come_back: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[str], None]:
    """A browser that is sent to the sign-in page and comes back with what `come_back` makes of the request."""

    def show(url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        query = "&".join(f"{name}={value}" for name, value in come_back(asked).items())

        def back() -> None:
            with urlopen(f"{asked['redirect_uri']}?{query}") as page:  # noqa: S310  # loopback
                page.read()

        threading.Thread(target=back).start()

    return show


def test_a_code_that_comes_back_is_exchanged_with_its_verifier(api: ScriptedApi, profile: Profile) -> None:
    sent: list[dict[str, str]] = []

    def come_back(asked: dict[str, str]) -> dict[str, str]:
        sent.append(asked)
        return {"code": "c0de", "state": asked["state"], "iss": api.url}

    token = by_browser(profile, timeout_s=20, show=browsing(come_back))
    assert token.access in api.tokens
    assert (sent[0]["response_type"], sent[0]["code_challenge_method"], len(sent[0]["code_challenge"])) == (
        "code",
        "S256",
        43,
    )
    assert sent[0]["redirect_uri"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "come_back",
    [
        lambda _: {"code": "c0de", "state": "another"},
        lambda _: {"code": "c0de"},
        lambda asked: {"code": "c0de", "state": asked["state"], "iss": "https://evil.example"},
        lambda asked: {"error": "access_denied", "state": asked["state"]},
        lambda asked: {"state": asked["state"]},
    ],
)
def test_an_answer_that_is_not_this_logins_is_refused(
    api: ScriptedApi, profile: Profile, come_back: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    with pytest.raises(AuthError):
        by_browser(profile, timeout_s=20, show=browsing(come_back))
    assert not [asked for asked in api.asked if asked.path == "/oauth2/token"]


def test_nobody_signing_in_ends_the_wait(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "TICK_S", 0.05)
    with pytest.raises(UsageError, match="nobody signed in"):
        by_browser(profile, timeout_s=0.1, show=lambda _: None)


def test_a_device_login_goes_on_asking_until_somebody_has_signed_in(api: ScriptedApi, profile: Profile) -> None:
    discovery, pending, pauses, shown = api.fault, ["authorization_pending", "slow_down"], [], []

    def fault(asked: Asked) -> Answer | None:
        if asked.path == "/device":
            return answer(
                {
                    "device_code": "d",
                    "user_code": "ABCD",
                    "verification_uri": "https://issuer.example/go",
                    "interval": 3,
                }
            )
        if asked.path == "/oauth2/token" and pending:
            return answer({"error": pending.pop(0)}, 400)
        return discovery(asked)

    api.fault = fault
    token = by_device(profile, timeout_s=60, show=shown.append, pause=pauses.append)
    assert token.access in api.tokens
    assert (pauses, "ABCD" in shown[0]) == ([3.0, 3.0, 8.0], True)


def test_a_device_login_needs_an_issuer_that_announces_it(api: ScriptedApi, profile: Profile) -> None:
    api.fault = nothing
    with pytest.raises(AuthError, match="announces no device_authorization_endpoint"):
        by_device(profile, timeout_s=1, show=print)
    with pytest.raises(AuthError, match="announces no authorization_endpoint"):
        by_browser(profile, timeout_s=1, show=print)


def test_another_issuers_document_is_refused(api: ScriptedApi, profile: Profile) -> None:
    api.fault = lambda _: answer({"issuer": "https://evil.example", "token_endpoint": "https://evil.example/t"})
    with pytest.raises(AuthError, match="names another issuer"):
        by_browser(profile, timeout_s=1, show=print)


def test_login_by_secret_tells_whose_token_it_is_and_logout_removes_it(
    ctl: Ctl, api: ScriptedApi, environment: dict[str, str]
) -> None:
    told = ctl("login")
    assert (told.code, told.out) == (0, "")
    assert "logged in" in told.err
    assert not any(token in told.err for token in api.tokens)
    assert list(Path(environment["IVRCTL_CACHE"], "tokens").iterdir())
    assert "removed" in ctl("logout").err
    assert not list(Path(environment["IVRCTL_CACHE"], "tokens").iterdir())
    assert "there was no token" in ctl("logout").err


def test_who_is_not_logged_in_is_told_how(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ctl("list", "--profile", "local-user")
    assert (told.code, "run `ivrctl login --profile local-user`" in told.err) == (3, True)
    monkeypatch.setenv("IVRCTL_TOKEN", "t")
    assert ctl("login").code == 2
