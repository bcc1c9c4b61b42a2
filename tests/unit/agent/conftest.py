"""An agent's parts on manual time and in-memory stores; and a check that no test leaves a task behind."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from io import StringIO
from typing import Any

import msgspec
import pytest

from ivr_agent.aws.clock import Clock
from ivr_agent.aws.denial import Denials
from ivr_agent.engine.memory import ManualTime, MemoryEngine
from ivr_agent.engine.probe import Probe
from ivr_agent.health import Health
from ivr_agent.metrics import Metrics
from ivr_agent.process import log
from ivr_agent.process.log import JsonLines
from ivr_agent.process.repeats import Repeats
from ivr_agent.protocol.wire import RuntimeState
from ivr_agent.rows.ledger import Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.settings import Place
from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import NodeName, Site
from ivr_runtimes.model import Verb
from ivr_runtimes.stores.memory import MemoryStore


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own agent settings out of the tests."""
    for name in [name for name in os.environ if name.startswith("IVR_AGENT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def place() -> Place:
    return Place(site=Site("SITE1"), node=NodeName("site1_h6@192.168.0.12"))


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def clock(time: ManualTime) -> Clock:
    return time.clock()


@pytest.fixture
def health(time: ManualTime) -> Health:
    return Health(time)


@pytest.fixture
def denials(clock: Clock) -> Denials:
    return Denials(clock)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def ledger(time: ManualTime) -> Ledger:
    return Ledger(time)


@pytest.fixture
def registry(ledger: Ledger) -> Registry:
    return Registry(ledger)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def probe(engine: MemoryEngine, registry: Registry, health: Health, metrics: Metrics) -> Probe:
    return Probe(engine=engine, registry=registry, health=health, metrics=metrics)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state() -> Callable[..., RuntimeState]:
    """Make a runtime's full state; runtimes are numbered."""

    def make(number: int = 6, **changes: Any) -> RuntimeState:
        values = {
            "id": f"244f84aa-0624-e639-8061-{number:012x}",
            "domain": "test.rootdomain.ru",
            "type": "ivr",
            "code": "player",
            "name": "TEST PLAY",
            "starttime": "2019-11-05T08:36:40Z",
            "state": "running",
        }
        return RuntimeState.model_validate(values | changes)

    return make


@pytest.fixture
def command(state: Callable[..., RuntimeState], clock: Clock, place: Place) -> Callable[..., Command]:
    """Make a command for a numbered runtime of this node."""

    def make(number: int = 6, **changes: Any) -> Command:
        values = {
            "stop_id": f"stop-{number}",
            "verb": Verb.EXTERNAL_STOP,
            "site": place.site,
            "node": place.node,
            "session": "s-1",
            "runtime_id": state(number).id,
            "domain": "test.rootdomain.ru",
            "requested_by": "operator-1",
            "reason": "the caller asked for it",
            "accepted_at_s": clock.now_s(),
            "deadline_s": clock.now_s() + 3600,
        }
        return msgspec.convert(values | changes, Command)

    return make


@pytest.fixture
def repeats(time: ManualTime, written: StringIO) -> Iterator[Repeats]:
    """The log as `log.start_log` makes it, on a clock of ours and into memory."""
    target = logging.StreamHandler(written)
    target.setFormatter(JsonLines())
    handler, root, level = Repeats(target, time), logging.getLogger(), log.LOGGER.level
    root.addHandler(handler)
    log.LOGGER.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    log.LOGGER.setLevel(level)


@pytest.fixture
def written() -> StringIO:
    return StringIO()


@pytest.fixture
def said(repeats: Repeats, written: StringIO) -> Callable[[], list[dict[str, Any]]]:
    """Return the lines of the log so far."""
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]
