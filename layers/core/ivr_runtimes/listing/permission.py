"""Who may ask for personal data: the numbers, which take a scope beside the one of the route (docs/query.md).

Owns the refusal. A query that names no personal field needs no permission, and rows read for it have none. Called by
the list function, before anything is read.
"""

from collections.abc import Collection

from ivr_runtimes.errors import Fault, InsufficientScopeError
from ivr_runtimes.query import ListQuery


def permit(query: ListQuery, held: Collection[str], *, scope: str) -> None:
    """Let a query through if it names no personal field, or the `held` scopes have the one that is needed.

    Raises `InsufficientScopeError`, which names that scope and how to get it.
    """
    if scope in held or not (personal := query.personal):
        return
    faults = tuple(_fault(place, ", ".join(names), scope) for place, names in personal.items())
    named = "; ".join(f"{fault.place} {fault.message}" for fault in faults)
    raise InsufficientScopeError(f"{named}. That is personal data: the access token must carry {scope}.", faults=faults)


def _fault(place: str, names: str, scope: str) -> Fault:
    remedy = f"have the issuer of your tokens grant your client the scope {scope}, and ask for it with the token"
    return Fault(place=place, message=f"names {names}", remedy=f"{remedy}; or leave {names} out")
