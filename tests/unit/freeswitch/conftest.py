from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from esl.world import World, worlds


@pytest.fixture
async def unstarted(tmp_path: Path) -> AsyncIterator[World]:
    """A scripted FreeSWITCH, and a bridge that has not been started."""
    async with worlds(f"{tmp_path}/esl") as world:
        yield world


@pytest.fixture
async def world(unstarted: World) -> World:
    """A bridge that knows its engine."""
    unstarted.start()
    await unstarted.ready()
    return unstarted
