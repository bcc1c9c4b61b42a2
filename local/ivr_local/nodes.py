"""The sample fleet's nodes: an engine and an agent each.

Owns their settings and their processes. Never restarts one by itself: whoever kills a node wants it to be gone. It is
started again by the server's restart request. `stack` calls it.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import aiohttp

from ivr_local.fleet import BridgeConfig, Fleet
from ivr_local.processes import Child, ending, spawn
from ivr_runtimes.identifiers import NodeName, host_of

AGENT_GRACE_S: Final = 10.0
"""How long an agent may take to hand over its lease and end."""

ENGINE_GRACE_S: Final = 2.0


class Part(StrEnum):
    """The two processes of a node."""

    ENGINE = "engine"
    AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node: its name, the addresses of engine and agent, the queues and credentials of its site."""

    site: str
    name: str
    number: int
    control_port: int
    sockets: Path
    queue_url: str
    dead_letter_url: str
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Variables with the credentials of the site's role; empty if any credentials are accepted."""
    bridge: BridgeConfig | None = None
    """The bridge to a real engine, where the node is one; else its engine is a sandbox."""

    @property
    def engine_address(self) -> str:
        """Where the engine listens for its agent."""
        return f"unix:{self.sockets / f'{self.number}e'}"

    @property
    def agent_address(self) -> str:
        """Where the agent listens for its engine."""
        return f"unix:{self.sockets / f'{self.number}a'}"

    @property
    def health_url(self) -> str:
        """Where the agent reports its health."""
        return f"http://{host_of(NodeName(self.name))}:{self.control_port}/healthz"


@dataclass(frozen=True, slots=True)
class Program:
    """What runs as engine or agent: a module for `python -m`, and variables that override the part's settings."""

    module: str
    environment: Mapping[str, str] = field(default_factory=dict)


