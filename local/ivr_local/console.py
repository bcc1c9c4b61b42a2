"""The console as it is published: which files stand where, under which headers, and its configuration.

Owns the headers that every answer of the console has, how long it may be kept, and the folder named by the hash of its
content. Here the stack's server serves it; in the cloud `delivery.console` puts the same files into the bucket, and the
template's response headers policy sets the same headers (a test compares them). Never reads a request.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
"""What is published; a file of another kind in the folder is not."""

PAGE: Final = "index.html"
CONFIG: Final = "config.json"
KEPT: Final = "public, max-age=31536000, immutable"
"""For files under a hash: another content has another address (RFC 8246)."""

ASKED_ANEW: Final = "no-cache"
"""For the page and its configuration: kept, but never used without asking whether they still hold."""

GZIP_LEAST_BYTES: Final = 1_000
"""Smaller answers are not compressed: CloudFront does not, either (page ServingCompressedFiles)."""

_LOCAL_REFERENCE: Final = re.compile(r'\b(href|src)="\./')


@dataclass(frozen=True, slots=True)
class Published:
    """A file at its address: what it is, for how long it may be kept, its bytes, and the same compressed."""

    content_type: str
    cache_control: str
    body: bytes
    packed: bytes | None = field(default=None, repr=False)

    @property
    def tag(self) -> str:
        """The entity tag of the bytes as they are: a hash."""
        return _hash(self.body)


def published(folder: Path, config: Mapping[str, Any]) -> dict[str, Published]:
    """Return all files by their paths, without the slash at the begin; the page under two names, the empty one first.

    References of the page to files beside it (`./app.js`) lead into the folder with the hash. Those of modules to each
    other are relative and hold as they are.
    """
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.suffix in TYPES}
    page = files.pop(PAGE)
    assets = f"assets/{_hash(*(name.encode() + body for name, body in files.items()))}"
    found = {f"{assets}/{name}": _file(name, body, KEPT) for name, body in files.items()}
    whole = _LOCAL_REFERENCE.sub(rf'\1="{assets}/', page.decode()).encode()
    found[CONFIG] = _file(CONFIG, json.dumps(config, indent=2).encode() + b"\n", ASKED_ANEW)
    found[""] = found[PAGE] = _file(PAGE, whole, ASKED_ANEW)
    return found


def configuration(outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what `config.json` holds, made of the outputs of the template's stack (docs/console.md)."""
    return {
        "issuer": outputs["TokenIssuer"],
        "client_id": outputs["SignInClient"],
        "audience": outputs["TokenAudiences"].split(",")[0],
        "scopes": outputs["SignInScopes"].split(","),
        "scope_stop": outputs["StopScope"],
        "scope_numbers": outputs["NumbersScope"],
        "domain_claim": outputs["TokenDomainClaim"],
        "api": "/rest/v1/uc/ivrscript_runtimes",
    }


def headers(connect: Iterable[str]) -> dict[str, str]:
    """Return the headers of all the console's answers. `connect`: URLs that it may speak to beside its own origin.

    Scripts, styles and pictures come from the console's own origin alone; nothing may frame it; no text becomes markup
    (Trusted Types, W3C).
    """
    policy = {
        "default-src": ["'self'"],
        "connect-src": ["'self'", *dict.fromkeys(map(origin, connect))],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
        "require-trusted-types-for": ["'script'"],
    }
    return {
        "Content-Security-Policy": "; ".join(" ".join((name, *values)) for name, values in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _file(name: str, body: bytes, cache_control: str) -> Published:
    packed = gzip.compress(body, mtime=0) if len(body) >= GZIP_LEAST_BYTES else None
    return Published(TYPES[Path(name).suffix], cache_control, body, packed)


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
