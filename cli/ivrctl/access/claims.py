"""What an access token says, unchecked: for people to look at, never to decide by."""

import json
from typing import Any


def claims_of(token: str) -> dict[str, Any] | None:
    """Return a JWT's claims; None for a token that is none."""
    from base64 import urlsafe_b64decode  # noqa: PLC0415  # only where somebody looks

    try:
        payload = token.split(".")[1]
        found = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