def own_program(spec: NodeSpec, part: Part) -> Program:
    """Return the product's own program for a part."""
    if part is Part.AGENT:
        return Program("ivr_agent")
    return Program(spec.bridge.program if spec.bridge else "ivr_sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all nodes have in common. `aws` has the variables for AWS SDKs; `program` is called at every start."""

    aws: Mapping[str, str]
    runtimes_table: str
    nodes_table: str
    peer_secret: str
    scripts: Path
    domains: str
    external_stop_delay_ms: int
    logs: Path
    program: Callable[[NodeSpec, Part], Program] = own_program


def domains_of_one_node(fleet: Fleet) -> str:
    """Return the setting of one sandbox's share of the fleet's calls: each gets an equal part."""
    nodes = max(1, sum(len(site.nodes) for site in fleet.sites) - len(fleet.bridges))
    shares = [
        domain.model_dump(mode="json") | {"calls_per_minute": domain.calls_per_minute / nodes}
        for domain in fleet.domains
    ]
    return json.dumps(shares)


@dataclass(slots=True, kw_only=True)
class Node:
    """A node's processes. `tell` is called with a sentence when one ends by itself."""

    spec: NodeSpec
    shared: Shared
    tell: Callable[[str], None]
    children: dict[Part, Child] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _watchers: set[asyncio.Task[None]] = field(default_factory=set)
    _ending: set[int] = field(default_factory=set)

    async def start(self, *parts: Part) -> None:
        """Start the named parts."""
        for part in parts:
            environment = self.engine_environment() if part is Part.ENGINE else self.agent_environment()
            program = self.shared.program(self.spec, part)
            child = await spawn(
                f"{part} of {self.spec.name}",
                [sys.executable, "-m", program.module],
                environment={**environment, **program.environment},
                log=self.log(part),
            )
            self.children[part] = child
            watcher = asyncio.create_task(self._watch(part, child), name=f"watch {part} of {self.spec.name}")
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)

    async def stop(self, part: Part) -> None:
        """End a part: ask it first, and kill it if it does not end in time."""
        if (child := self.children.get(part)) is not None:
            self._ending.add(child.pid)
            await child.stop(grace_s=AGENT_GRACE_S if part is Part.AGENT else ENGINE_GRACE_S)

    async def restart(self, *parts: Part) -> None:
        """End the named parts if they run, and start them again with the same settings."""
        async with self._lock:
            for part in (Part.AGENT, Part.ENGINE):
                if part in parts:
                    await self.stop(part)
            await self.start(*parts)

    async def missing(self, http: aiohttp.ClientSession) -> list[str]:
        """Say why the node does not do its job; empty if it does."""
        down = [part for part in Part if part not in self.children or not self.children[part].alive]
        if down:
            return [f"node {self.spec.name}: the {part} does not run" for part in down]
        try:
            async with http.get(self.spec.health_url, timeout=aiohttp.ClientTimeout(total=1)) as answer:
                if answer.status == 200:
                    return []
                return [f"node {self.spec.name}: the agent says {(await answer.text()).strip()}"]
        except (aiohttp.ClientError, TimeoutError):
            return [f"node {self.spec.name}: the agent does not answer"]

    def log(self, part: Part) -> Path:
        """Where a part's output goes."""
        return self.shared.logs / f"{part}-{self.spec.name}.log"

    def as_json(self) -> dict[str, Any]:
        """Return the node as stack.json shows it."""
        return {
            "site": self.spec.site,
            "node": self.spec.name,
            "agent_pid": self.children[Part.AGENT].pid,
            "engine_pid": self.children[Part.ENGINE].pid,
            "control_port": self.spec.control_port,
            "agent_address": self.spec.agent_address,
            "engine_address": self.spec.engine_address,
        }

    def engine_environment(self) -> dict[str, str]:
        """Return the engine's settings."""
        if bridge := self.spec.bridge:
            told = {"NODE": self.spec.name, "LISTEN": self.spec.engine_address, "AGENT": self.spec.agent_address}
            return bridge.environment() | {f"{bridge.program.upper()}_{name}": value for name, value in told.items()}
        return {
            "IVR_SANDBOX_NODE": self.spec.name,
            "IVR_SANDBOX_NODE_NUMBER": str(self.spec.number),
            "IVR_SANDBOX_LISTEN": self.spec.engine_address,
            "IVR_SANDBOX_AGENT": self.spec.agent_address,
            "IVR_SANDBOX_SCRIPTS": str(self.shared.scripts),
            "IVR_SANDBOX_DOMAINS": self.shared.domains,
            "IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS": str(self.shared.external_stop_delay_ms),
        }

    def agent_environment(self) -> dict[str, str]:
        """Return the agent's settings."""
        return {
            **self.site_environment(),
            "IVR_AGENT_NODE": self.spec.name,
            "IVR_AGENT_ENGINE": self.spec.engine_address,
            "IVR_AGENT_LISTEN": self.spec.agent_address,
            "IVR_AGENT_CONTROL_PORT": str(self.spec.control_port),
        }

    def site_environment(self) -> dict[str, str]:
        """Return the settings of every agent of the node's site, also of one that somebody attaches to the stack."""
        return {
            **self.shared.aws,
            **self.spec.credentials,
            "IVR_AGENT_SITE": self.spec.site,
            "IVR_AGENT_RUNTIMES_TABLE": self.shared.runtimes_table,
            "IVR_AGENT_NODES_TABLE": self.shared.nodes_table,
            "IVR_AGENT_QUEUE_URL": self.spec.queue_url,
            "IVR_AGENT_DEAD_LETTER_URL": self.spec.dead_letter_url,
            "IVR_AGENT_PEER_NETWORKS": "127.0.0.0/8,::1/128",
            "IVR_AGENT_PEER_SECRET": self.shared.peer_secret,
        }

    async def _watch(self, part: Part, child: Child) -> None:
        exit_code = await child.wait()
        if child.pid not in self._ending:
            self.tell(f"the {part} of {self.spec.name} {ending(exit_code)}; see {self.log(part)}")
