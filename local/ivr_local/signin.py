"""The page on which one picks a sample user, and the HTTP of the authorization endpoint.

Owns the HTML and its headers. There is no password: everything here exists on this machine only. `authorization` has
the rules.
"""

import html
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from ivr_local.authorization import Authorization, RefusedError, SignIn
from ivr_local.issuer import AUTHORIZE_PATH, SIGN_OUT_PATH

COOKIE: Final = "ivr_local_user"
"""Remembers who was picked, so that a page loaded anew need not ask. It proves nothing: anybody may pick anybody."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in to the local stack</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }}
button {{ font: inherit; display: block; width: 100%; text-align: left; padding: .6rem 1rem; margin: .5rem 0 }}
small {{ color: #555 }}</style></head>
<body><h1>{title}</h1>{body}</body></html>
"""


def routes(authorization: Authorization) -> list[web.RouteDef]:
    """Return the endpoint's routes: GET shows the page, POST takes the choice."""

    async def show(request: web.Request) -> web.Response:
        try:
            asked = _once(request.rel_url.raw_query_string)
            request_id, sign_in = authorization.begin(asked)
            known = authorization.remembered(request_id, request.cookies.get(COOKIE, ""), asked.get("prompt", ""))
        except RefusedError as refused:
            return _refused(refused)
        if known is not None:
            return web.Response(status=303, headers={**HEADERS, "Location": known})
        return _page("Who are you?", _choices(authorization, request_id, sign_in))

    async def choose(request: web.Request) -> web.Response:
        try:
            chosen = _once((await request.read()).decode("utf-8", "replace"))
            location = authorization.choose(chosen.get("request", ""), chosen.get("user", ""))
        except RefusedError as refused:
            return _refused(refused)
        answer = web.Response(status=303, headers={**HEADERS, "Location": location})
        answer.set_cookie(COOKIE, chosen.get("user", ""), httponly=True, samesite="Lax", path=AUTHORIZE_PATH)
        return answer

    async def sign_out(request: web.Request) -> web.Response:
        wanted = request.query.get("post_logout_redirect_uri", "")
        location = authorization.after_sign_out(request.query.get("client_id", ""), wanted)
        if location is None:
            answer = _page("You are signed out", "<p>Close this page, or sign in anew where you came from.</p>")
        else:
            answer = web.Response(status=303, headers={**HEADERS, "Location": location})
        answer.del_cookie(COOKIE, path=AUTHORIZE_PATH)
        return answer

    return [
        web.get(AUTHORIZE_PATH, show, allow_head=False),
        web.post(AUTHORIZE_PATH, choose),
        web.get(SIGN_OUT_PATH, sign_out, allow_head=False),
    ]


def _choices(authorization: Authorization, request_id: str, sign_in: SignIn) -> str:
    buttons = "".join(
        f'<button name="user" value="{html.escape(user.id)}">{html.escape(user.name)}<br>'
        f"<small>{html.escape(user.domain)}: {html.escape(' '.join(user.scopes))}</small></button>"
        for user in authorization.users.values()
    )
    return (
        f"<p>{html.escape(sign_in.client_id)} asks you to sign in. These are sample users of this machine; "
        f'there are no passwords.</p><form method="post" action="{AUTHORIZE_PATH}">'
        f'<input type="hidden" name="request" value="{html.escape(request_id)}">{buttons}</form>'
    )


def _refused(refused: RefusedError) -> web.Response:
    """Tell the client by a redirect where that is safe, else the person."""
    if refused.redirect is not None:
        return web.Response(status=303, headers={**HEADERS, "Location": refused.redirect})
    return _page("This sign-in is refused", f"<p>{html.escape(str(refused))}</p>", status=400)


def _page(title: str, body: str, *, status: int = 200) -> web.Response:
    text = PAGE.format(title=html.escape(title), body=body)
    return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)


def _once(text: str) -> dict[str, Any]:
    """Read a form; a parameter that is repeated is refused (RFC 6749 section 3.1)."""
    pairs = parse_qsl(text, keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        raise RefusedError("invalid_request", "a parameter is repeated")
    return dict(pairs)
