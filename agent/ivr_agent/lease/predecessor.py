"""Whether the agent that wrote our node's row is certainly gone, so that its lease need not lapse first.

Owns the question and what counts as proof. A living agent serves its control port at the host of its node's name: if
we are bound at that host, we ask that port. Called by `lease` while another agent's lease holds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import aiohttp
from pydantic import BaseModel, ValidationError

from ivr_agent.health import HEALTH_PATH
from ivr_runtimes.model import UNKNOWN_PORT, Node

ANSWER_WITHIN_S: Final = 1.0
"""An agent that takes longer to answer may be dead or alive."""

MAX_ANSWER: Final = 4096
"""Bytes of an answer that are read."""

IsGone: TypeAlias = Callable[[Node], Awaitable[bool]]


class Identity(BaseModel):
    """Which agent answers at a control port."""

    agent_id: str


async def cannot_be_told(_: Node) -> bool:
    """Answer no: an agent bound elsewhere may run on another host than its node's name says."""
    return False


def at_home(host: str, control_port: int) -> IsGone:
    """Return the question for an agent bound at that port of `host`, its node's host."""

    async def is_gone(row: Node) -> bool:
        """True if the row's port is ours, is free, or is another agent's."""
        if row.control_port == control_port:
            return True
        if row.control_port == UNKNOWN_PORT:
            return False
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return (await _identity(host, row.control_port)).agent_id != row.agent_id
        except aiohttp.ClientConnectorError as error:
            return isinstance(error.os_error, ConnectionRefusedError)
        except (TimeoutError, aiohttp.ClientError, OSError, ValidationError):
            return False  # it may be busy, or of a version that does not say who it is

    return is_gone


async def _identity(host: str, port: int) -> Identity:
    url = f"http://[{host}]:{port}{HEALTH_PATH}" if ":" in host else f"http://{host}:{port}{HEALTH_PATH}"
    async with aiohttp.ClientSession() as http, http.get(url, allow_redirects=False) as response:
        return Identity.model_validate_json(await response.content.read(MAX_ANSWER))
