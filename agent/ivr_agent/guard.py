"""What every server of the agent refuses before it looks any further.

Owns the rule on the Origin header: IVR scripts make HTTP calls too, and a page of a browser must not reach the agent
through its user's machine. Used by `events` and `control`.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web


@web.middleware
async def refuse_browsers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer 403 to any request with an Origin header."""
    if "Origin" in request.headers:
        raise web.HTTPForbidden(text='{"error": "origin_refused"}', content_type="application/json")
    return await handler(request)
