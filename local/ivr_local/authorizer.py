"""The JWT authorizer of an HTTP API: lets a request through, or says how API Gateway would refuse it.

Owns the checks of the page "Control access to HTTP APIs with JWT authorizers in API Gateway" (http-api-jwt-authorizer)
and the refusals of "Troubleshooting issues with HTTP API JWT authorizers" (http-api-troubleshooting-jwt). Never
fetches anything: it is given the issuer's published keys. The gateway calls it once per request.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from ivr_local.template import Authorizer

ALGORITHMS: Final = ("RS256",)
"""The page says "only RSA-based algorithms". The local issuer signs with this one, so others are refused."""

CLAIM_NAMES: Final = ("exp", "nbf", "iat")


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorized request: the token's claims as they are written in it, and its scopes."""

    claims: Mapping[str, Any]
    scopes: tuple[str, ...]


@dataclass(slots=True)
class AuthorizationError(Exception):
    """A refused request: status 401 or 403, the message of the body, the WWW-Authenticate header."""

    status: int
    message: str
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAuthorizer:
    """Checks tokens against an authorizer's configuration and a JWKS document. `clock` yields epoch seconds."""

    config: Authorizer
    jwks: Mapping[str, Any]
    clock: Callable[[], float] = time.time
    _keys: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        keys = jwt.PyJWKSet.from_dict(dict(self.jwks)).keys
        object.__setattr__(self, "_keys", {key.key_id: key.key for key in keys})

    def authorize(self, authorization: str | None, scopes: tuple[str, ...]) -> Grant:
        """Check an Authorization header for a route that needs any one of `scopes`; raises `AuthorizationError`."""
        if not authorization:
            raise AuthorizationError(401, "Unauthorized", "Bearer")
        try:
            claims = self._verified(_token(authorization))
            self._check_issuer_and_audience(claims)
            self._check_times(claims)
        except jwt.PyJWTError as error:
            raise AuthorizationError(401, "Unauthorized", _challenge(scopes, "invalid_token", str(error))) from None
        held = scopes_of(claims)
        if scopes and not set(scopes) & set(held):
            why = "the token does not have a scope that the route requires"
            raise AuthorizationError(403, "Forbidden", _challenge(scopes, "insufficient_scope", why))
        return Grant(claims, held)

    def _verified(self, token: str) -> dict[str, Any]:
        """Check key, algorithm and signature: "the token must have a header claim that matches the key"."""
        key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise jwt.InvalidTokenError("the token is not signed with a key of the issuer")
        # The claims are checked below, with our clock and API Gateway's rule for aud and client_id.
        options: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
        try:
            return jwt.decode(token, key, algorithms=list(ALGORITHMS), options=options)
        except jwt.InvalidSignatureError:
            raise jwt.InvalidSignatureError("the signature of the token is invalid") from None

    def _check_issuer_and_audience(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self.config.issuer:
            raise jwt.InvalidIssuerError("the token does not have a valid issuer")
        # "API Gateway validates client_id only if aud is not present."
        audience = claims["aud"] if "aud" in claims else claims.get("client_id")
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and one in self.config.audience for one in named):
            raise jwt.InvalidAudienceError("the token does not have a valid audience")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """Check exp ("must be after the current time"), nbf and iat ("must be before")."""
        for name in CLAIM_NAMES:
            if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
                raise jwt.DecodeError(f"the token's {name} is not a number")
        now_s = self.clock()
        if "exp" not in claims or claims["exp"] <= now_s:
            raise jwt.ExpiredSignatureError("the token has expired")
        # Token times are whole seconds: a token is valid in the second in which it was made.
        if any(name in claims and claims[name] > int(now_s) for name in ("nbf", "iat")):
            raise jwt.ImmatureSignatureError("the token is not yet valid")


def scopes_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the token's scopes: claim `scope`, else `scp`; a string separated by spaces, or an array."""
    held = claims.get("scope", claims.get("scp"))
    if isinstance(held, str):
        return tuple(scope for scope in held.split(" ") if scope)  # only spaces separate (RFC 6749 section 3.3)
    return tuple(one for one in held if isinstance(one, str)) if isinstance(held, list) else ()


def _token(authorization: str) -> str:
    """Return the token: "The identitySource can include only the token, or the token prefixed with Bearer"."""
    prefix, space, token = authorization.partition(" ")
    return token.strip(" ") if space and prefix.lower() == "bearer" else authorization


def _challenge(scopes: tuple[str, ...], error: str, description: str) -> str:
    # The shape is the page's example; of the descriptions only that of a wrong audience is documented.
    text = description.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'")
    return f'Bearer scope="{" ".join(scopes)}" error="{error}" error_description="{text}"'
