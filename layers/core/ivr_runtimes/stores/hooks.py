"""botocore's own event handlers, without those of services that nothing here calls: most of a session's making.

Owns which are left: those for all services, for ours, and for the sources of credentials. The handlers stay botocore's.
Called by `boto`.
"""

from typing import Final

import botocore.session
from botocore import handlers

SERVICES: Final = frozenset({"dynamodb", "sqs", "sts", "sso", "sso-oidc", "signin"})
"""Services whose clients a session of ours may make: ours, and those that botocore asks for credentials."""


def new_session() -> botocore.session.Session:
    """Return a session with the handlers that can ever be called."""
    session = botocore.session.Session(include_builtin_handlers=False)
    events = session.get_component("event_emitter")
    at = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for name, handler, *place in handlers.BUILTIN_HANDLERS:
        if concerns(name):
            register = at[place[0]] if place else events.register
            register(name, handler)
    return session


def concerns(event: str) -> bool:
    """Tell whether an event, `kind.service.operation`, can come from our clients; documentation is never asked for."""
    kind, _, rest = event.partition(".")
    return kind != "docs" and (rest.partition(".")[0] or "*") in {"*", *SERVICES}
