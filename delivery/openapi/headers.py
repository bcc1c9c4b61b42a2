"""The headers that the functions read, and those of their answers."""

from typing import Final

from delivery.openapi.schema import Json
from ivr_runtimes.command import REASON_LENGTH
from ivr_runtimes.http.response import COMMON_HEADERS
from ivr_runtimes.identifiers import KEY_PATTERN, SITE_PATTERN, STOP_ID_PATTERN
from ivr_runtimes.listing.paging import EXACT_COUNT
from ivr_runtimes.stopping.outcome import StopOutcome
from ivr_runtimes.stopping.reason import STOP_REASON
from ivr_runtimes.stopping.request import IDEMPOTENCY_KEY, MAX_WAIT_S


def _read(name: str, words: str, example: str, **schema: str | int) -> Json:
    shape = {"type": "string", **schema}
    return {"name": name, "in": "header", "description": words, "schema": shape, "example": example}


OF_A_LIST: Final = (
    _read("Prefer", f"`{EXACT_COUNT}` asks for `X-Total-Count`. All others are ignored (RFC 7240).", EXACT_COUNT),
    _read("Accept-Encoding", "An answer of 16 KiB and more is compressed if this names `gzip` (RFC 9110).", "gzip"),
)
"""What a list reads."""

OF_A_STOP: Final = (
    _read(
        IDEMPOTENCY_KEY,
        "Names this stop, so that a repeat of the request is recognised: send one, a new one for each stop you mean."
        " With quotes or without it is one key, and so is the same key twice; different ones are refused.",
        "8d1b2f0c-6f0e-4a7e-9a51-3c8f3f6f0a11",
        pattern=KEY_PATTERN,
    ),
    _read(
        "Prefer",
        f"`wait=N` (1 to {MAX_WAIT_S} seconds) answers once the stop has taken effect, or after N seconds, with"
        " `Stop-Outcome`. Other preferences are ignored (RFC 7240).",
        "wait=5",
    ),
    _read(
        STOP_REASON,
        f"Why it is stopped, for the logs: 1 to {REASON_LENGTH} characters, all but printable ASCII percent-encoded as"
        " UTF-8, `%` as `%25`.",
        "Queue is closed",
        minLength=1,
        pattern=r"^[ -~]+$",
    ),
)
"""What a stop reads."""


def _told(words: str, example: str | int, *, required: bool = False, **schema: object) -> Json:
    shape = {"type": "integer" if isinstance(example, int) else "string", **schema}
    return {"description": words, "required": required, "schema": shape, "example": example}


_NODES: Final = rf"{SITE_PATTERN[1:-1]}=\d+/\d+"

COMMON: Final = {
    "Cache-Control": _told("Nothing may be stored.", COMMON_HEADERS["cache-control"], required=True),
    "X-Content-Type-Options": _told("The type is as said.", COMMON_HEADERS["x-content-type-options"], required=True),
}
"""Of both answers of the functions."""

LISTED: Final = COMMON | {
    "Vary": _told("What the answer depends on, beside the URL.", "accept-encoding", required=True),
    "Content-Encoding": _told("Whether the body is compressed.", "gzip", enum=["gzip"]),
    "Site-Nodes": _told(
        "Live and known nodes of each site: `0/2` means that runtimes there are not in this answer.",
        "SITE1=2/2, SITE2=0/2",
        required=True,
        pattern=rf"^{_NODES}(, {_NODES})*$",
    ),
    "Link": _told(
        "The next page, with `limit` in start order while others follow. The reference is a query, to be resolved"
        " against the URL asked (RFC 8288).",
        '<?limit=100&after=5OeOwTEr>; rel="next"',
        pattern=r'^<\?[^>]+>; rel="next"$',
    ),
    "X-Total-Count": _told(f"How many match the filter, if `Prefer: {EXACT_COUNT}` asked.", 1234, minimum=0),
    "Preference-Applied": _told("The preference that was followed.", EXACT_COUNT, const=EXACT_COUNT),
}
"""Of a list."""

STOP_ID: Final = _told(
    "The stop's id: the key, or one made for it. To repeat the stop, send it as the key.",
    "8d1b2f0c-6f0e-4a7e-9a51-3c8f3f6f0a11",
    pattern=STOP_ID_PATTERN,
)

STOPPED: Final = COMMON | {
    "Stop-Request-Id": STOP_ID | {"required": True},
    "Stop-Outcome": _told(
        "With `Prefer: wait=N`, what became of the stop. `ended`: the runtime has ended. `post_processing`: its branch"
        " for External Stop runs. `already_stopping`: that branch runs for an earlier stop. `pending`: accepted, and"
        " nothing seen of it yet: ask again with the same key.",
        "ended",
        enum=[outcome.value for outcome in StopOutcome],
    ),
    "Preference-Applied": _told("The preference that was followed.", "wait=5", pattern=rf"^wait=[1-{MAX_WAIT_S}]$"),
}
"""Of a stop."""

RETRY_AFTER: Final = _told("When to repeat, in seconds.", 5, minimum=0)
CHALLENGE: Final = _told("What the token lacks (RFC 6750).", 'Bearer scope="" error="invalid_token"')
