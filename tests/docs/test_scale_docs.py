"""docs/scale.md: its tables are what the program prints, and its claims about the code are the code's."""

import re
import subprocess
import sys
from typing import Any

import pytest

from emulators import ROOT
from ivr_local.template import expand

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def printed() -> str:
    command = [sys.executable, str(ROOT / "delivery" / "scale.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def cells(printed: str, row: str) -> list[float]:
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {row}")]
    return [float(cell.strip(" *").replace(",", "")) for cell in line.strip("|").split("|")[1:]]


def test_the_pages_tables_are_the_programs(printed: str) -> None:
    assert PAGE.partition("## Tables\n\n")[2] == printed


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


def test_what_breaks_first_is_what_the_table_marks(printed: str) -> None:
    broken = [line for line in printed.splitlines() if "**" in line and "sum" not in line]
    assert [re.sub(r":.*", "", line.strip("| ")) for line in broken] == ["DynamoDB", "Lambda"]
    assert "one index partition" in broken[0]


def resources(sites: int) -> int:
    given: dict[str, Any] = {
        "JwtIssuer": "https://i",
        "JwtAudience": "a",
        "Sites": ",".join(f"S{n}" for n in range(sites)),
    }
    stack = expand(ROOT / "template.yaml", parameters=given, stack_name="st", region="r", account_id="0" * 12)
    return len(stack.resources)


def test_the_templates_size_is_as_the_page_says(printed: str) -> None:
    assert "(30 + 6 per site + what SAM adds)" in printed
    assert (resources(1), resources(3)) == (30 + 6, 30 + 18)
    assert cells(printed, "CloudFormation: resources of a stack")[1] == 40 + 6 * 20
