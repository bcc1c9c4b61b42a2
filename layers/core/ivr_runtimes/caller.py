"""Who calls: the domain and the subject, from the verified claims of the caller's token and from nowhere else.

API Gateway's JWT authorizer verified the token before the function was invoked; its claims arrive as strings in
`requestContext.authorizer.jwt.claims` (AWS: "Working with AWS Lambda proxy integrations for HTTP APIs", payload 2.0).
Without a usable domain claim there is no answer, whatever invoked the function (DESIGN section 8).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ivr_runtimes.errors import DomainClaimError
from ivr_runtimes.event import found_at
from ivr_runtimes.names import Domain, fold_domain

SUBJECT_LENGTH: Final = 256
"""How much of a subject travels with a command and into logs."""


UNSENDABLE: Final = dict.fromkeys(
    [*range(9), 0xB, 0xC, *range(0xE, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"
)
"""What SQS does not take in a message (SQS API reference, SendMessage), for `str.translate`: the rest of Unicode it
does. A regular expression of these takes 5 ms to compile, at every cold start."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that is served, and who acts for it."""

    domain: Domain
    subject: str


def caller_of(event: Mapping[str, Any], *, domain_claim: str) -> Caller:
    """Return the caller of an HTTP API event; raises `DomainClaimError` unless the claim names exactly one domain."""
    claims = _claims(event)
    domain = fold_domain(value) if isinstance(value := claims.get(domain_claim), str) else None
    if domain is None:
        raise DomainClaimError(
            f"The access token must carry the claim '{domain_claim}' with the name of exactly one domain. "
            "Ask whoever issues your tokens to add it."
        )
    subject = str(claims.get("sub", ""))[:SUBJECT_LENGTH].translate(UNSENDABLE)
    return Caller(domain=domain, subject=subject)


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = found_at(event, "requestContext", "authorizer", "jwt", "claims")
    return found if isinstance(found, Mapping) else {}
