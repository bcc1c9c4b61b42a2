"""Pages and code lead to places that there are, all of them inside this repository."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from emulators import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/README.md"))]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CORE, AGENT, CTL = ROOT / "layers/core/ivr_runtimes", ROOT / "agent/ivr_agent", ROOT / "cli/ivrctl"
SOURCES = ("layers/core", "agent", "engines", "cli", "functions", "local", "benchmarks", "delivery")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def source_files() -> Iterator[Path]:
    for folder in SOURCES:
        yield from (path for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)
    yield from (ROOT / "Makefile", ROOT / "template.yaml")


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as a forge links them: lower case, blanks as hyphens, other signs left out."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            lost.append(target)
        assert place.is_relative_to(ROOT), f"{target} leads out of the repository"
    assert not lost


def test_every_page_that_code_names_is_there() -> None:
    """Sixteen files pointed to a design page that was never part of the project."""
    lost = []
    for path in source_files():
        text = path.read_text()
        lost += [
            f"{name_of(path)}: {page}"
            for page in re.findall(r"docs/[\w-]+\.(?:md|json)", text)
            if not (ROOT / page).exists()
        ]
        lost += [f"{name_of(path)}: a page outside the project" for _ in re.findall(r"\bDESIGN\b", text)]
    assert not lost


def test_the_files_of_the_map_are_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)`", ARCHITECTURE.read_text()))
    assert len(named) > 20, "the walks name the files they pass"
    assert not [path for path in named if not any((base / path).exists() for base in (CORE, AGENT, ROOT))]


@pytest.mark.parametrize("base", [CORE, AGENT, CTL], ids=["core", "agent", "command line"])
def test_every_room_stands_on_the_map(base: Path) -> None:
    rooms = {path.parent.name for path in base.glob("*/__init__.py")}
    text = ARCHITECTURE.read_text()
    assert not {room for room in rooms if f"`… {room}/`" not in text}


def test_every_top_folder_stands_on_the_map() -> None:
    kept = {"docs", "events", "requirements", "samples"}  # what the pages themselves are, and what README's table has
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - kept
    text = ARCHITECTURE.read_text()
    assert not {folder for folder in folders - {"build", "dist"} if f"`{folder}/" not in text}
