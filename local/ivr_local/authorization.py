"""The authorization endpoint's rules: authorization code with PKCE, and refresh tokens, for public clients.

Owns which requests are granted (RFC 6749 sections 4.1 and 6, RFC 7636, RFC 8252, RFC 9207, RFC 9700), the codes and
the refresh tokens. No HTTP and no page (`signin` has both), no signing (`issuer` has the key). Everything is kept in
memory: after a new start people sign in anew.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from ivr_local.fleet import PublicClientConfig, UserConfig

REQUEST_TTL_S: Final = 600.0
"""How long a sign-in page may be looked at before somebody chooses."""

CODE_TTL_S: Final = 60.0
"""How long a code may be exchanged: RFC 6749 section 4.1.2 recommends ten minutes at most; a program needs a second."""

REFRESH_TTL_S: Final = 12 * 3600.0
"""How long a refresh token is good for: a shift."""

OPENID: Final = "openid"
"""The scope that asks for an id token; it opens nothing."""

LOOPBACK: Final = ("127.0.0.1", "::1")
"""By their addresses: RFC 8252 section 8.3 advises against `localhost`."""

MOST_PENDING: Final = 1000
"""Sign-ins under way at a time; beyond, the oldest is dropped."""

MOST_KEPT: Final = 10_000
"""Codes, refresh tokens and used ones, each; beyond, the oldest is dropped."""

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 sections 4.1 and 4.2; the challenge is the Base64 of a SHA-256."""


