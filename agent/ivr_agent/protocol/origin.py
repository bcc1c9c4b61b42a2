"""The guard of the agent's servers: the engine kit's, and each request of a script or a page is logged.

Used by `events` and `control`.
"""

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

import ivr_engine.guard
from ivr_agent.process import say
from ivr_runtimes.identifiers import Session


def guard(session: Callable[[], Session | None] = lambda: None) -> Middleware:
    """Return the middleware of a server. `session` returns the engine's session for its errors, if known."""
    return ivr_engine.guard.guard(session, origin_refused=_tell)


def _tell(request: web.Request) -> None:
    say("origin_refused", level=logging.WARNING, about=request.remote, method=request.method, peer=request.remote)
