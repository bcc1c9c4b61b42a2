"""Who calls: the domain, the subject and the scopes, taken only from the verified claims of the caller's token.

API Gateway's JWT authorizer verified the token before the function was invoked; its claims arrive as strings in
`requestContext.authorizer.jwt.claims` (AWS: "Working with AWS Lambda proxy integrations for HTTP APIs", payload 2.0).
Without a usable domain claim the request is refused, whatever invoked the function (docs/api.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ivr_runtimes.echo import show
from ivr_runtimes.errors import DomainClaimError, Fault
from ivr_runtimes.http.event import found_at, kind_of
from ivr_runtimes.identifiers import Domain, fold_domain

SUBJECT_LENGTH: Final = 256
"""How many characters of a subject go into commands and logs."""

NULL: Final = "<nil>"
"""How API Gateway writes a claim that is null."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant, who acts for it, and the scopes of the token. The subject is empty if the token names nobody."""

    domain: Domain
    subject: str
    scopes: frozenset[str] = frozenset()

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
    return Caller(domain=domain, subject=_subject(claims.get("sub")), scopes=_scopes(claims))


def _subject(value: object) -> str:
    """Return a `sub` claim that is safe in messages and logs: characters that are not printable are replaced.

    SQS refuses some of them, and terminals would act on others. Empty if the claim is missing, null, blank or no text.
    """
    if not isinstance(value, str) or value == NULL or not value.strip():
        return ""
    return "".join(character if character.isprintable() else "\ufffd" for character in value[:SUBJECT_LENGTH])


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the token's scopes: claim `scope`, else `scp`, as API Gateway reads them; a list arrives as `[a b]`.

    The event's own `scopes` are not read: what they hold beside the route's scope is not documented.
    """
    held = claims.get("scope", claims.get("scp"))
    if not isinstance(held, str) or held == NULL:
        return frozenset()
    if held.startswith("[") and held.endswith("]"):
        held = held[1:-1]
    return frozenset(scope for scope in held.split(" ") if scope)


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
    """Describe a wrong claim. API Gateway passes lists, objects and null as text."""
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
