"""How figures are taken and told: medians of runs in turn, lines for people, one JSON object at the end for programs.

Never judges: the bounds stand beside the figures in benchmarks/README.md, and a reader compares.
"""

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping
from typing import Final

RUNS: Final = 7
"""Runs of each contender: an odd number, at least five, so that the median is one of them."""


def in_turn(contenders: Mapping[str, Callable[[], float]], *, runs: int = RUNS, warm_ups: int = 1) -> dict[str, float]:
    """Let each contender run once, then each again, and so on; return the median of what each run returned."""
    taken = rounds(contenders, runs=runs, warm_ups=warm_ups)
    return {name: statistics.median(figures) for name, figures in taken.items()}


def rounds(
    contenders: Mapping[str, Callable[[], float]], *, runs: int = RUNS, warm_ups: int = 1
) -> dict[str, list[float]]:
    """Let each contender run once, then each again, and so on; return what each returned in each round.

    Where a machine's speed changes from second to second, the ratio of two contenders within a round changes less than
    either of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for run in range(-warm_ups, runs):
        for name, contender in contenders.items():
            figure = contender()
            if run >= 0:
                taken[name].append(figure)
    for name, figures in taken.items():
        say(f"  {name:<28} median {statistics.median(figures):8.2f}   of {_row(figures)}")
    return taken


def head(title: str) -> None:
    """Say what is measured, and on what."""
    say(f"{title} (CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors)")


def say(line: str) -> None:
    """Print a line for people."""
    print(line, flush=True)  # a program's output


def tell(figures: Mapping[str, object]) -> None:
    """Print the last line: one JSON object."""
    say(json.dumps(figures))


def _row(figures: list[float]) -> str:
    return " ".join(f"{figure:.2f}" for figure in figures)
