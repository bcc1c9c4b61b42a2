"""docs/chaos.md names what there is: every field of the verdict, every fault, every defect."""

import re

from chaos.sabotage import Sabotage
from chaos.schedule import Kind, SwitchUpsetting, Upsetting
from chaos.verdict import COUNTS, VIOLATIONS
from emulators import ROOT

PAGE = (ROOT / "docs" / "chaos.md").read_text()


def first_column(heading: str) -> list[str]:
    """Return the code words of the first column of the table with that heading."""
    table = PAGE[PAGE.index(f"| {heading} |") :].partition("\n\n")[0]
    return re.findall(r"^\| `([a-z_]+)` \|", table, flags=re.MULTILINE)


def test_nothing_in_the_product_knows_of_chaos() -> None:
    product = [
        file
        for folder in ("layers", "agent", "engines", "local", "functions", "cli")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert len(product) > 100
    assert not [file for file in product if re.search(r"^\s*(?:from|import) chaos\b", file.read_text(), re.MULTILINE)]


def test_every_field_of_the_verdict_in_its_order() -> None:
    assert first_column("field") == list(COUNTS)
    assert COUNTS[COUNTS.index("lost") : COUNTS.index("missing") + 1] == VIOLATIONS


def test_every_fault_of_the_proxy() -> None:
    assert set(first_column("fault")) == set(Kind)


def test_every_upset_of_a_played_engine() -> None:
    assert first_column("upset of Asterisk") == list(Upsetting)
    assert first_column("upset of FreeSWITCH") == list(SwitchUpsetting)


def test_every_defect_that_can_be_put_in() -> None:
    assert first_column("defect") == [one.value for one in Sabotage]
