"""Requests to the issuer: its discovery document, and the grants of its token endpoint (RFC 6749, RFC 8628).

Owns their forms and their errors. Keeps nothing: `tokens` does.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from ivrctl.errors import AuthError, FailedError
from ivrctl.http import Answer, Connection, failure
from ivrctl.profiles import LOOPBACK, Profile

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"

DEFAULT_TTL_S: Final = 300
"""How long a token is used whose issuer does not say how long it is valid."""


class Token(NamedTuple):
    """What the token endpoint gave. `expires_at_s` is in seconds since 1970; `refresh` is None if there is none."""

    access: str
    expires_at_s: float
    refresh: str | None = None


class GrantError(AuthError):
    """The issuer refuses; `code` is RFC 6749's (section 5.2), by which a device login knows to go on asking."""

    def __init__(
        self, detail: str, *, grant_code: str, remedy: str = "", problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail, remedy=remedy, problem=problem)
        self.grant_code = grant_code


def discovered(profile: Profile) -> dict[str, Any]:
    """Return the issuer's discovery document; raises `AuthError` for one that is another issuer's."""
    parts = urlsplit(profile.issuer)
    connection = Connection(profile.issuer)
    try:
        answer = connection.ask("GET", parts.path + DISCOVERY_PATH, {"Accept": "application/json"})
    finally:
        connection.close()
    if answer.status != 200:
        raise FailedError(
            f"{profile.issuer}{DISCOVERY_PATH} answers HTTP {answer.status}", remedy="is `issuer` that of your tokens?"
        )
    found = answer.json()
    if not isinstance(found, dict) or str(found.get("issuer", "")).rstrip("/") != profile.issuer:
        raise AuthError(f"{profile.issuer}: its discovery document names another issuer", remedy="correct `issuer`")
    return found


def endpoint(document: Mapping[str, Any], name: str, profile: Profile) -> str:
    """Return an endpoint's URL; raises `AuthError` if the issuer announces none, or one without encryption."""
    url = document.get(name)
    if not isinstance(url, str):
        raise AuthError(f"{profile.issuer} announces no {name}", remedy="choose another `login` in the profile")
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise AuthError(f"{profile.issuer}: its {name} is not https", remedy="use another issuer")
    return url


def granted(profile: Profile, form: Mapping[str, str], *, now_s: float | None = None) -> Token:
    """Ask for a token; raises `GrantError` if the issuer refuses."""
    url = endpoint(discovered(profile), "token_endpoint", profile)
    answer = posted(url, {**form, **_asked(profile, form)}, _client(profile))
    return _read(answer, time.time() if now_s is None else now_s)


def by_secret(profile: Profile) -> Token:
    """Ask for a token by the client's credentials; raises `AuthError` if there is no secret."""
    if profile.secret is None:
        remedy = "set client_secret_file in the profile, or IVRCTL_CLIENT_SECRET"
        raise AuthError(f"profile {profile.name}: has no client secret", remedy=remedy)
    return granted(profile, {"grant_type": "client_credentials"})


def posted(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    """Post a form."""
    parts = urlsplit(url)
    connection = Connection(url)
    try:
        return connection.ask(
            "POST",
            parts.path + (f"?{parts.query}" if parts.query else ""),
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers},
            urlencode(form).encode(),
        )
    finally:
        connection.close()


def _client(profile: Profile) -> dict[str, str]:
    """Return the client's authentication: HTTP Basic with a secret; a public client names itself in the form."""
    if profile.secret is None:
        return {}
    from base64 import b64encode  # noqa: PLC0415  # only where a token is fetched

    basic = b64encode(f"{quote(profile.client_id, safe='')}:{quote(profile.secret, safe='')}".encode()).decode()
    return {"Authorization": f"Basic {basic}"}


def _asked(profile: Profile, form: Mapping[str, str]) -> dict[str, str]:
    named = {} if profile.secret is not None else {"client_id": profile.client_id}
    if form["grant_type"] != "client_credentials":
        return named
    scope = {"scope": profile.scopes} if profile.scopes else {}
    return named | scope | ({"audience": profile.audience} if profile.audience else {})


def _read(answer: Answer, now_s: float) -> Token:
    body = answer.problem() or {}
    if answer.status != 200:
        if "error" not in body:
            raise failure(answer)
        said = str(body.get("error_description") or body["error"])
        raise GrantError(
            f"the issuer refuses: {said}",
            grant_code=str(body["error"]),
            remedy="`ivrctl doctor` shows the profile; `ivrctl login` starts anew",
            problem={"status": answer.status, "title": said, **body},
        )
    access, kind = body.get("access_token"), str(body.get("token_type", "")).lower()
    if not isinstance(access, str) or kind != "bearer":
        raise FailedError("the issuer's answer has no bearer token in it")
    ttl_s, refresh = body.get("expires_in"), body.get("refresh_token")
    lasts_s = float(ttl_s) if isinstance(ttl_s, int | float) else DEFAULT_TTL_S
    return Token(access, now_s + lasts_s, refresh if isinstance(refresh, str) else None)
