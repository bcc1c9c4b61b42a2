"""The parts of one agent, put together, and the loops that drive them: how often, and what wakes each early.

Only wires: no step, no wait. Called by `agent`; the stores come from `__main__` or, in
tests, from memory.
"""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from ivr_agent import __version__
from ivr_agent.aws import Clock, Denials, Service, rfc3339
from ivr_agent.engine import Engine, Events, Probe
from ivr_agent.health import Health
from ivr_agent.lease import STATES, Lease, at_home, cannot_be_told
from ivr_agent.metrics import Metrics
from ivr_agent.peers import Control, Peers, Signer
from ivr_agent.process import ALIVE_INTERVAL_S, REMIND_INTERVAL_S, Step, alive, remind
from ivr_agent.rows import Flush, Ledger, Registry, Sweep
from ivr_agent.settings import Settings
from ivr_agent.stops import EXTEND_INTERVAL_S, Carrier, Drain
from ivr_runtimes.identifiers import Session
from ivr_runtimes.model import Node
from ivr_runtimes.ports import CommandInbox, LeaseTable, RuntimeWriter

IDLE_S: Final = 1.0
"""How often a loop that is woken by events looks by itself."""

POLL_GAP_S: Final = 0.05
"""The pause after a long poll that brought nothing: a queue that answers at once must not cause a busy loop."""

REFRESH_INTERVAL_S: Final = 60.0
"""How often rows due for a refresh are looked for: they have hours."""

MESSAGE_THREADS: Final = 4
"""Parallel requests about messages in hand (delete, hide, return), ten messages each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The ports to AWS."""

    runtimes: RuntimeWriter
    nodes: LeaseTable
    inbox: CommandInbox
    metrics: Metrics = field(default_factory=Metrics)
    """The metrics of the stores and of all other parts."""


