"""The HTTP server of the embedded stack: gateway, console, token and authorization endpoints, health, restarts.

Owns the listening socket and which path goes where. The gateway gets all paths that are not its own. `stack` starts it.
"""

import argparse
import asyncio
import errno
import hmac
import json
import logging
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from ivr_local import signin
from ivr_local.console import Published
from ivr_local.emulator import HOST
from ivr_local.gateway import MAX_BODY_BYTES, Gateway
from ivr_local.issuer import DISCOVERY_PATH, JWKS_PATH, TOKEN_PATH, Issuer
from ivr_local.nodes import Part
from ivr_runtimes.errors import SettingsError

HEALTH_PATH: Final = "/healthz"
RESTART_PATH: Final = "/local/nodes/{node}/restart"

MAX_PARSED_BYTES: Final = 1024 * 1024
"""The longest line or header that is read: far more than the gateway allows, which then answers as AWS does."""

SHUTDOWN_S: Final = 2.0
"""How long running requests may still take when the stack ends."""


class Restartable(Protocol):
    """A node whose processes can be restarted."""

    async def restart(self, *parts: Part) -> None:
        """End and start the named parts."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return the node's processes and addresses."""
        ...


class Behind(Protocol):
    """What the server's own paths need from the stack."""

    def missing(self) -> list[str]:
        """Say why list or stop do not work; empty if they work."""
        ...

    async def down(self) -> list[str]:
        """Say which nodes do not do their job; list and stop work for the others."""
        ...

    def node(self, name: str) -> Restartable | None:
        """Return the node of that name."""
        ...

    def publish(self) -> None:
        """Bring stack.json up to date."""
        ...


def port_number(text: str) -> int:
    """Read the stack's port from a command line."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def listen(port: int) -> socket.socket:
    """Return the stack's listening socket; raises `SettingsError` if the port cannot be bound."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another process" if taken else f"cannot be had ({error.strerror})"
        remedy = "end that one, or choose another port: --port, or make run PORT=3100"
        raise SettingsError(f"port {port} on {HOST} {reason}; {remedy}") from None
    return bound


class AccessLine(AbstractAccessLogger):
    """Logs a request by path and status alone: queries and headers may hold secrets."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Log one request."""
        path, took_ms = request.rel_url.raw_path, time * 1000  # still encoded: a path cannot forge a line
        self.logger.info("%s %s %s %d %.0f ms", request.remote, request.method, path, response.status, took_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The console's files by their paths, and the headers of all its answers."""

    files: Mapping[str, Published]
    headers: Mapping[str, str]


def application(
    *, gateway: Gateway, issuer: Issuer, behind: Behind, admin_token: str, console: Console
) -> web.Application:
    """Return the application: a few paths of its own; the gateway gets all others."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post(TOKEN_PATH, _token(issuer))
    app.router.add_get(JWKS_PATH, _constant(issuer.jwks()), allow_head=False)
    app.router.add_get(DISCOVERY_PATH, _constant(issuer.discovery()), allow_head=False)
    if issuer.authorization is not None:
        app.router.add_routes(signin.routes(issuer.authorization))
    app.router.add_get(HEALTH_PATH, _health(behind), allow_head=False)
    app.router.add_post(RESTART_PATH, _restart(behind, admin_token))
    for path, file in console.files.items():
        app.router.add_get(f"/{path}", _console_file(file, console.headers))
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    return app


async def serve(app: web.Application, bound: socket.socket, *, access_log: logging.Logger | None) -> web.AppRunner:
    """Serve on the bound socket until the runner that is returned is cleaned up."""
    runner = web.AppRunner(
        app,
        access_log=access_log,
        access_log_class=AccessLine,
        max_line_size=MAX_PARSED_BYTES,
        max_field_size=MAX_PARSED_BYTES,
        max_headers=1024,
        auto_decompress=False,  # the gateway passes bodies on unchanged
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    await web.SockSite(runner, bound).start()
    return runner


def _token(issuer: Issuer) -> Any:
    async def token(request: web.Request) -> web.Response:
        answer = issuer.grant(request.headers.getall("Authorization", []), await request.read())
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    return token


def _constant(document: Mapping[str, Any]) -> Any:
    body = json.dumps(document).encode()

    async def constant(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return constant


def _console_file(file: Published, headers: Mapping[str, str]) -> Any:
    fixed = {**headers, "Cache-Control": file.cache_control, "Vary": "Accept-Encoding"}

    async def answer(request: web.Request) -> web.Response:
        packs = file.packed is not None and accepts_gzip(request.headers.get("Accept-Encoding", ""))
        tag = f"{file.tag}-gzip" if packs else file.tag  # other bytes, so another tag (RFC 9110 section 8.8.3.3)
        told = {**fixed, "ETag": f'"{tag}"'}
        if any(known.value in {tag, "*"} for known in request.if_none_match or ()):
            return web.Response(status=304, headers=told)
        told |= {"Content-Type": file.content_type} | ({"Content-Encoding": "gzip"} if packs else {})
        return web.Response(body=file.packed if packs else file.body, headers=told)

    return answer


def accepts_gzip(header: str) -> bool:
    """Read `Accept-Encoding`: `gzip;q=0` refuses it (RFC 9110 section 12.5.3)."""
    given = {name.strip().lower(): weight for name, _, weight in (one.partition(";") for one in header.split(","))}
    weight = given.get("gzip", given.get("*", "q=0"))
    return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None


def _health(behind: Behind) -> Any:
    async def health(_: web.Request) -> web.Response:
        if missing := behind.missing():
            return web.json_response({"status": "unavailable", "missing": missing}, status=503)
        return web.json_response({"status": "ok", "down": await behind.down()})

    return health


def _restart(behind: Behind, admin_token: str) -> Any:
    async def restart(request: web.Request) -> web.Response:
        given = ",".join(request.headers.getall("Authorization", ())).removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), admin_token.encode()):
            return _problem(401, "send the admin_token of stack.json: Authorization: Bearer <token>")
        parts = {"both": tuple(Part), **{part.value: (part,) for part in Part}}.get(request.query.get("part", "both"))
        if parts is None:
            return _problem(400, "part: engine, agent or both")
        node = behind.node(request.match_info["node"])
        if node is None:
            return _problem(404, "no such node; stack.json names all")
        # A client that goes away must not leave the node half restarted.
        await asyncio.shield(asyncio.ensure_future(node.restart(*parts)))
        behind.publish()
        return web.json_response(node.as_json())

    return restart


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
