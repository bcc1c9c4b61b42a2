"""What every server of the agent refuses before it looks any further, and the one shape of its errors.

Owns the rule on the Origin header: IVR scripts make HTTP calls too, and a page of a browser must not reach the agent
through its user's machine. Errors that aiohttp answers by itself get the shape of ours. Used by `events` and `control`.
"""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from ivr_agent.log import say
from ivr_agent.protocol import AgentProblem
from ivr_runtimes.errors import IvrRuntimesError
from ivr_runtimes.identifiers import Session

CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""The codes of what aiohttp refuses by itself."""


class RefusedError(IvrRuntimesError):
    """The request is answered with an error."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """Keep what the answer says."""
        super().__init__(detail)
        self.status = status
        self.code = code


def guard(session: Callable[[], Session | None] = lambda: None) -> Middleware:
    """Return the middleware of a server. `session` is what its errors name as the engine's, if anything."""

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if "Origin" in request.headers:
            say(
                "origin_refused",
                level=logging.WARNING,
                about=request.remote,
                method=request.method,
                peer=request.remote,
            )
            return _answer(403, "origin_refused", "a request with an Origin header is a script's", session())
        try:
            return await handler(request)
        except RefusedError as error:
            return _answer(error.status, error.code, str(error), session())
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            answer = _answer(error.status, CODES.get(error.status, "bad_request"), error.text or "", session())
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer

    return guarded


def _answer(status: int, code: str, detail: str, session: Session | None) -> web.Response:
    body = AgentProblem(error=code, session=session, detail=detail).model_dump_json(exclude_none=True)
    return web.Response(status=status, text=body, content_type="application/json")
