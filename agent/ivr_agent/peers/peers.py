"""The client of the site's other agents.

Owns where a peer is: the host part of its node's name, which must lie in the configured peer networks, and the port
of its row. No URL is ever read from the table, so a forged row cannot send a signed request out of the networks.
"""

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import aiohttp
from pydantic import BaseModel, ValidationError

from ivr_agent.address import lies_in
from ivr_agent.engine import COMMAND_TIMEOUT_S
from ivr_agent.health import Health
from ivr_agent.outcome import Outcome, UndeliveredError
from ivr_agent.peers.signature import Request, Signer
from ivr_agent.process import say
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import host_of
from ivr_runtimes.model import Node
from ivr_runtimes.telling import told

COMMANDS_PATH: Final = "/v1/commands"

TIMEOUT_S: Final = COMMAND_TIMEOUT_S + 2.0
"""Longer than a peer waits for its engine, so that we learn the outcome if it does."""

IPV6: Final = 6

SIGNATURE_REMEDY: Final = "give all agents of the site the same peer_secret, and keep their hosts' clocks right"
"""What to do about a bad signature; agents use AWS's time, so clocks come second."""

STRANGER_REMEDY: Final = "see what listens there: it is no agent that this one can work with"
"""What to do about an answer that no agent of a site gives another."""

REMEDIES: Final[Mapping[int, str]] = {
    401: SIGNATURE_REMEDY,
    403: "let agents reach each other directly: a proxy between them refuses requests or adds an Origin header",
    404: "it takes no commands of peers: give it peer_networks and peer_secret in place of single_node_site",
    421: "another node's agent answers there: see that node's name, control_host and control_port; right after"
    " a restart of its engine this ends by itself",
}
"""What to do about a peer that refuses us, by the status of its answer."""
UNRESOLVABLE: Final = (ValueError, OverflowError)
"""What `getaddrinfo` raises, besides OSError, for a host or port that it does not even look up."""

Networks = Sequence[IPv4Network | IPv6Network]


class PeerAnswer(BaseModel):
    """Answer 200 of a peer."""

    outcome: Outcome


class Peers:
    """Sends commands to peers. Call it as `carry.Forward`."""

    def __init__(self, *, networks: Networks, signer: Signer, health: Health) -> None:
        self._networks = networks
        self._signer = signer
        self._health = health
        self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def __call__(self, command: Command, node: Node) -> Outcome:
        """Send the command to the agent of `node`; raises `UndeliveredError` unless it tells the outcome."""
        body = command.to_body().encode()
        request = Request(method="POST", path=COMMANDS_PATH, body=body, node=node.node, session=command.session)
        try:
            async with asyncio.timeout(TIMEOUT_S):  # includes the name lookup
                hosts = await self._allowed_hosts(node)
                status, answer = await self._offer(hosts, node, request)
        except (TimeoutError, aiohttp.ClientError, OSError, *UNRESOLVABLE) as error:
            self._health.peer(node.node, answered=False)
            raise UndeliveredError(f"the agent of {node.node} does not answer: {told(error)}") from error
        return self._judge(node, status, _outcome(status, answer))

    def _judge(self, node: Node, status: int, outcome: Outcome | None) -> Outcome:
        """Return the outcome; a peer that takes no commands from us counts as down, though it answers."""
        says = f"the agent of {node.node} answered with status {status}"
        engine_away = status == HTTPStatus.SERVICE_UNAVAILABLE
        self._health.peer(node.node, answered=outcome is not None or engine_away)
        if outcome is not None:
            return outcome
        if engine_away:
            raise UndeliveredError(f"{says}: its own engine did not take the command")
        remedy = REMEDIES.get(status, STRANGER_REMEDY)
        say(
            "peer_refuses", level=logging.ERROR, about=(node.node, status), peer=node.node, status=status, remedy=remedy
        )
        raise UndeliveredError(f"{says}: {remedy}")

    async def _offer(self, hosts: Sequence[str], node: Node, request: Request) -> tuple[int, bytes]:
        """Send the request to the first of the host's addresses that takes the connection."""
        *others, last = hosts
        for host in others:
            with suppress(aiohttp.ClientConnectorError):
                return await self._send(f"http://{host}:{node.control_port}{COMMANDS_PATH}", request)
        return await self._send(f"http://{last}:{node.control_port}{COMMANDS_PATH}", request)

    async def _send(self, url: str, request: Request) -> tuple[int, bytes]:
        headers = {**self._signer.sign(request), "Content-Type": "application/json"}
        async with self._http.post(url, data=request.body, headers=headers, allow_redirects=False) as response:
            return response.status, await response.content.read(4096)

    async def _allowed_hosts(self, node: Node) -> list[str]:
        """Return the peer's checked addresses, ready for a URL: exactly these are called."""
        allowed = [ip for ip in await _addresses(node) if lies_in(ip, self._networks)]
        if not allowed:
            raise UndeliveredError(f"the host of {node.node} lies in none of peer_networks")
        return [f"[{ip}]" if ip.version == IPV6 else str(ip) for ip in dict.fromkeys(allowed)]


async def _addresses(node: Node) -> list[IPv4Address | IPv6Address]:
    """Return the addresses of a node's host; raises `OSError` or `ValueError` if it has none."""
    host = host_of(node.node)
    with suppress(ValueError):  # a name: ask the resolver
        return [ip_address(host)]
    found = await asyncio.get_running_loop().getaddrinfo(host, node.control_port, type=socket.SOCK_STREAM)
    return [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]


def _outcome(status: int, answer: bytes) -> Outcome | None:
    """Return the outcome that a peer tells; None when it tells none."""
    try:
        return PeerAnswer.model_validate_json(answer).outcome if status == HTTPStatus.OK else None
    except ValidationError:
        return None
