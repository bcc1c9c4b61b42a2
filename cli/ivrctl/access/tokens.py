"""The profile's token: from the cache while it is valid, renewed before it expires, fetched anew when it is refused.

Owns when a token counts as expired, and which cached one belongs to which profile. One object serves all threads of a
command. `get` is called before each request, `refused` after a 401.
"""

import os
import time
from collections.abc import Callable
from threading import RLock
from typing import Final

from ivrctl.access import cache
from ivrctl.access.grants import GrantError, Token, by_secret, granted
from ivrctl.errors import AuthError, UsageError
from ivrctl.profiles import Profile

EARLY_S: Final = 30.0
"""How long before its end a token is renewed: longer than a request lasts."""


class Tokens:
    """The tokens of a profile. `clock` yields seconds since 1970."""

    def __init__(self, profile: Profile, *, clock: Callable[[], float] = time.time) -> None:
        self._profile = profile
        self._clock = clock
        self._lock = RLock()
        self._held = Token(profile.token, float("inf")) if profile.token else None

    @property
    def file(self) -> str:
        """Where the profile's token is cached: one file for each issuer, client, scopes and way to log in."""
        from hashlib import sha256  # noqa: PLC0415  # a few milliseconds, not for --help

        profile = self._profile
        told = "\n".join((profile.issuer, profile.client_id, profile.login, profile.scopes, profile.audience))
        return os.path.join(profile.cache, "tokens", f"{sha256(told.encode()).hexdigest()[:32]}.json")

    def get(self) -> str:
        """Return a valid access token; raises `AuthError` if none can be had without a person."""
        with self._lock:
            if self._held is None or self._held.expires_at_s - EARLY_S <= self._clock():
                cached = self.cached()
                fresh = cached is not None and cached.expires_at_s - EARLY_S > self._clock()
                self._held = cached if fresh else self._renewed(cached)
            return self._held.access if self._held else ""

    def refused(self, access: str) -> bool:
        """Forget a token that the API refused; return whether another one may be had."""
        with self._lock:
            if self._profile.token:
                return False
            if self._held is not None and self._held.access == access:
                self._held = self._renewed(self.cached())
            return True

    def keep(self, token: Token) -> None:
        """Take over a token, in the cache, too."""
        self._held = token
        cache.write(self.file, token._asdict())

    def cached(self) -> Token | None:
        """Return what the cache has, expired or not."""
        found = cache.read(self.file) or {}
        access, expires_at_s, refresh = (found.get(name) for name in Token._fields)
        if not isinstance(access, str) or not isinstance(expires_at_s, int | float):
            return None
        return Token(access, float(expires_at_s), refresh if isinstance(refresh, str) else None)

    def forget(self) -> bool:
        """Remove the cached token; return whether there was one."""
        self._held = None
        try:
            os.unlink(self.file)
        except OSError:
            return False
        return True

    def _renewed(self, cached: Token | None) -> Token:
        profile = self._profile
        if not profile.client_id:
            raise UsageError(f"profile {profile.name}: has no client_id", remedy="set it there, or IVRCTL_CLIENT_ID")
        if profile.login == "client":
            token = by_secret(profile)
        elif cached is not None and cached.refresh is not None:
            token = self._by_refresh(cached.refresh)
        else:
            raise AuthError(f"profile {profile.name}: nobody is logged in", remedy=f"run `ivrctl login{self._named()}`")
        self.keep(token)
        return token

    def _by_refresh(self, refresh: str) -> Token:
        try:
            token = granted(self._profile, {"grant_type": "refresh_token", "refresh_token": refresh})
        except GrantError as error:
            raise AuthError(
                f"the login has ended: {error.detail}", remedy=f"run `ivrctl login{self._named()}`"
            ) from None
        return token if token.refresh else token._replace(refresh=refresh)

    def _named(self) -> str:
        return "" if self._profile.name == "local" else f" --profile {self._profile.name}"