class RefusedError(Exception):
    """The request is refused; `code` is RFC 6749's. With `redirect` the client is told, else only the person."""

    def __init__(self, code: str, description: str, *, redirect: str | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.redirect = redirect


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A valid authorization request."""

    client_id: str
    redirect_uri: str
    state: str | None
    challenge: str
    scopes: tuple[str, ...]
    until_s: float
    nonce: str | None = None
    """What the client will look for in its id token (OpenID Connect Core section 3.1.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a token is to be made of, and the refresh token that comes with it."""

    user: UserConfig
    client_id: str
    scopes: tuple[str, ...]
    refresh: str = ""
    identity: bool = False
    """Whether an id token is due: the scope `openid` was asked for."""
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    sign_in: SignIn
    user: UserConfig
    family: str
    until_s: float


@dataclass(frozen=True, slots=True)
class _Refresh:
    granted: Granted
    family: str
    until_s: float


Held = TypeVar("Held", _Code, _Refresh)
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Authorization:
    """The endpoint's state. `clock` is monotonic seconds; `issuer` its URL, which relative redirects belong to."""

    issuer: str
    users: Mapping[str, UserConfig]
    clients: Mapping[str, PublicClientConfig]
    clock: Callable[[], float] = time.monotonic
    _pending: dict[str, SignIn] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _refreshes: dict[str, _Refresh] = field(default_factory=dict)
    _spent: dict[str, str] = field(default_factory=dict)
    """Codes and refresh tokens that were used, with their family: who uses one again may have stolen it."""

    def begin(self, asked: Mapping[str, str]) -> tuple[str, SignIn]:
        """Check a request; return the id under which it waits for a choice. Raises `RefusedError`."""
        client = self.clients.get(asked.get("client_id", ""))
        if client is None:
            raise RefusedError("invalid_request", "client_id names no public client of this stack")
        redirect_uri = asked.get("redirect_uri", "")
        if not any(matches(self._absolute(known), redirect_uri) for known in client.redirect_uris):
            raise RefusedError("invalid_request", "redirect_uri is not one that this client has registered")
        sign_in = self._checked(asked, redirect_uri)
        request_id = secrets.token_urlsafe(24)
        _keep(self._pending, request_id, sign_in, most=MOST_PENDING)
        return request_id, sign_in

    def choose(self, request_id: str, user_id: str) -> str:
        """Sign a user in; return the address to go to, with the code. Raises `RefusedError`."""
        sign_in, user = self._pending.get(request_id), self.users.get(user_id)
        if sign_in is None or sign_in.until_s < self.clock():
            raise RefusedError("invalid_request", "this sign-in is not under way, or has taken too long: begin anew")
        if user is None:
            raise RefusedError("invalid_request", "there is no such user")
        del self._pending[request_id]
        code = secrets.token_urlsafe(32)
        _keep(self._codes, code, _Code(sign_in, user, secrets.token_urlsafe(8), self.clock() + CODE_TTL_S))
        return self._back(sign_in.redirect_uri, sign_in.state, code=code)

    def remembered(self, request_id: str, user_id: str, prompt: str) -> str | None:
        """Sign the user in who was chosen before; None if the page has to ask.

        With the prompt `none` nothing is ever asked: raises `RefusedError` if nobody is remembered (OpenID Connect Core
        section 3.1.2.1). Other prompts always ask.
        """
        if prompt in {"", "none"} and user_id in self.users:
            return self.choose(request_id, user_id)
        if prompt != "none":
            return None
        sign_in = self._pending.pop(request_id)
        back = self._back(sign_in.redirect_uri, sign_in.state, error="login_required")
        raise RefusedError("login_required", "nobody is signed in", redirect=back)

    def after_sign_out(self, client_id: str, redirect_uri: str) -> str | None:
        """Return where to go after a sign-out: an address that the client has registered, or nowhere."""
        client = self.clients.get(client_id)
        known = client.redirect_uris if client else ()
        return redirect_uri if any(matches(self._absolute(one), redirect_uri) for one in known) else None

    def exchange(self, form: Mapping[str, str]) -> Granted:
        """Redeem a code, once; raises `RefusedError`."""
        held = self._redeemed(form.get("code", ""), self._codes)
        sign_in = held.sign_in
        if held.until_s < self.clock():
            raise RefusedError("invalid_grant", "the code has expired")
        if (form.get("client_id"), form.get("redirect_uri")) != (sign_in.client_id, sign_in.redirect_uri):
            raise RefusedError("invalid_grant", "the code was given to another client_id or redirect_uri")
        if not _proves(form.get("code_verifier", ""), sign_in.challenge):
            raise RefusedError("invalid_grant", "code_verifier does not fit the code_challenge")
        asked = [scope for scope in sign_in.scopes if scope != OPENID] or held.user.scopes
        held_scopes = tuple(scope for scope in asked if scope in held.user.scopes)
        if not held_scopes:
            raise RefusedError("invalid_scope", f"this user may have: {' '.join(held.user.scopes)}")
        granted = Granted(
            user=held.user,
            client_id=sign_in.client_id,
            scopes=held_scopes,
            identity=OPENID in sign_in.scopes,
            nonce=sign_in.nonce,
        )
        return self._renewable(granted, held.family)

    def refresh(self, form: Mapping[str, str]) -> Granted:
        """Redeem a refresh token, once: the answer has the next one. Raises `RefusedError`."""
        held = self._redeemed(form.get("refresh_token", ""), self._refreshes)
        if held.until_s < self.clock() or form.get("client_id") != held.granted.client_id:
            raise RefusedError("invalid_grant", "the refresh token has expired, or is another client's")
        return self._renewable(held.granted, held.family)

    def _checked(self, asked: Mapping[str, str], redirect_uri: str) -> SignIn:
        state = asked.get("state")
        refused = {
            "unsupported_response_type": (asked.get("response_type") != "code", "response_type must be code"),
            "invalid_request": (
                asked.get("code_challenge_method") != "S256"
                or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")),
                "PKCE is needed: code_challenge with code_challenge_method=S256",
            ),
        }
        for code, (wrong, description) in refused.items():
            if wrong:
                back = self._back(redirect_uri, state, error=code, error_description=description)
                raise RefusedError(code, description, redirect=back)
        return SignIn(
            client_id=asked["client_id"],
            redirect_uri=redirect_uri,
            state=state,
            challenge=asked["code_challenge"],
            scopes=tuple(scope for scope in asked.get("scope", "").split(" ") if scope),
            until_s=self.clock() + REQUEST_TTL_S,
            nonce=asked.get("nonce"),
        )

    def _redeemed(self, secret: str, held: dict[str, Held]) -> Held:
        """Take a code or a refresh token out, so that it works once; a second use ends all that came of it."""
        if secret in self._spent:
            self._end(self._spent[secret])
            raise RefusedError("invalid_grant", "it was used before: sign in anew")
        found = held.pop(secret, None)
        if found is None:
            raise RefusedError("invalid_grant", "there is no such code or refresh token")
        _keep(self._spent, secret, found.family)
        return found

    def _renewable(self, granted: Granted, family: str) -> Granted:
        refresh = secrets.token_urlsafe(32)
        _keep(self._refreshes, refresh, _Refresh(granted, family, self.clock() + REFRESH_TTL_S))
        return replace(granted, refresh=refresh)

    def _end(self, family: str) -> None:
        for secret in [secret for secret, held in self._refreshes.items() if held.family == family]:
            del self._refreshes[secret]

    def _absolute(self, redirect_uri: str) -> str:
        return self.issuer + redirect_uri if redirect_uri.startswith("/") else redirect_uri

    def _back(self, redirect_uri: str, state: str | None, **answer: str) -> str:
        """Return the client's address with the answer, and who gave it (RFC 9207)."""
        told = {**answer, "iss": self.issuer, **({} if state is None else {"state": state})}
        return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(told)}"


def _keep(kept: dict[str, Kept], key: str, value: Kept, *, most: int = MOST_KEPT) -> None:
    """Add an entry; the oldest go if there are more than `most`."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value


def matches(registered: str, given: str) -> bool:
    """Compare redirect URIs: letter by letter; of a loopback address any port will do (RFC 8252 section 7.3)."""
    if registered == given:
        return True
    try:
        known, asked = urlsplit(registered), urlsplit(given)
        port = asked.port
    except ValueError:
        return False
    if known.scheme != "http" or known.hostname not in LOOPBACK or known.port is not None or port is None:
        return False
    host = f"[{known.hostname}]" if ":" in known.hostname else known.hostname
    return given == f"http://{host}:{port}{known.path}"


def _proves(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)
