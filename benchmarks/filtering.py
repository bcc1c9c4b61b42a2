"""bench-filter: the dearest filter within the limits, over 1,000 runtimes, found by a search.

A candidate is an atom (a test that is dear, or many of which fit) repeated until 4,096 bytes are full, wrapped to depth
16 or not. All atoms are tried in every frame; then the best ones are varied at random for as long as the time lasts.
What counts is the CPU of the whole handler, from event to response, less that of a list without a filter: what the
filter costs. The baseline is the same predicate written by hand (`bare`), over the same rows in the same run.
Run by `make bench-filter`.
"""

import itertools
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote

from benchmarks import bare, canned, fleet, report
from benchmarks.function import OURS, Function, started

ROWS: Final = 1_000
NODES: Final = 4
MAX_BYTES: Final = 4096
MAX_DEPTH: Final = 16
SEARCH_S: Final = 30.0
SEED: Final = 20261123
ROUNDS: Final = 11
BEST: Final = 5
"""How many of the dearest are varied, and measured again at the end."""

FIELDS: Final = ("id", "node", "name", "code", "site", "domain", "starttime", "ext.lwt", "ext.session", "ext.rootname")
TIMES: Final = ("starttime", "ext.lwt")
PATTERNS: Final = (
    "%a%",
    "%_%",
    "%0%0%0%0%",
    "%-____-%",
    "%-_0_-%",
    "%0__-%",
    "%_0%_0%_0%_0%",
    "%________________0%",
    "%_a%_b%_c%_d%_e%_f%_g%",
    "%" + "_" * 200 + "%",
    "%" + "_0" * 15 + "%",
    "%" + "%_%" * 60 + "x",
    r"%\%%\_%",
    "%0%1%2%3%4%5%6%7%8%9%a%b%c%d%e%f%z",
    "________-____-____-____-___________z",
)
"""Shapes that cost matchers most: many gaps, long runs of `_` between gaps, near misses at the very end."""

FRAMES: Final = ("or", "and", "not or", "shorthand", "in")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A filter to be: `frame` around copies of `operator` on `field` with `constant`; `nested`: as deep as may be."""

    frame: str
    operator: str
    field: str
    constant: str
    nested: bool = False

    def document(self) -> Any:
        """Return the filter's JSON, as many copies as fit."""
        low, high = 1, MAX_BYTES
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if size(self._of(middle)) <= MAX_BYTES else (low, middle - 1)
        return self._of(low)

    def _of(self, copies: int) -> Any:
        if self.frame == "shorthand":
            return {self.field: [self._constant(number) for number in range(copies)]}
        if self.frame == "in":
            return ["in", ["property", self.field], [self._constant(number) for number in range(copies)]]
        joined = [self.frame.removeprefix("not "), *map(self._atom, range(copies))]
        return ["not", joined] if self.frame == "not or" else joined

    def _atom(self, number: int) -> Any:
        property_ = ["property", self.field]
        atom: list[Any] = [self.operator, property_, self._constant(number)]
        if self.operator == "isnull":
            atom = ["isnull", property_]
        # Each level is an operator around one operand; the frame and the atom take three levels.
        for _ in range(MAX_DEPTH - 3 - (self.frame == "not or") if self.nested else 0):
            atom = ["!", atom]
        return atom

    def _constant(self, number: int) -> str:
        if self.field in TIMES:
            return f"{2000 + number}-11-01T00:00:00Z"
        # No two atoms alike where a pattern has a 0, so that judging each of them once is no way out.
        return self.constant.replace("0", f"{number:02x}") if self.operator == "like" else f"{self.constant}{number}"


def size(document: Any) -> int:
    """Return a filter's size as the limit counts it: bytes of UTF-8 after percent-decoding."""
    return len(written(document).encode())


