"""docs/scale.md: its tables are what the program prints, its figures those that the benchmarks kept."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from benchmarks import record

from emulators import ROOT
from ivr_local.template import Stack, expand

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
FIGURES: dict[str, Any] = json.loads((ROOT / "benchmarks" / "units.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def printed() -> str:
    command = [sys.executable, "-m", "delivery.scale"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def cells(printed: str, row: str) -> list[float]:
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {row}")]
    return [float(cell.strip(" *").replace(",", "")) for cell in line.strip("|").split("|")[1:]]


def expanded(sites: int) -> Stack:
    given = {"JwtIssuer": "https://i", "JwtAudience": "a", "Sites": ",".join(f"S{n}" for n in range(sites))}
    return expand(ROOT / "template.yaml", parameters=given, stack_name="st", region="r", account_id="0" * 12)


def test_the_pages_tables_are_the_programs(printed: str) -> None:
    assert PAGE.partition("## Tables\n\n")[2] == printed


def test_every_figure_says_by_which_benchmark_it_was_taken_when_and_on_what() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, figure in FIGURES.items():
        assert re.search(rf"^{figure['by']}: .*\n.*\$\(KEEP\)$", makefile, re.MULTILINE), name
        assert re.fullmatch(r"\d+ processors, [a-z0-9_]+(, CPython [\d.]+)?", figure["on"]), name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", figure["day"]), name


def test_every_figure_kept_is_computed_with_and_comes_from_nowhere_else(printed: str) -> None:
    code = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "delivery").glob("*.py")}
    used = set(re.findall(r'(?:MEASURED|RECORDED)\["(\w+)"\]', "".join(code.values())))
    assert used == FIGURES.keys()
    assert [name for name, text in code.items() if "units.json" in text.partition('"""\n\n')[2]] == ["units.py"]
    for name, figure in FIGURES.items():
        if isinstance(figure["value"], float | int):
            assert f"| `{name}` | {figure['value']} |" in printed


def test_a_benchmark_keeps_the_figures_that_are_known_and_no_others() -> None:
    known = {"stop_cpu_ms": {"value": 1.0, "by": "b", "day": "d", "on": "m"}, "page_calls": {"value": 1}}
    told = {"stop_cpu_ms": 2.0, "took_s": 50}
    kept = record.recorded(known, told, by="bench-units", day="2026-11-24", on="2 processors, x86_64")
    new = {"value": 2.0, "by": "bench-units", "day": "2026-11-24", "on": "2 processors, x86_64"}
    assert kept == {"stop_cpu_ms": new, "page_calls": {"value": 1}}


def test_the_functions_memory_is_the_templates() -> None:
    """What Lambda bills depends on it."""
    text = (ROOT / "delivery" / "units.py").read_text(encoding="utf-8")
    functions = [expanded(1).resources[f"{name}Function"]["Properties"] for name in ("ListRuntimes", "StopRuntime")]
    listing, stopping = (function["MemorySize"] for function in functions)
    assert f"LIST_MB, STOP_MB = {listing:_}, {stopping}" in text


def test_a_sum_is_the_sum_of_its_column(printed: str) -> None:
    lines = printed.partition("### Monthly cost")[2].partition("###")[0].splitlines()
    columns = [
        [float(cell.strip(" *").replace(",", "")) for cell in line.strip("|").split("|")[1:]]
        for line in lines[4:]
        if line
    ]
    *parts, total = columns
    for got, *column in zip(total, *parts, strict=True):
        assert got == pytest.approx(sum(column), abs=0.1)


def test_what_breaks_first_is_what_the_tables_mark(printed: str) -> None:
    broken = [line for line in printed.splitlines() if "**" in line and "sum" not in line]
    assert [re.sub(r",.*", "", line.strip("| ")) for line in broken] == [
        "DynamoDB: writes to one index partition (one domain)",
        "DynamoDB: reads of one index partition (one domain)",
        "Lambda: answer to a list of everything",
    ]
    for number, words in enumerate(("Writes of one domain", "Lists of everything, often", "The answer"), start=1):
        assert f"\n{number}. **{words}" in PAGE


def test_a_site_takes_six_resources_and_75_sites_fit(printed: str) -> None:
    assert len(expanded(3).resources) - len(expanded(1).resources) == 2 * 6
    assert cells(printed, "CloudFormation: resources of a stack")[2] <= 500
    assert cells(printed, "CloudFormation: outputs of a stack")[1:] == [len(expanded(n).outputs) for n in (20, 75)]


def test_a_row_with_numbers_costs_no_more_to_write(printed: str) -> None:
    (plain,) = cells(printed, "a row of `runtimes`, bytes")
    (numbered,) = cells(printed, "the same with caller")
    assert f"its rows {numbered - plain:.0f} bytes longer" in PAGE
    assert plain < numbered <= 1024, "one write unit"
    assert 0.15 < numbered / plain - 1 < 0.25, "about a fifth more to read"
