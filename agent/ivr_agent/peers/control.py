"""The control port: commands of peers, health, metrics.

Owns what may be asked from outside the node. Peers' requests must be signed for this node and its present session;
health and metrics are open and hold no names of tenants.
"""

import logging

from aiohttp import web

from ivr_agent.engine import Probe
from ivr_agent.health import HEALTH_PATH, Health
from ivr_agent.metrics import OPEN_TEXT, TEXT, Metrics
from ivr_agent.outcome import UndeliveredError, described
from ivr_agent.peers.peers import COMMANDS_PATH, SIGNATURE_REMEDY
from ivr_agent.peers.signature import HEADERS, NODE, SESSION, BadSignatureError, Request, Signer
from ivr_agent.process import say
from ivr_agent.protocol import guard
from ivr_agent.settings import Place
from ivr_agent.stops import Carrier
from ivr_runtimes.command import Command
from ivr_runtimes.errors import UnreadableCommandError

MAX_BODY: int = 16 * 1024
"""Bytes of a peer's request: a command is well under 2 KiB."""


class Control:
    """The application. Without a `signer` (a one-node site) it takes nothing from peers."""

    def __init__(  # noqa: PLR0913  # the collaborators; bundling them would only hide them
        self,
        *,
        place: Place,
        agent_id: str,
        probe: Probe,
        carrier: Carrier,
        health: Health,
        metrics: Metrics,
        signer: Signer | None,
    ) -> None:
        self._place = place
        self._agent_id = agent_id
        self._probe = probe
        self._carrier = carrier
        self._health = health
        self._metrics = metrics
        self._signer = signer
        self.app = web.Application(middlewares=[guard()], client_max_size=MAX_BODY)
        self.app.router.add_get(HEALTH_PATH, self._healthz)
        self.app.router.add_get("/metrics", self._text)
        if signer is not None:
            self.app.router.add_post(COMMANDS_PATH, self._command)

    async def _healthz(self, _: web.Request) -> web.Response:
        report = {**self._health.report(), "agent_id": self._agent_id}
        return web.json_response(report, status=200 if self._health.ok else 503)

    async def _text(self, request: web.Request) -> web.Response:
        if "application/openmetrics-text" in ",".join(request.headers.getall("Accept", ())):
            return web.Response(body=self._metrics.open_text(), headers={"Content-Type": OPEN_TEXT})
        return web.Response(body=self._metrics.text(), headers={"Content-Type": TEXT})

    async def _command(self, request: web.Request) -> web.Response:
        status, answer = await self._answer(request, await request.read())
        self._metrics.peer_requests.labels(status=status).inc()
        return web.json_response(answer, status=status)

    async def _answer(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str]]:
        node, session = request.headers.get(NODE, ""), request.headers.get(SESSION, "")
        try:
            self._check(
                Request(method=request.method, path=request.path, body=body, node=node, session=session), request
            )
            command = Command.from_body(body.decode())
        except BadSignatureError as error:
            say(
                "peer_refused",
                level=logging.WARNING,
                about=request.remote,
                error=str(error),
                peer=request.remote,
                remedy=SIGNATURE_REMEDY,
            )
            return 401, {"error": "bad_signature", "detail": str(error)}
        except (UnreadableCommandError, UnicodeDecodeError) as error:
            return 400, {"error": "invalid_command", "detail": str(error)}
        if (node, session) != (self._place.node, self._probe.session) or not self._is_for_us(command):
            return 421, {"error": "misdirected", "detail": "this agent is not that node in that session"}
        return await self._act(command)

    def _check(self, signed: Request, request: web.Request) -> None:
        if self._signer is None:
            raise BadSignatureError("no peers are configured")
        if repeated := [name for name in HEADERS if len(request.headers.getall(name, ())) > 1]:
            raise BadSignatureError(f"{repeated[0]} comes twice")
        self._signer.verify(signed, request.headers)

    def _is_for_us(self, command: Command) -> bool:
        wanted = (command.site, command.node, command.session)
        return wanted == (self._place.site, self._place.node, self._probe.session)

    async def _act(self, command: Command) -> tuple[int, dict[str, str]]:
        try:
            outcome = await self._carrier.act(command)
        except UndeliveredError as error:
            say("peer_command_undelivered", level=logging.WARNING, each=True, error=str(error), **described(command))
            return 503, {"error": "undelivered", "detail": str(error)}
        say("peer_command", each=True, outcome=outcome, **described(command))
        return 200, {"outcome": outcome}
