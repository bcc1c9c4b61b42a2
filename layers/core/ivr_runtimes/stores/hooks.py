"""botocore's event handlers without those of unused services: they take most of the time to make a session.

Owns which handlers are kept: those for all services, for ours, and for the sources of credentials. They stay
botocore's own. Called by `boto`.
"""

from typing import Final

import botocore.session
from botocore import handlers

SERVICES: Final = frozenset({"dynamodb", "sqs", "sts", "sso", "sso-oidc", "signin"})
"""Services that our sessions may make clients of: ours, and those that botocore asks for credentials."""


def new_session() -> botocore.session.Session:
    """Return a session with only the handlers that can be called."""
    session = botocore.session.Session(include_builtin_handlers=False)
    events = session.get_component("event_emitter")
    at = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for name, handler, *place in handlers.BUILTIN_HANDLERS:
        if concerns(name):
            register = at[place[0]] if place else events.register
            register(name, handler)
    return session


def concerns(event: str) -> bool:
    """Tell whether an event, `kind.service.operation`, can come from our clients; we never read documentation."""
    kind, _, rest = event.partition(".")
    return kind != "docs" and (rest.partition(".")[0] or "*") in {"*", *SERVICES}
