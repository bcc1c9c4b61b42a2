"""bench-page: what a page of 50 costs in domains of 1,000, 10,000 and 100,000 runtimes, with 4 and with 1,000 nodes.

Pages by starttime either way: the first one, and one in the middle reached by the cursor of the `Link` header. Calls
and read units are counted on the wire before dynalite; CPU is the handler's. Every measured call comes more than a
second after the one before it in the same process, so that the nodes are read each time. Run by `make bench-page`.
"""

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks import dynalite, fleet, meter, report
from benchmarks.dynalite import Dynalite
from benchmarks.fleet import Item
from benchmarks.function import OURS, Function, started
from benchmarks.meter import Meter

SIZES: Final = (1_000, 10_000, 100_000)
NODES: Final = (4, 1_000)
ORDERS: Final = ("starttime", "-starttime")
LIMIT: Final = 50
RUNS: Final = 5
APART_S: Final = 1.05
"""One reading of the nodes serves for a second."""

RESPREAD: Final = 200
"""So many rows at either end and on both sides of the middle move to other nodes when there are more nodes."""

PATIENCE_S: Final = 1.5
"""A page that takes longer when warmed up is not asked for again: the figures of that call stand."""


@dataclass(slots=True)
class Cell:
    """One page asked for again and again, and what was counted each time."""

    function: Function
    size: int
    order: str
    nodes: int
    after: str | None = None
    calls: list[int] = field(default_factory=list)
    units: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    slow: bool = False

    def ask(self, meter: Meter, *, warm_up: bool) -> None:
        """Ask for the page once and note what it cost."""
        if self.slow:
            return
        meter.take()
        begun_s = time.monotonic()
        called = self.function(fleet.event(self.query, domain=domain_of(self.size)))
        self.slow = time.monotonic() - begun_s > PATIENCE_S
        if len(called.rows) != LIMIT:
            raise RuntimeError(f"{len(called.rows)} rows instead of {LIMIT}: {self.query}")
        if warm_up and not self.slow:
            return
        calls, units = meter.take()
        self.calls.append(calls)
        self.units.append(units)
        self.cpu_ms.append(called.cpu_ms)

    @property
    def query(self) -> str:
        """The raw query string."""
        return self.after or f"order={self.order}&limit={LIMIT}"

    def __str__(self) -> str:
        """Say it in a line."""
        place = "middle" if self.after else "first "
        times = "  SLOW: asked once" if self.slow else ""
        return (
            f"  {self.nodes:5} nodes {self.size:8,} rows {self.order:>10} {place}  calls {max(self.calls):3}"
            f"  units {max(self.units):8.1f}  CPU {statistics.median(self.cpu_ms):8.2f} ms{times}"
        )


def domain_of(size: int) -> str:
    """Return the domain that has so many runtimes."""
    return f"rows-{size}.example"


def load(server: Dynalite) -> None:
    """Write all rows, on 4 nodes."""
    for size in SIZES:
        server.put(fleet.RUNTIMES_TABLE, fleet.runtimes(size, nodes=NODES[0], domain=domain_of(size)))


def respread(nodes: int) -> Iterator[Item]:
    """Yield the rows that pages are cut from, spread over so many nodes."""
    for size in SIZES:
        middle = size // 2
        windows = (0, RESPREAD), (middle - RESPREAD, middle + RESPREAD), (size - RESPREAD, size)
        for number in (number for window in windows for number in range(*window)):
            yield fleet.runtime(number, nodes=nodes, domain=domain_of(size))


def following(function: Function, *, size: int, order: str) -> str | None:
    """Return the query of the page after the middle one, from its Link header; None if it has none."""
    query = f"order={order}&offset={size // 2 - LIMIT}&limit={LIMIT}"
    response = function(fleet.event(query, domain=domain_of(size))).response
    link = re.fullmatch(r'<[^?>]*\?([^>]*)>; *rel="next"', response["headers"].get("link", ""))
    return link[1] if link else None


def cells(functions: dict[tuple[int, str], Function], nodes: int) -> tuple[list[Cell], list[Cell]]:
    """Return the first pages and the pages in the middle."""
    first = [Cell(function, size, order, nodes) for (size, order), function in functions.items()]
    middle = []
    for (size, order), function in functions.items():
        after = following(function, size=size, order=order)
        if after is None:
            report.say("  SKIPPED: no Link header, so no page in the middle can be asked for")
            return first, []
        middle.append(Cell(function, size, order, nodes, after))
    return first, middle


def measure(server: Dynalite, meter: Meter, groups: tuple[list[Cell], list[Cell]], nodes: int) -> None:
    """Ask for every page in turn, one warm-up and five times."""
    for run in range(-1, RUNS):
        for group in filter(None, groups):
            begun_s = time.monotonic()
            server.put(fleet.NODES_TABLE, fleet.nodes(nodes))
            for cell in group:
                cell.ask(meter, warm_up=run < 0)
            time.sleep(max(0.0, APART_S - (time.monotonic() - begun_s)))
    for cell in (cell for group in groups for cell in group):
        report.say(str(cell))


def figures(measured: list[Cell], prefix: str) -> dict[str, float | None]:
    """Return the figures of pages of one kind: the worst of any order and number of nodes."""
    names = ("calls", "calls_spread", "read_units", "read_units_spread", "cpu_ratio_100k_to_1k")
    if not measured:
        return {prefix + name: None for name in names}
    calls = [max(cell.calls) for cell in measured]
    alike = [[cell for cell in measured if cell.nodes == nodes] for nodes in NODES]
    spreads = [max(max(c.units) for c in same) - min(max(c.units) for c in same) for same in alike]
    cpu = {(cell.nodes, cell.order, cell.size): statistics.median(cell.cpu_ms) for cell in measured}
    ratios = [cpu[nodes, order, SIZES[-1]] / cpu[nodes, order, SIZES[0]] for nodes in NODES for order in ORDERS]
    values = (max(calls), max(calls) - min(calls), max(max(c.units) for c in measured), max(spreads), max(ratios))
    return {prefix + name: round(value, 2) for name, value in zip(names, values, strict=True)}


def main() -> None:
    """Load, measure and tell."""
    report.head(f"bench-page: a page of {LIMIT} by starttime, on dynalite")
    first: list[Cell] = []
    middle: list[Cell] = []
    with ExitStack() as stack:
        server = stack.enter_context(dynalite.running())
        counted = stack.enter_context(meter.before(server.endpoint))
        environment = fleet.environment(counted.endpoint)
        functions = {(s, o): stack.enter_context(started(OURS, environment)) for s in SIZES for o in ORDERS}
        begun_s = time.monotonic()
        load(server)
        report.say(f"  {sum(SIZES):,} rows loaded in {time.monotonic() - begun_s:.1f} s")
        for nodes in NODES:
            server.put(fleet.NODES_TABLE, fleet.nodes(nodes))
            server.put(fleet.RUNTIMES_TABLE, respread(nodes))
            groups = cells(functions, nodes)
            measure(server, counted, groups, nodes)
            first += groups[0]
            middle += groups[1]
    report.tell(figures(first, "page_") | figures(middle, "page_after_"))


if __name__ == "__main__":
    main()
