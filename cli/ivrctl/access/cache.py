"""Files of our own under the user's cache: tokens, and the names that completion offers.

Owns their modes (0600, in folders of 0700) and that a reader sees a whole file or none. A file that cannot be read
counts as absent: a cache never fails a command.
"""

import json
import os
from collections.abc import Mapping
from typing import Any


def read(file: str) -> dict[str, Any] | None:
    """Return a cached document; None if there is none, or if others than its owner may read or write it."""
    try:
        with open(file, "rb") as opened:
            state = os.fstat(opened.fileno())
            if state.st_uid != os.getuid() or state.st_mode & 0o077:
                return None
            found = json.loads(opened.read())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write(file: str, document: Mapping[str, Any]) -> bool:
    """Replace a cached document; return whether that was possible."""
    fresh = f"{file}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
            json.dump(document, opened)
        os.replace(fresh, file)
    except OSError:
        return False
    return True
