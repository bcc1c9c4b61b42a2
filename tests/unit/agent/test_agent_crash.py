"""An engine that crashed with 20,000 scripts: its rows go in two minutes of virtual time, and live ones never wait."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from ivr_agent.aws.clock import Clock
from ivr_agent.engine.memory import EPOCH_S
from ivr_agent.metrics import Metrics
from ivr_agent.process.loop import every
from ivr_agent.protocol.wire import RuntimeState, Snapshot
from ivr_agent.rows.flush import YIELD_FIRST_S, Flush
from ivr_agent.rows.ledger import LINGER_S, Ledger
from ivr_agent.rows.registry import Registry
from ivr_agent.rows.sweep import CLEAR_WITHIN_S, FASTEST_S, PACE_S, Sweep, pace_s
from ivr_agent.settings import Place
from ivr_agent.wiring import IDLE_S
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import Domain, RuntimeId, Session
from ivr_runtimes.ports import MAX_WRITES, WriteBatch
from ivr_runtimes.stores.memory import MemoryStore

T = TypeVar("T")
S1, S0 = Session("s-1"), Session("s-0")
DEAD = 20_000
LATENCY_S = 0.03
WRITERS = 4
STARTS_PER_S = 40
"""Live load: so many scripts begin each second."""

State = Callable[..., RuntimeState]


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once whenever nothing is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]  # asyncio's own name for it
        select = selector.select

        def jump(timeout_s: float | None) -> Any:
            self._now_s += timeout_s or 0.0
            return select(0)

        selector.select = jump

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now_s


@dataclass
class Table(MemoryStore):
    """A table that takes `rows_per_s` at most, as DynamoDB throttles: a part of a batch, or nothing at all."""

    now_s: Callable[[], float]
    rows_per_s: float = float("inf")
    offered: list[tuple[float, int, int]] = field(default_factory=list)
    """When, how many puts, how many deletes of the dead."""
    _left: float = 0.0
    _at_s: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        dead = [id_ for id_ in batch.deletes if id_.startswith("dead")]
        self.offered.append((self.now_s(), len(batch.puts), len(dead)))
        passed_s, self._at_s = self.now_s() - self._at_s, self.now_s()
        self._left = min(self.rows_per_s, self._left + passed_s * self.rows_per_s)
        room = int(min(self._left, len(batch.ids)))
        self._left -= room
        if room == 0:
            raise StoreUnavailableError("ProvisionedThroughputExceededException")
        over = {*[*(row.id for row in batch.puts), *batch.deletes][room:]}
        puts = [row for row in batch.puts if row.id not in over]
        super().write(WriteBatch(site=batch.site, puts=puts, deletes=[i for i in batch.deletes if i not in over]))
        return over


class Node:
    """The writing half of an agent, as `agent` drives it, whose engine has just come back after a crash."""

    def __init__(self, place: Place, state: State, *, dead: int) -> None:
        self.now_s = asyncio.get_running_loop().time
        self.table = Table(self.now_s)
        self.ledger = Ledger(self.now_s)
        self.registry = Registry(self.ledger)
        self._first: dict[RuntimeId, float] = {}
        self._state = state
        self._stop = asyncio.Event()
        clock = Clock(monotonic=self.now_s, wall=lambda: EPOCH_S + self.now_s())
        parts: dict[str, Any] = {"place": place, "registry": self.registry, "ledger": self.ledger}
        parts |= {"table": self.table, "service": self._service, "may_write": lambda: True, "lifetime_s": 6.0}
        flush = Flush(**parts, clock=clock, metrics=Metrics())
        sweep = Sweep(**parts, monotonic=self.now_s, at_once=WRITERS // 2)
        self._loops = [every(IDLE_S, flush.step, self._stop, wake=self.ledger.wake) for _ in range(WRITERS)]
        self._loops.append(every(IDLE_S, sweep.step, self._stop))
        row = state(1).row(place.site, place.node, S0, lwt="2019-11-05T08:36:40Z")
        rows = [replace(row, id=RuntimeId(f"dead-{number}")) for number in range(dead)]
        MemoryStore.write(self.table, WriteBatch(site=place.site, puts=rows))
        self.registry.adopt(Snapshot(S1, 0, {}, {}))

    async def run(self, for_s: float) -> None:
        """Let it run with a live load for so many virtual seconds."""
        loops = [asyncio.create_task(loop) for loop in self._loops]
        load = asyncio.create_task(self._live())
        await asyncio.sleep(for_s)
        self._stop.set()
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load
        await asyncio.gather(*loops)

    @property
    def lags_s(self) -> list[float]:
        """Return for how long each live row waited to be in the table for the first time."""
        return list(self._first.values())

    def left(self) -> int:
        """Count the dead rows that are still there."""
        return sum(row.session == S0 for row in self.table.of_domain(Domain("test.rootdomain.ru")))

    async def _service(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        await asyncio.sleep(LATENCY_S)
        result = call(*args, **kwargs)
        if args and isinstance(args[0], WriteBatch) and isinstance(result, set):
            for row in args[0].puts:
                if row.id not in result:
                    self._first.setdefault(row.id, self.now_s() - float(row.code))
        return result

    async def _live(self) -> None:
        seq = 0
        while True:
            seq += 1
            self.registry.put(S1, seq, self._state(seq, code=str(self.now_s())))
            await asyncio.sleep(1 / STARTS_PER_S)


def lived(place: Place, state: State, drive: Callable[[Node], Coroutine[Any, Any, None]], *, dead: int = DEAD) -> Node:
    """Run a node in virtual time, as `drive` says, and return it."""

    async def live() -> Node:
        node = Node(place, state, dead=dead)
        await drive(node)
        return node

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(live())


def test_20_000_dead_rows_are_gone_within_two_minutes_and_live_ones_never_wait_for_them(
    place: Place, state: State
) -> None:
    """Ten minutes after 18,000 scripts had crashed a list still read 9,635 dead rows to show 36."""
    swept = lived(place, state, lambda node: node.run(120))
    alone = lived(place, state, lambda node: node.run(30), dead=0)
    assert swept.left() == 0
    assert len(swept.lags_s) > 100 * STARTS_PER_S
    assert max(alone.lags_s) <= LINGER_S + 2 * LATENCY_S
    assert max(swept.lags_s) <= max(alone.lags_s) + 0.001
    assert all(puts == 0 or dead == 0 for _, puts, dead in swept.table.offered), "never in one request with live ones"


def test_the_sweep_yields_to_a_table_that_throttles_and_goes_on_when_it_no_longer_does(
    place: Place, state: State
) -> None:
    """What throttles the dead rows must not throttle the living: a table that takes little is left to them."""

    async def drive(node: Node) -> None:
        loops = asyncio.create_task(node.run(160))
        await asyncio.sleep(10)
        node.table.rows_per_s = STARTS_PER_S * 1.5
        await asyncio.sleep(60)
        node.table.rows_per_s = float("inf")
        await loops

    node = lived(place, state, drive)
    throttled = [dead for at_s, _, dead in node.table.offered if 15 < at_s < 70]
    unthrottled = [dead for at_s, _, dead in node.table.offered if 75 < at_s < 130]
    assert sum(throttled) < sum(unthrottled) / 4, "it offered the table far less"
    assert sorted(node.lags_s)[len(node.lags_s) * 99 // 100] < YIELD_FIRST_S, "what lives was written all the while"
    assert node.left() == 0


@pytest.mark.parametrize(
    ("rows", "every_s"),
    [
        (0, PACE_S),
        (1, PACE_S),
        (2_250, PACE_S),
        (4_500, 0.5),
        (20_000, 0.1125),
        (45_000, FASTEST_S),
        (10**6, FASTEST_S),
    ],
)
def test_the_pace_follows_the_number_of_rows(rows: int, every_s: float) -> None:
    assert pace_s(rows) == pytest.approx(every_s)
    assert rows / MAX_WRITES * pace_s(rows) <= max(CLEAR_WITHIN_S + PACE_S, rows / MAX_WRITES * FASTEST_S)
