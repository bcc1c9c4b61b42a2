"""bench-list: the CPU of listing 10,000 runtimes, no parameters, from event to response.

Three contenders in turn: the list function, the baseline, and the bound: what reading the same bytes and writing the
same answer cost at the very least. Run by `make bench-list`.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from benchmarks import canned, fleet, report
from benchmarks.function import BASELINE, OURS, Function, started

ROWS: Final = 10_000
NODES: Final = 40


class Text(msgspec.Struct):
    """A string attribute."""

    S: str


class Row(msgspec.Struct):
    """The documented attributes of an item; the others are skipped."""

    id: Text
    site: Text
    node: Text
    domain: Text
    type: Text
    code: Text
    name: Text
    starttime: Text


class Page(msgspec.Struct):
    """A Query's answer."""

    Items: list[Row]


class Shown(msgspec.Struct):
    """A runtime as the API shows it."""

    id: str
    site: str
    node: str
    domain: str
    type: str
    code: str
    name: str
    starttime: str


def bound(pages: list[bytes], answer: list[Shown]) -> Callable[[], float]:
    """Return a run that decodes the pages and encodes the answer, with nothing in between; it returns CPU in ms."""
    decoder, encoder = msgspec.json.Decoder(Page), msgspec.json.Encoder()

    def run() -> float:
        begun_ns = time.process_time_ns()
        decoded = [decoder.decode(page) for page in pages]
        encoder.encode(answer).decode()
        cpu_ms = (time.process_time_ns() - begun_ns) / 1e6
        del decoded
        return cpu_ms

    return run


def same_answer(ours: Function, baseline: Function) -> list[dict[str, Any]]:
    """Return the rows that both list; raises `RuntimeError` if they differ."""
    rows = ours(fleet.event()).rows
    if rows != baseline(fleet.event()).rows or len(rows) != ROWS:
        raise RuntimeError("the function and the baseline do not list the same rows")
    return rows


def main() -> None:
    """Measure and tell."""
    report.head(f"bench-list: CPU in ms of one list of {ROWS:,} runtimes on {NODES} nodes")
    with canned.running(rows=ROWS, nodes=NODES) as endpoint:
        environment = fleet.environment(endpoint)
        with started(OURS, environment) as ours, started(BASELINE, environment) as baseline:
            rows = same_answer(ours, baseline)
            pages = canned.fetch(endpoint)
            report.say(f"  {len(pages)} pages of {sum(map(len, pages)):,} bytes in all")
            medians = report.in_turn(
                {
                    "list_runtimes": lambda: ours(fleet.event()).cpu_ms,
                    "powertools_resource": lambda: baseline(fleet.event()).cpu_ms,
                    "bound": bound(pages, msgspec.convert(rows, list[Shown])),
                }
            )
    report.tell(
        {
            "list_cpu_vs_powertools_resource": round(medians["list_runtimes"] / medians["powertools_resource"], 3),
            "list_cpu_vs_bound": round(medians["list_runtimes"] / medians["bound"], 2),
            "list_cpu_ms": round(medians["list_runtimes"], 1),
        }
    )


if __name__ == "__main__":
    main()
