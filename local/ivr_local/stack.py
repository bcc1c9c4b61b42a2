"""The embedded stack as a whole: what is started, in which order, when it is ready, how it ends.

The composition root: makes the parts and connects them. `__main__` makes one per run.
"""

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from ivr_local import access, console, emulator, server
from ivr_local.authorization import Authorization
from ivr_local.authorizer import JwtAuthorizer
from ivr_local.emulator import ACCOUNT_ID, HOST, REGION, Endpoint
from ivr_local.event import Api
from ivr_local.fleet import Fleet
from ivr_local.functions import MOST_WORKERS, Function, Surroundings
from ivr_local.gateway import Gateway
from ivr_local.issuer import Issuer
from ivr_local.nodes import Node, NodeSpec, Part, Program, Shared, domains_of_one_node, own_program
from ivr_local.processes import Child, ending
from ivr_local.state import StateDir
from ivr_local.template import Stack
from ivr_local.warmup import warm
from ivr_runtimes.telling import trace_of

STACK_NAME: Final = "ivr-runtimes-local"
AUDIENCE: Final = "ivr-runtimes-local"
EMULATOR_GRACE_S: Final = 2.0
POLL_INTERVAL_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Points where a test may put something between the stack's parts (docs/chaos.md); by default nothing is there.

    `emulator` is where the emulator listens (default: a free port), `functions` where the functions find AWS
    (default: the emulator), `program` names what runs as engine and agent, `scripts` is the folder of the scripts.
    """

    emulator: Endpoint | None = None
    functions: Endpoint | None = None
    program: Callable[[NodeSpec, Part], Program] = own_program
    scripts: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All settings of a run. `project` is the folder of the template."""

    port: int
    fleet: Fleet
    template: Stack
    project: Path
    ministack: Path
    external_stop_delay_ms: int
    iam: bool = False
    """Whether the emulated AWS enforces the template's permissions."""
    aws_host: str = HOST
    """The address of this machine that the emulated AWS listens on."""
    seams: Seams = field(default_factory=Seams)

    @property
    def url(self) -> str:
        """Where the stack answers."""
        return f"http://{HOST}:{self.port}"


