"""Login on another device (RFC 8628), where the issuer announces it.

Owns the request and the asking again until somebody has signed in elsewhere.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from ivrctl.access.grants import GrantError, Token, discovered, endpoint, granted, posted
from ivrctl.errors import AuthError, FailedError, UsageError
from ivrctl.http import failure
from ivrctl.profiles import Profile

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

DEFAULT_INTERVAL_S: Final = 5.0
SLOWER_S: Final = 5.0
"""By how much the pause grows when the issuer says `slow_down` (RFC 8628 section 3.5)."""


def login(
    profile: Profile, *, timeout_s: float, show: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> Token:
    """Have somebody sign in elsewhere with the code that `show` is given; raises `AuthError`."""
    where = endpoint(discovered(profile), "device_authorization_endpoint", profile)
    asked = {"client_id": profile.client_id, **({"scope": profile.scopes} if profile.scopes else {})}
    answer = posted(where, asked, {})
    if answer.status != 200:
        raise failure(answer)
    told = answer.problem() or {}
    code, interval_s = _sound(told), float(told.get("interval", DEFAULT_INTERVAL_S))
    show(f"{told.get('verification_uri_complete') or told['verification_uri']}   code: {told['user_code']}")
    until_s = time.monotonic() + min(timeout_s, float(told.get("expires_in", timeout_s)))
    while time.monotonic() < until_s:
        pause(interval_s)
        try:
            return granted(profile, {"grant_type": GRANT, "device_code": code})
        except GrantError as error:
            if error.grant_code not in ("authorization_pending", "slow_down"):
                raise
            interval_s += SLOWER_S if error.grant_code == "slow_down" else 0
    raise UsageError("nobody signed in", remedy="begin anew")


def _sound(told: dict[str, Any]) -> str:
    code = told.get("device_code")
    if not isinstance(code, str) or not told.get("user_code") or not told.get("verification_uri"):
        raise FailedError("the issuer's answer has no device code in it")
    if not str(told["verification_uri"]).startswith("https://"):
        raise AuthError("the issuer's sign-in page is not https", remedy="use another issuer")
    return code
