"""What a server of the engine protocol refuses before it looks any further, and the one shape of its errors.

Owns the rule on the Origin header: IVR scripts make HTTP calls too, and a page of a browser must not reach a server
through its user's machine; and the comparison of tokens. Errors that aiohttp answers by itself get the shape of ours.
Used by the engine side, and by the agent's servers.
"""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""The codes of what aiohttp refuses by itself."""


class RefusedError(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """Keep what the answer says."""
        super().__init__(detail)
        self.status = status
        self.code = code


def guard(
    session: Callable[[], str | None] = lambda: None,
    *,
    admit: Callable[[web.Request], None] = lambda _: None,
    origin_refused: Callable[[web.Request], None] = lambda _: None,
) -> Middleware:
    """Return the middleware of a server.

    `session` is what its errors name as the engine's, if anything; `admit` raises `RefusedError` for a request that may
    not come in; `origin_refused` is told of each with an Origin header.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            origin_refused(request)
            return _answer(403, "origin_refused", "a request with an Origin header is a script's", session())
        try:
            admit(request)
            return await handler(request)
        except RefusedError as error:
            return _answer(error.status, error.code, str(error), session())
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            detail = f"{request.method} {request.path}"
            if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                detail += f": {error.text}"
            answer = _answer(error.status, CODES.get(error.status, "bad_request"), detail, session())
            if hdrs.ALLOW in error.headers:
                answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return answer

    return guarded


def carries(request: web.Request, token: str) -> bool:
    """Tell whether the request carries the token; a header that comes twice must be right both times."""
    expected = f"Bearer {token}".encode()
    given = request.headers.getall(hdrs.AUTHORIZATION, [""])
    # surrogateescape: a header of any bytes must end in 401, not in an encoding error
    return all(hmac.compare_digest(value.encode(errors="surrogateescape"), expected) for value in given)


def _answer(status: int, code: str, detail: str, session: str | None) -> web.Response:
    named = {} if session is None else {"session": session}
    return web.json_response({"error": code, **named, "detail": detail}, status=status)
