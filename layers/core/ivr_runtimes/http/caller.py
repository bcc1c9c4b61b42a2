"""Who calls: the domain and the subject, from the verified claims of the caller's token and from nowhere else.

API Gateway's JWT authorizer verified the token before the function was invoked; its claims arrive as strings in
`requestContext.authorizer.jwt.claims` (AWS: "Working with AWS Lambda proxy integrations for HTTP APIs", payload 2.0).
Without a usable domain claim there is no answer, whatever invoked the function (docs/api.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ivr_runtimes.echo import show
from ivr_runtimes.errors import DomainClaimError, Fault
from ivr_runtimes.http.event import found_at, kind_of
from ivr_runtimes.names import Domain, fold_domain

SUBJECT_LENGTH: Final = 256
"""How much of a subject travels with a command and into logs."""

NULL: Final = "<nil>"
"""How API Gateway writes a claim that is null."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant that is served, and who acts for it; the subject is empty where the token names nobody."""

    domain: Domain
    subject: str

    @property
    def anonymous(self) -> bool:
        """Tell whether the token named nobody."""
        return not self.subject


def caller_of(event: Mapping[str, Any], *, domain_claim: str) -> Caller:
    """Return the caller of an HTTP API event; raises `DomainClaimError` unless the claim names exactly one domain."""
    claims = _claims(event)
    value = claims.get(domain_claim)
    domain = fold_domain(value) if isinstance(value, str) else None
    if domain is None:
        raise _no_domain(domain_claim, claims)
    return Caller(domain=domain, subject=_subject(claims.get("sub")))


def _subject(value: object) -> str:
    """Return a `sub` claim fit for messages and logs, which SQS would refuse and terminals obey otherwise.

    Whatever does not print is replaced. Empty for none: missing, null, blank, or no text at all.
    """
    if not isinstance(value, str) or value == NULL or not value.strip():
        return ""
    return "".join(character if character.isprintable() else "\ufffd" for character in value[:SUBJECT_LENGTH])


def _no_domain(name: str, claims: Mapping[str, Any]) -> DomainClaimError:
    fault = Fault(
        place=f"claim {name}",
        message=_described(claims[name]) if name in claims else "is missing",
        remedy="have the issuer of your tokens put the name of one domain into it, as a plain string",
    )
    return DomainClaimError(
        f"The access token must carry the claim '{name}' with the name of exactly one domain, but the claim"
        f" {fault.message}.",
        faults=(fault,),
    )


def _described(value: object) -> str:
    """Say in which shape a claim came: API Gateway writes lists, objects and null as text."""
    if not isinstance(value, str):
        return f"came as {kind_of(value)}, not as text"
    if value == NULL:
        return "is null"
    if not value.strip():
        return "is empty"
    if value.startswith("[") and value.endswith("]"):
        return f"is a list, which API Gateway hands on as {show(value)}"
    if value.startswith("map["):
        return f"is an object, which API Gateway hands on as {show(value)}"
    return f"is {show(value)}, which is not the name of one domain"


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found = found_at(event, "requestContext", "authorizer", "jwt", "claims")
    return found if isinstance(found, Mapping) else {}
