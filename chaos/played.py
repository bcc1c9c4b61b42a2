"""An engine that the harness plays beside the sandboxes: its calls, what is broken with it, and when.

Owns the two loops that each such engine needs: one lets calls in, one upsets it. `pbx` and `switch` are the engines;
`run` makes them and has the stack start the real bridge to each.
"""

import asyncio
import itertools
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import ClassVar, Final

from chaos.history import Trouble
from chaos.schedule import Upset

CODES: Final = ("survey", "endless", "player", "stubborn", "nested", "survey")
"""What callers ask for, by turns."""

CALLS_PER_MINUTE: Final = 150.0

BACK_S: Final = 6.0
"""A bridge's longest pause between connections (5 s), and a moment to list all channels."""


LIVES: Final = itertools.count(-1, -1)
"""Numbers for the lives of played engines, where a process has its id: none comes twice in a run."""


class PlayedEngine(ABC):
    """The engine of one node. `life` is the number of its present life, `killed` maps earlier ones to their ends."""

    upsettings: ClassVar[type[StrEnum]]
    """The ways in which it is upset."""

    deadly: ClassVar[frozenset[StrEnum]]
    """Those that end its process."""

    def __init__(self, *, node: str, records: Path, domains: Sequence[str], seed: int) -> None:
        self.node, self.records = node, records
        self._domains, self._seed = domains, seed
        self.life = 0
        self.killed: dict[int, float] = {}
        self.troubles: list[Trouble] = []
        self.upsets: Counter[str] = Counter()
        self._calls: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Let calls in from now on."""
        self._calls = asyncio.create_task(self._let_in())

    async def stop(self) -> None:
        """End it."""
        if self._calls:
            self._calls.cancel()
            with suppress(asyncio.CancelledError):
                await self._calls
        await self.close()

    async def rage(self, upsets: Sequence[Upset]) -> None:
        """Upset it at each of these times, until cancelled."""
        began_at = time.time()
        for upset in upsets:
            await asyncio.sleep(max(0.0, began_at + upset.at_s - time.time()))
            since = time.time()
            try:
                await self.upset(upset)
            finally:
                self.upsets[str(upset.what)] += 1
                await self.calm_down()
                what = "process" if upset.what in self.deadly else "slow"
                self.troubles.append(Trouble(self.node, what, since, time.time() + BACK_S))

    def begin(self) -> None:
        """Begin a life; one before it was killed."""
        if self.life:
            self.killed[self.life] = time.time()
        self.life = next(LIVES)

    async def _let_in(self) -> None:
        chance = Random(f"{self._seed}/{self.node}/calls")
        for domain, code in zip(itertools.cycle(self._domains), itertools.cycle(CODES), strict=False):
            await asyncio.sleep(chance.uniform(0.5, 1.5) * 60 / CALLS_PER_MINUTE)
            self.call(code, domain=domain, number=f"+1555{chance.randrange(10**7):07}")

    @abstractmethod
    def environment(self, *, listen: str, agent: str) -> dict[str, str]:
        """Return the settings of its bridge, which serves its agent there."""

    @abstractmethod
    def call(self, code: str, *, domain: str, number: str) -> None:
        """Let a call in, if calls come in just now."""

    @abstractmethod
    async def upset(self, upset: Upset) -> None:
        """Break it in this way, for so long."""

    @abstractmethod
    async def calm_down(self) -> None:
        """End every upset, also one that peace has cut short."""

    @abstractmethod
    async def start(self) -> None:
        """Begin its first life and listen."""

    @abstractmethod
    async def close(self) -> None:
        """End it; no calls come in any more."""
