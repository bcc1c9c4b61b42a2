"""What a server of the engine protocol refuses first, and the one shape of its errors.

Owns the comparison of tokens and the rule on the Origin header: IVR scripts make HTTP calls too, and a web page must
not reach a server through its user's machine. aiohttp's own errors get the same shape. Used by the engine side and by
the agent's servers.
"""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""The codes for aiohttp's own refusals."""


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

    `session` returns the engine's session for its errors, if known; `admit` raises `RefusedError` for a request that is
    not allowed; `origin_refused` is called for each with an Origin header.
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
    """Tell whether the request carries the token; a repeated header must be right each time."""
    expected = f"Bearer {token}".encode()
    given = request.headers.getall(hdrs.AUTHORIZATION, [""])
    # surrogateescape: undecodable bytes must lead to 401, not to an encoding error
    return all(hmac.compare_digest(value.encode(errors="surrogateescape"), expected) for value in given)


def _answer(status: int, code: str, detail: str, session: str | None) -> web.Response:
    named = {} if session is None else {"session": session}
    return web.json_response({"error": code, **named, "detail": detail}, status=status)