def written(document: Any) -> str:
    """Return a filter as text, as short as JSON goes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def seeds() -> Iterator[Candidate]:
    """Yield every atom in every frame that it fits into."""
    for frame, field, pattern in itertools.product(FRAMES[:3], FIELDS[:3], PATTERNS):
        yield Candidate(frame, "like", field, pattern)
    for frame, operator, field in itertools.product(FRAMES[:3], ("==", "!=", "<", ">=", "isnull"), FIELDS):
        yield Candidate(frame, operator, field, "x")
        yield Candidate(frame, operator, field, "x", nested=True)
    for frame, field in itertools.product(FRAMES[3:], FIELDS):
        yield Candidate(frame, "==", field, "x")


def varied(candidate: Candidate, chance: random.Random) -> Candidate:
    """Return a candidate that differs in one respect."""
    if candidate.operator != "like":
        return replace(candidate, field=chance.choice(FIELDS), nested=chance.random() < 0.5)
    kind = chance.randrange(4)
    if kind == 0:
        return replace(candidate, field=chance.choice(FIELDS[:3]))
    if kind == 1:
        return replace(candidate, frame=chance.choice(FRAMES[:3]))
    at = chance.randrange(len(candidate.constant) + 1)
    piece = chance.choice(("%", "_", "_" * 8, "0", "-", "a", "%_0", "%0_"))
    cut = at + (chance.randrange(6) if kind == 3 else 0)
    constant = candidate.constant[:at] + piece + candidate.constant[cut:]
    return replace(candidate, constant=constant.replace("\\", "")[:1000])


def cost(function: Function, candidate: Candidate) -> float:
    """Return the CPU in ms of one list with that filter; raises `RuntimeError` unless the filter is taken."""
    called = function(fleet.event("filter=" + quote(written(candidate.document()))))
    if called.response["statusCode"] != 200:
        raise RuntimeError(f"refused: {called.response['body']}")
    return called.cpu_ms


def bare_cost(candidate: Candidate, rows: list[SimpleNamespace]) -> float:
    """Return the CPU in ms of the same predicate as somebody would write it for this one filter, over the rows.

    Patterns are compiled within the time, since a filter arrives with its request; Python's own compiling is not.
    """
    predicate = bare.predicate(candidate.document())
    begun_ns = time.process_time_ns()
    keep = predicate()
    kept = [row for row in rows if keep(row)]
    spent_ms = (time.process_time_ns() - begun_ns) / 1e6
    assert len(kept) <= len(rows)
    return spent_ms


def search(function: Function) -> tuple[dict[Candidate, float], int]:
    """Return the dearest candidates found in the time, with their cost, and how many were tried."""
    chance, deadline_s = random.Random(SEED), time.monotonic() + SEARCH_S  # noqa: S311  # no secret
    first = list(seeds())
    chance.shuffle(first)
    costs: dict[Candidate, float] = {}
    for candidate in first:
        costs[candidate] = cost(function, candidate)
        if time.monotonic() > deadline_s - SEARCH_S / 3:
            report.say(f"  the time was up after {len(costs)} of {len(first)} seeds")
            break
    while time.monotonic() < deadline_s:
        candidate = varied(chance.choice(dearest(costs)), chance)
        if candidate not in costs:
            costs[candidate] = cost(function, candidate)
    return {candidate: costs[candidate] for candidate in dearest(costs)}, len(costs)


def dearest(costs: dict[Candidate, float]) -> list[Candidate]:
    """Return the dearest few."""
    return sorted(costs, key=costs.__getitem__, reverse=True)[:BEST]


def main() -> None:
    """Search, measure the dearest again beside the same by hand, and tell."""
    report.head(f"bench-filter: CPU in ms of one list of {ROWS:,} runtimes with the dearest filter")
    rows = [bare.row(item) for item in fleet.runtimes(ROWS, nodes=NODES)]
    with canned.running(rows=ROWS, nodes=NODES) as endpoint, started(OURS, fleet.environment(endpoint)) as function:
        function(fleet.event())
        found, tried = search(function)
        report.say(f"  {tried} filters tried; the dearest again, each beside the same by hand, {ROUNDS} times in turn:")
        contenders: dict[str, Callable[[], float]] = {"no filter": lambda: function(fleet.event()).cpu_ms}
        for number, candidate in enumerate(found, 1):
            report.say(f"  {number}: {written(candidate.document())[:110]}")
            contenders[f"{number} ours"] = partial(cost, function, candidate)
            contenders[f"{number} by hand"] = partial(bare_cost, candidate, rows)
        again = report.rounds(contenders, runs=ROUNDS)
    numbers = range(1, len(found) + 1)
    report.tell(
        {
            "filter_worst_vs_bare": round(max(versus_bare(again, number) for number in numbers), 2),
            "filter_worst_ms": round(max(statistics.median(again[f"{number} ours"]) for number in numbers), 1),
            "filter_none_ms": round(statistics.median(again["no filter"]), 1),
        }
    )


def versus_bare(again: dict[str, list[float]], number: int) -> float:
    """Return the median of a candidate's ratios to the same by hand, each of two runs that followed each other."""
    none_ms = statistics.median(again["no filter"])
    pairs = zip(again[f"{number} ours"], again[f"{number} by hand"], strict=True)
    return statistics.median((ours_ms - none_ms) / bare_ms for ours_ms, bare_ms in pairs)


if __name__ == "__main__":
    main()
