"""Access: how a token is had, kept and renewed.

Owns the grants of OAuth 2.0 and the cache of tokens, readable by its owner alone. Never shows a token.
"""

from collections.abc import Callable

from ivrctl.access.cache import read as read_cached
from ivrctl.access.cache import write as write_cached
from ivrctl.access.claims import claims_of
from ivrctl.access.grants import Token, by_secret, discovered
from ivrctl.access.tokens import Tokens
from ivrctl.profiles import Profile

__all__ = [
    "Token",
    "Tokens",
    "by_browser",
    "by_device",
    "by_secret",
    "claims_of",
    "discovered",
    "read_cached",
    "write_cached",
]


def by_browser(profile: Profile, *, timeout_s: float, show: Callable[[str], None]) -> Token:
    """Log in on the issuer's page in a browser."""
    from ivrctl.access.browser import login  # noqa: PLC0415  # an HTTP server, for a login alone

    return login(profile, timeout_s=timeout_s, show=show)


def by_device(profile: Profile, *, timeout_s: float, show: Callable[[str], None]) -> Token:
    """Log in on another device."""
    from ivrctl.access.device import login  # noqa: PLC0415  # for a login alone

    return login(profile, timeout_s=timeout_s, show=show)
