"""The life of one agent: bind the sockets, run the loops, end in order.

Owns the order of starting and stopping and its time limits. Called by `__main__`; `wiring` makes the parts.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from ivr_agent import address
from ivr_agent.aws import Clock
from ivr_agent.engine import KEEP_ALIVE_S
from ivr_agent.process import (
    READY,
    STOPPING,
    FatalError,
    every,
    notify,
    pause,
    say,
)
from ivr_agent.settings import Settings
from ivr_agent.wiring import Loop, Parts, Stores, build, draining, loops
from ivr_runtimes.errors import SettingsError, StoreError
from ivr_runtimes.telling import told

WORK_GRACE_S: Final = 3.0
"""Time for commands in hand to finish at the end."""

POLL_GRACE_S: Final = 5.5
"""Time for the last long poll to come back, so that what it brings can be handed back."""

WRITE_GRACE_S: Final = 1.2
"""Time for the last rows, and the same for the lease. All graces together stay under 10 s."""

CLOSE_GRACE_S: Final = 0.5
"""Time for open requests when the servers close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The bound sockets: for the engine, and for peers, health and metrics."""

    events: socket.socket
    control: socket.socket

    @property
    def control_port(self) -> int:
        """The port that was bound."""
        return int(self.control.getsockname()[1])


@contextmanager
def doors(settings: Settings) -> Iterator[Doors]:
    """Bind both addresses and close them at the end.

    Raises `ListenError`, and `SettingsError` where no peer could reach us.
    A Unix socket's file is removed before its socket closes: until then it is ours and not a successor's.
    """
    with _control_door(settings) as control, address.listen(settings.listen) as events:
        try:
            yield Doors(events=events, control=control)
        finally:
            if settings.listen.path:
                Path(settings.listen.path).unlink(missing_ok=True)


def _control_door(settings: Settings) -> socket.socket:
    """Bind where peers reach us: a name may have several addresses, or only loopback."""
    found = address.resolve(settings.bind_host, settings.control_port)
    for endpoint in found:
        if settings.is_reachable(endpoint.ip):
            return address.bind(endpoint)
    leads_to = ", ".join(str(endpoint.ip) for endpoint in found)
    raise SettingsError(
        f"wrong settings:\n  node: its host {settings.bind_host} leads to {leads_to}, in none of peer_networks: no peer"
        " could reach this agent. Name the node by an address in them, correct the name's entry in /etc/hosts or DNS,"
        " or set control_host where the address is translated"
    )


async def run(settings: Settings, *, opened: Doors, stores: Stores, clock: Clock, stop: asyncio.Event) -> None:
    """Run until `stop`, then end in order, within 10 s even if something hangs; raises `FatalError`."""
    parts = build(settings, stores=stores, clock=clock, control_port=opened.control_port)
    say("started", site=settings.site, node=settings.node, control_port=opened.control_port)
    try:
        async with _serving(parts, opened):
            notify(READY)
            await _live(parts, stop)
    finally:
        await _close(parts)
        say("stopped")


async def _live(parts: Parts, stop: asyncio.Event) -> None:
    """Run all loops; after `stop` end draining first, the others once the last rows and the lease are written."""
    ended, drained, failed = asyncio.Event(), asyncio.Event(), _count(parts)
    drains = _driven(draining(parts), drained, failed)
    tasks = [*_driven(loops(parts), ended, failed), *drains]
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    try:
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        drained.set()
        for task in done:
            task.result()
        await _end(parts, drains)
    except FatalError:
        await _leave_queue(parts, drains)
        raise
    finally:
        ended.set()
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)


def _driven(driven: Iterator[Loop], stop: asyncio.Event, failed: Callable[[str], None]) -> list["asyncio.Task[None]"]:
    return [
        asyncio.create_task(
            every(loop.interval_s, loop.step, stop, wake=loop.wake, failed=failed), name=f"loop {loop.name}"
        )
        for loop in driven
    ]


async def _end(parts: Parts, drains: Sequence["asyncio.Task[None]"]) -> None:
    notify(STOPPING)
    say("stopping", owed=len(parts.ledger))
    await _leave_queue(parts, drains)
    await _within(WRITE_GRACE_S, "last_rows", _written(parts))
    await _within(WRITE_GRACE_S, "hand_over", parts.lease.hand_over())


async def _leave_queue(parts: Parts, drains: Sequence["asyncio.Task[None]"]) -> None:
    """Finish the commands in hand or hand them back: else they stay hidden for 15 s."""
    winding_down = asyncio.create_task(parts.drain.wind_down(WORK_GRACE_S), name="wind down")
    await asyncio.wait({*drains, winding_down}, timeout=POLL_GRACE_S)
    winding_down.cancel()
    await asyncio.gather(winding_down, return_exceptions=True)


async def _written(parts: Parts) -> None:
    while len(parts.ledger) and parts.lease.ours():
        await pause(0.02)


async def _within(limit_s: float, what: str, work: Awaitable[None]) -> None:
    """Do a last piece of work within the limit; the next agent repairs what was not done."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except (TimeoutError, StoreError) as error:
        say(
            "left_undone",
            level=logging.WARNING,
            what=what,
            error=told(error) if isinstance(error, StoreError) else f"no answer within {limit_s} s",
        )


@asynccontextmanager
async def _serving(parts: Parts, opened: Doors) -> AsyncIterator[None]:
    runners = []
    try:
        for app, door in ((parts.events.app, opened.events), (parts.control.app, opened.control)):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_GRACE_S, keepalive_timeout=KEEP_ALIVE_S)
            runners.append(runner)
            await runner.setup()
            await web.SockSite(runner, door.dup()).start()  # it closes its copy; `doors` closes ours
        yield
    finally:
        await asyncio.gather(*(runner.cleanup() for runner in runners))


async def _close(parts: Parts) -> None:
    await parts.engine.close()
    if parts.peers is not None:
        await parts.peers.close()
    for service in parts.services:
        service.close()


def _count(parts: Parts) -> Callable[[str], None]:
    return lambda loop: parts.metrics.loop_failures.labels(loop=loop).inc()
