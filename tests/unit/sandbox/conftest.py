"""Parts of a sandbox in virtual time: tests let seconds pass at once and read the events the agent would get."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from ivr_engine.model import Event
from ivr_sandbox.clock import VirtualTime
from ivr_sandbox.engine import Engine
from ivr_sandbox.library import parse

STARTED_US = 1_572_943_000_025_000
"""2019-11-05T08:36:40.025Z, as in the first example of the REST contract."""


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def make_engine(time: VirtualTime, events: list[Event]) -> Callable[..., Engine]:
    """Make an engine of the given scripts' texts, whose events land in `events`."""

    def make(*scripts: str, **settings: Any) -> Engine:
        return Engine(
            session="session-1",
            node_number=6,
            library={script.code: script for script in map(parse, scripts)},
            scheduler=time,
            now_us=lambda: STARTED_US,
            publish=events.append,
            **settings,
        )

    return make


@pytest.fixture
def rng() -> Random:
    return Random(1)  # noqa: S311  # a caller, not a secret