class LocalStack:
    """One run of the stack. `tell` is called with lines for the person at the terminal."""

    def __init__(self, plan: Plan, *, state: StateDir, bound: socket.socket, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.state = state
        self.tell = tell
        self._bound = bound
        self._admin_token = secrets.token_urlsafe(32)
        self._endpoint = plan.seams.emulator or _endpoint(plan.aws_host)
        self._issuer = Issuer(
            url=plan.template.authorizer.issuer,
            audience=AUDIENCE,
            clients={client.id: client for client in plan.fleet.clients},
            authorization=Authorization(
                issuer=plan.template.authorizer.issuer,
                users={user.id: user for user in plan.fleet.users},
                clients={client.id: client for client in plan.fleet.public_clients},
            ),
        )
        self._functions = {
            spec.logical_id: Function(spec=spec, surroundings=self._surroundings(), tell=tell, most=MOST_WORKERS)
            for spec in plan.template.functions
        }
        self._nodes: dict[str, Node] = {}
        self._queue_urls: dict[str, str] = {}
        self._credentials: dict[str, dict[str, str]] = {}
        self._pending = ["the emulated AWS is starting"]
        self._emulator: Child | None = None
        self._runner: web.AppRunner | None = None
        self._http = aiohttp.ClientSession()
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything; return when list and stop work. Raises `StartError`."""
        self.state.write_private("issuer.pem", self._issuer.pem())
        app = server.application(
            gateway=self._gateway(),
            issuer=self._issuer,
            behind=self,
            admin_token=self._admin_token,
            console=self._console(),
        )
        self._runner = await server.serve(app, self._bound, access_log=_access_log(self.state.logs / "gateway.log"))
        if not self.plan.iam:
            self._start_functions()
        await self._start_emulator()
        if self.plan.iam:
            await self._admit()
            self._start_functions()
        self.tell("tables and queues stand; starting the nodes")
        await self._start_nodes()
        self._pending = ["the functions are warming up"]
        await _until(self._functions_are_ready)
        await asyncio.gather(*(self._warm(function) for function in self._functions.values()))
        self.publish()
        self._pending = ["not every node has a lease yet"]
        await _until(self._all_are_leased)
        await _until(self._nodes_are_well)
        self._pending = []

    async def stop(self) -> None:
        """End everything, each part before those that it needs for an orderly end."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._bound.close()
        await asyncio.gather(*(node.stop(Part.AGENT) for node in self._nodes.values()))
        await asyncio.gather(*(node.stop(Part.ENGINE) for node in self._nodes.values()))
        await asyncio.gather(*(function.stop() for function in self._functions.values()))
        if self._watcher is not None:
            self._watcher.cancel()
        if self._emulator is not None:
            await self._emulator.stop(grace_s=EMULATOR_GRACE_S)
        await self._http.close()

    def missing(self) -> list[str]:
        """Say why list or stop do not work; empty if they work."""
        return list(self._missing())

    async def down(self) -> list[str]:
        """Say which nodes do not do their job, and why."""
        found = await asyncio.gather(*(node.missing(self._http) for node in self._nodes.values()))
        return [line for lines in found for line in lines]

    @property
    def queue_urls(self) -> dict[str, str]:
        """The queues' URLs at the emulator, by name."""
        return self._queue_urls

    def node(self, name: str) -> Node | None:
        """Return the node of that name."""
        return self._nodes.get(name)

    def publish(self) -> None:
        """Write stack.json (what runs where, what agents need, the admin token) and the variables for SAM."""
        self.state.write(self._as_json())
        self.state.write_private("sam-env.json", json.dumps(self._sam_variables(), indent=2).encode() + b"\n")

    def _missing(self) -> Iterator[str]:
        yield from self._pending
        if self._emulator is not None and not self._emulator.alive:
            yield "the emulated AWS has ended; start the stack anew"
        for function in self._functions.values():
            if not function.working:
                yield f"function {function.spec.logical_id}: {function.fault}"

    async def _start_emulator(self) -> None:
        log = self.state.logs / "ministack.log"
        self._emulator = await emulator.start(self.plan.ministack, self._endpoint, log=log, iam=self.plan.iam)
        await emulator.wait_until_up(self._emulator, self._endpoint, self._http, log=log)
        self._watcher = asyncio.create_task(self._watch_emulator(self._emulator), name="watch emulator")
        self._queue_urls = await asyncio.to_thread(emulator.furnish, self.plan.template, self._endpoint)

    def _start_functions(self) -> None:
        for name, function in self._functions.items():
            environment = {**function.surroundings.environment, **self._credentials.get(name, {})}
            function.surroundings = replace(function.surroundings, environment=environment)
            function.start()

    async def _admit(self) -> None:
        """Give each function and each site's agents their own role, as the template has it."""
        self._credentials = await asyncio.to_thread(access.admit, self.plan.template, self._endpoint, ACCOUNT_ID)

    async def _watch_emulator(self, child: Child) -> None:
        exit_code = await child.wait()
        self.tell(f"the emulated AWS {ending(exit_code)}: nothing works without it; start the stack anew")

    async def _start_nodes(self) -> None:
        shared = self._shared()
        self._nodes = {spec.name: Node(spec=spec, shared=shared, tell=self.tell) for spec in self._node_specs()}
        for part in (Part.ENGINE, Part.AGENT):
            await asyncio.gather(*(node.start(part) for node in self._nodes.values()))

    async def _warm(self, function: Function) -> None:
        domain = self.plan.fleet.domains[0].name
        await warm(function, self.plan.template.routes, api=self._api(), domain=domain, port=self.plan.port)

    async def _functions_are_ready(self) -> bool:
        return all(function.ready for function in self._functions.values())

    async def _all_are_leased(self) -> bool:
        wanted = {(node.spec.site, node.spec.name) for node in self._nodes.values()}
        return wanted <= await asyncio.to_thread(emulator.leased_nodes, self._endpoint, self._table("NodesTable"))

    async def _nodes_are_well(self) -> bool:
        return not await self.down()

    def _gateway(self) -> Gateway:
        return Gateway(
            routes=self.plan.template.routes,
            authorizer=JwtAuthorizer(config=self.plan.template.authorizer, jwks=self._issuer.jwks()),
            functions=self._functions,
            api=self._api(),
            port=self.plan.port,
        )

    def _console(self) -> server.Console:
        files = console.published(self.plan.project / "console", console.configuration(self.plan.template.outputs))
        return server.Console(files=files, headers=console.headers([self._issuer.url]))

    def _api(self) -> Api:
        return Api(account_id=ACCOUNT_ID, api_id="local")

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            environment=(self.plan.seams.functions or self._endpoint).environment(),
            region=REGION,
            account_id=ACCOUNT_ID,
            stack_name=STACK_NAME,
            logs=self.state.logs,
        )

    def _shared(self) -> Shared:
        return Shared(
            aws=self._endpoint.environment(),
            runtimes_table=self._table("RuntimesTable"),
            nodes_table=self._table("NodesTable"),
            peer_secret=secrets.token_urlsafe(48),
            scripts=self.plan.seams.scripts or self.plan.project / "samples",
            domains=domains_of_one_node(self.plan.fleet),
            external_stop_delay_ms=self.plan.external_stop_delay_ms,
            logs=self.state.logs,
            program=self.plan.seams.program,
        )

    def _node_specs(self) -> Iterator[NodeSpec]:
        named = [(site, name) for site in self.plan.fleet.sites for name in site.nodes]
        ports = emulator.free_ports(len(named))
        bridges = {bridge.node: bridge for bridge in self.plan.fleet.bridges}
        for number, ((site, name), port) in enumerate(zip(named, ports, strict=True), start=1):
            yield NodeSpec(
                site=site.code,
                name=name,
                number=number,
                control_port=port,
                sockets=self.state.sockets,
                queue_url=self._queue_urls[f"{STACK_NAME}-stop-{site.code}"],
                dead_letter_url=self._queue_urls[f"{STACK_NAME}-stop-{site.code}-dlq"],
                credentials=self._credentials.get(f"AgentPolicy{site.code}", {}),
                bridge=bridges.get(name),
            )

    def _table(self, logical_id: str) -> str:
        return next(table.name for table in self.plan.template.tables if table.logical_id == logical_id)

    def _sam_variables(self) -> dict[str, dict[str, str]]:
        """Return the file for `sam local invoke --env-vars`: each function's variables, directed to the emulated AWS.

        SAM passes on only variables that the template declares; it sets credentials and region itself.
        """
        directed = self._endpoint.environment()
        return {
            spec.logical_id: {name: directed.get(name, value) for name, value in spec.environment.items()}
            for spec in self.plan.template.functions
        }

    def _as_json(self) -> dict[str, Any]:
        return {
            "url": self.plan.url,
            "region": REGION,
            "account_id": ACCOUNT_ID,
            "stack_name": STACK_NAME,
            "endpoint_url": self._endpoint.url,
            "issuer": self._issuer.url,
            "audience": AUDIENCE,
            "tables": {table.logical_id: table.name for table in self.plan.template.tables},
            "queue_urls": self._queue_urls,
            "gateway_pid": os.getpid(),
            "ministack_pid": self._emulator.pid if self._emulator else None,
            "function_pids": {name: function.pids for name, function in self._functions.items()},
            "nodes": [node.as_json() for node in self._nodes.values()],
            "agents": {node.spec.site: node.site_environment() for node in self._nodes.values()},
            "sockets": str(self.state.sockets),
            "logs": str(self.state.logs),
            "admin_token": self._admin_token,
        }


def _endpoint(host: str) -> Endpoint:
    return Endpoint(emulator.free_ports(1, host)[0], host)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110  # other processes' states: nothing here could set an Event
        await asyncio.sleep(POLL_INTERVAL_S)


class Lines(logging.Formatter):
    """Writes plain lines; of an error only its traceback, since texts of libraries may quote a header."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  # the name is logging's
        """Return the trace of an error."""
        return trace_of(ei[1])


def _access_log(file: Path) -> logging.Logger:
    """Send this process's log to a file. Requests are logged by path and status, so no token is."""
    handler = logging.FileHandler(file)
    handler.setFormatter(Lines("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("ivr_local").setLevel(logging.INFO)
    return logging.getLogger("ivr_local.access")