class Services(NamedTuple):
    """A thread pool per purpose, so that nothing slow delays a heartbeat."""

    lease: Service
    rows: Service
    reads: Service
    poll: Service
    messages: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything `agent` drives, serves or closes."""

    settings: Settings
    health: Health
    services: Services
    ledger: Ledger
    engine: Engine
    peers: Peers | None
    probe: Probe
    lease: Lease
    flush: Flush
    sweep: Sweep
    drain: Drain
    events: Events
    control: Control
    metrics: Metrics


def build(settings: Settings, *, stores: Stores, clock: Clock, control_port: int) -> Parts:
    """Wire an agent. Must run inside the event loop. `control_port` is the port that was bound."""
    place = settings.place
    health, metrics = Health(clock.monotonic), stores.metrics
    services = _services(settings, health, Denials(clock))
    ledger = Ledger(clock.monotonic)
    registry = Registry(ledger)
    engine = Engine(settings.engine, token=settings.token())
    probe = Probe(engine=engine, registry=registry, health=health, metrics=metrics, silent_s=settings.lease_ttl_s)
    us = _our_row(settings, clock, control_port)
    lease = Lease(
        us=us,
        table=stores.nodes,
        service=services.lease,
        probe=probe,
        clock=clock,
        metrics=metrics,
        ttl_s=settings.lease_ttl_s,
        is_gone=at_home(settings.bind_host, control_port) if not settings.control_host else cannot_be_told,
        swept=lambda: sweep.done,
    )
    flush = Flush(
        place=place,
        registry=registry,
        ledger=ledger,
        table=stores.runtimes,
        service=services.rows,
        clock=clock,
        metrics=metrics,
        may_write=lease.ours,
        lifetime_s=settings.request_lifetime_s,
    )
    sweep = Sweep(
        place=place,
        registry=registry,
        ledger=ledger,
        table=stores.runtimes,
        service=services.reads,
        may_write=lease.surely_ours,
        monotonic=clock.monotonic,
        lifetime_s=settings.request_lifetime_s,
        at_once=max(1, settings.write_threads // 2),
    )
    signer = _signer(settings, clock)
    peers = Peers(networks=settings.peer_networks, signer=signer, health=health) if signer else None
    carrier = Carrier(
        place=place,
        engine=engine,
        probe=probe,
        registry=registry,
        nodes=stores.nodes,
        service=services.reads,
        clock=clock,
        forward=peers,
    )
    drain = Drain(
        place=place,
        inbox=stores.inbox,
        polling=services.poll,
        service=services.messages,
        carrier=carrier,
        metrics=metrics,
        may_take=lease.ours,
        clock=clock,
    )
    events = Events(registry=registry, probe=probe, metrics=metrics, token=_token_of_events(settings))
    control = Control(
        place=place, agent_id=us.agent_id, probe=probe, carrier=carrier, health=health, metrics=metrics, signer=signer
    )
    _watch(metrics, health, lease, clock)
    return Parts(
        settings=settings,
        health=health,
        services=services,
        ledger=ledger,
        engine=engine,
        peers=peers,
        probe=probe,
        lease=lease,
        flush=flush,
        sweep=sweep,
        drain=drain,
        events=events,
        control=control,
        metrics=metrics,
    )


class Loop(NamedTuple):
    """One loop and how to run it: its task has its `name`; `wake` ends a wait early."""

    name: str
    interval_s: float
    step: Step
    wake: asyncio.Event | None = None


def loops(parts: Parts) -> Iterator[Loop]:
    """Yield every loop except the draining ones, which end first."""
    heartbeat_s = parts.settings.heartbeat_interval_s
    yield Loop("probe", heartbeat_s, parts.probe.step, parts.probe.wake)
    yield Loop("lease", heartbeat_s, parts.lease.step, parts.probe.renewed)
    for number in range(parts.settings.write_threads):
        yield Loop(f"flush-{number}", IDLE_S, parts.flush.step, parts.ledger.wake)
    yield Loop("refresh", REFRESH_INTERVAL_S, parts.flush.refresh)
    yield Loop("sweep", IDLE_S, parts.sweep.step, parts.probe.resynced)
    yield Loop("extend", EXTEND_INTERVAL_S, parts.drain.extend)
    yield Loop("alive", ALIVE_INTERVAL_S, alive)
    yield Loop("remind", REMIND_INTERVAL_S, remind)


def draining(parts: Parts) -> Iterator[Loop]:
    """Yield the loops that take commands from the queue."""
    yield Loop("drain-0", POLL_GAP_S, parts.drain.step)
    for number in range(1, parts.settings.poll_threads):
        yield Loop(f"drain-{number}", IDLE_S, parts.drain.help, parts.drain.wake)


def _services(settings: Settings, health: Health, denials: Denials) -> Services:
    sides: dict[str, Any] = {"health": health, "denials": denials}
    return Services(
        lease=Service("dynamodb", size=1, **sides, purpose="lease"),
        rows=Service("dynamodb", size=settings.write_threads, **sides, purpose="rows"),
        reads=Service("dynamodb", size=2, **sides, purpose="reads"),
        poll=Service("sqs", size=settings.poll_threads, **sides, purpose="poll"),
        messages=Service("sqs", size=MESSAGE_THREADS, **sides, purpose="messages"),
    )


def _our_row(settings: Settings, clock: Clock, control_port: int) -> Node:
    return Node(
        site=settings.site,
        node=settings.node,
        session=Session(""),  # the probe knows it before anything is written
        lease_until_s=0.0,
        agent_id=secrets.token_hex(8),
        control_port=control_port,
        agent_version=__version__,
        started_at=rfc3339(clock.now_s()),
    )


def _signer(settings: Settings, clock: Clock) -> Signer | None:
    if settings.single_node_site or settings.peer_secret is None:
        return None
    return Signer(settings.peer_secret.get_secret_value(), clock)


def _token_of_events(settings: Settings) -> str | None:
    return None if settings.listen.path else settings.token()


def _is_in(lease: Lease, state: type) -> float:
    return float(isinstance(lease.state, state))


def _watch(metrics: Metrics, health: Health, lease: Lease, clock: Clock) -> None:
    """Make gauges read their values when scraped."""
    metrics.clock_set.set_function(lambda: float(clock.synchronised))
    metrics.lease.set_function(lease.count_down)
    for state in STATES:
        metrics.lease_state.labels(state=state.__name__).set_function(partial(_is_in, lease, state))
    metrics.side_up.labels(side="engine").set_function(lambda: float(health.engine_up))
    metrics.unreadable_rows.set_function(lambda: float(health.unreadable_rows))
    metrics.side_up.labels(side="aws").set_function(lambda: float(health.aws_up))
    metrics.side_up.labels(side="peers").set_function(lambda: float(health.peers_up))
