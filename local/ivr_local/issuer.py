"""The token endpoint of the embedded stack: OAuth 2.0 as an Amazon Cognito user pool grants it.

Owns the signing key, the access tokens, and the answers of `/oauth2/token` and of the two well-known documents. Never
checks a token (`authorizer` does, by the published keys). Clients with a secret get tokens by their credentials, public
ones by what `authorization` holds: codes and refresh tokens. The server calls it.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ivr_local.authorization import Authorization, Granted, RefusedError
from ivr_local.fleet import ClientConfig

TOKEN_TTL_S: Final = 3600
"""How long an access token is valid: Cognito's default."""

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105  # a path, not a password
GRANTS: Final[dict[str, tuple[str, ...]]] = {
    "client_credentials": (),
    "authorization_code": ("code", "client_id", "redirect_uri", "code_verifier"),
    "refresh_token": ("refresh_token", "client_id"),
}
"""The grants, and the parameters that each needs."""

AUTHORIZE_PATH: Final = "/oauth2/authorize"
SIGN_OUT_PATH: Final = "/oauth2/logout"
JWKS_PATH: Final = "/.well-known/jwks.json"
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An answer of the token endpoint: status, JSON body, and headers that forbid caching."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An OpenID Connect issuer for the clients of a fleet. `clock` yields epoch seconds."""

    url: str
    audience: str
    clients: Mapping[str, ClientConfig]
    authorization: Authorization | None = None
    """Where users sign in; without it there are only clients with a secret."""
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    clock: Callable[[], float] = time.time

    @property
    def key_id(self) -> str:
        """The key's thumbprint (RFC 7638)."""
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        text = json.dumps({name: jwk[name] for name in ("e", "kty", "n")}, separators=(",", ":"))
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

    def jwks(self) -> dict[str, Any]:
        """Return the published keys (RFC 7517)."""
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {
            "keys": [{"kty": "RSA", "e": jwk["e"], "n": jwk["n"], "kid": self.key_id, "use": "sig", "alg": "RS256"}]
        }

    def discovery(self) -> dict[str, Any]:
        """Return the OpenID Connect discovery document."""
        document: dict[str, Any] = {
            "issuer": self.url,
            "token_endpoint": self.url + TOKEN_PATH,
            "jwks_uri": self.url + JWKS_PATH,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "scopes_supported": sorted({scope for client in self.clients.values() for scope in client.scopes}),
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        if self.authorization is None:
            return document
        return document | {
            "authorization_endpoint": self.url + AUTHORIZE_PATH,
            "end_session_endpoint": self.url + SIGN_OUT_PATH,
            "grant_types_supported": list(GRANTS),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def pem(self) -> bytes:
        """Return the private key, for tests that need tokens which this issuer would never sign."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def mint(self, client: ClientConfig, scopes: tuple[str, ...]) -> str:
        """Sign an access token for a client."""
        return self._signed(subject=client.id, client_id=client.id, domain=client.domain, scopes=scopes)

    def _signed(self, *, subject: str, client_id: str, domain: str, scopes: tuple[str, ...]) -> str:
        now_s = int(self.clock())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": self.audience,
            "client_id": client_id,
            "token_use": "access",
            "scope": " ".join(scopes),
            "domain": domain,
            "iat": now_s,
            "exp": now_s + TOKEN_TTL_S,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def grant(self, authorizations: Sequence[str], form: bytes) -> TokenAnswer:
        """Answer a token request: its Authorization headers and its form body (RFC 6749 sections 4.4 and 5)."""
        try:
            fields = _fields(form, public=self.authorization is not None)
            if fields["grant_type"] != "client_credentials":
                return self._by_user(fields)
            client = self._client(authorizations)
            scopes = _granted(client, fields)
        except _GrantError as error:
            return error.answer()
        except RefusedError as refused:
            return _GrantError(refused.code, str(refused)).answer()
        return _bearer(self.mint(client, scopes), scopes)

    def _by_user(self, fields: Mapping[str, str]) -> TokenAnswer:
        """Answer a public client: it has no secret, but a code and its verifier, or a refresh token."""
        if self.authorization is None:
            raise _GrantError("unsupported_grant_type", "use client_credentials")
        by_code = fields["grant_type"] == "authorization_code"
        redeem = self.authorization.exchange if by_code else self.authorization.refresh
        granted = redeem(fields)
        token = self._signed(
            subject=granted.user.id, client_id=granted.client_id, domain=granted.user.domain, scopes=granted.scopes
        )
        identity = {"id_token": self._identity(granted)} if by_code and granted.identity else {}
        return _bearer(token, granted.scopes, refresh_token=granted.refresh, **identity)

    def _identity(self, granted: Granted) -> str:
        """Sign an id token (OpenID Connect Core section 2)."""
        now_s = int(self.clock())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": granted.user.id,
            "aud": granted.client_id,
            "name": granted.user.name,
            "iat": now_s,
            "exp": now_s + TOKEN_TTL_S,
            **({} if granted.nonce is None else {"nonce": granted.nonce}),
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def _client(self, authorizations: Sequence[str]) -> ClientConfig:
        if len(authorizations) > 1:  # section 5.2: "includes multiple credentials"
            raise _GrantError("invalid_request", "Authorization is repeated")
        client_id, secret = _basic("".join(authorizations))
        client = self.clients.get(client_id)
        # An unknown client costs the same comparison, so that response times do not show which ids exist.
        expected = client.secret if client else secrets.token_urlsafe()
        if not hmac.compare_digest(secret.encode(), expected.encode()) or client is None:
            raise _GrantError("invalid_client", "unknown client or wrong secret", status=401)
        return client


class _GrantError(Exception):
    """An error of RFC 6749 section 5.2."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.status = status

    def answer(self) -> TokenAnswer:
        challenge = {"WWW-Authenticate": 'Basic realm="token", charset="UTF-8"'} if self.status == 401 else {}
        return _answer(self.status, {"error": self.code, "error_description": str(self)}, challenge)


def _answer(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> TokenAnswer:
    return TokenAnswer(status, body, {"Cache-Control": "no-store", "Pragma": "no-cache", **(headers or {})})


def _bearer(token: str, scopes: tuple[str, ...], **more: str) -> TokenAnswer:
    body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_TTL_S, "scope": " ".join(scopes)}
    return _answer(200, {**body, **more})


def _fields(form: bytes, *, public: bool) -> dict[str, str]:
    try:
        pairs = parse_qsl(form.decode("utf-8"), strict_parsing=True, errors="strict") if form else []
    except ValueError:  # not a form, or not UTF-8
        raise _GrantError("invalid_request", "the body is not application/x-www-form-urlencoded") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _GrantError("invalid_request", "a parameter is repeated")
    if "grant_type" not in fields:
        raise _GrantError("invalid_request", "grant_type is missing; use client_credentials")
    known = list(GRANTS) if public else ["client_credentials"]
    if fields["grant_type"] not in known:
        raise _GrantError("unsupported_grant_type", f"use {' or '.join(known)}")
    if missing := [name for name in GRANTS[fields["grant_type"]] if name not in fields]:
        raise _GrantError("invalid_request", f"{missing[0]} is missing")
    return fields


def _basic(authorization: str) -> tuple[str, str]:
    """Return id and secret of HTTP Basic, each form-decoded (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _GrantError("invalid_client", "authenticate with HTTP Basic: client id and secret", status=401)
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:  # no Base64, not even ASCII, or no UTF-8 in it
        raise _GrantError("invalid_client", "the Basic credentials cannot be decoded", status=401) from None
    if not colon:
        raise _GrantError("invalid_client", "the Basic credentials have no secret", status=401)
    return unquote_plus(client_id), unquote_plus(secret)


def _granted(client: ClientConfig, fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the scopes that were asked for; if none were, all of the client's (RFC 6749 section 3.3)."""
    asked = tuple(dict.fromkeys(fields.get("scope", "").split(" "))) if fields.get("scope") else client.scopes
    if not set(asked) <= set(client.scopes):
        raise _GrantError("invalid_scope", f"this client may have: {' '.join(client.scopes)}")
    return asked
