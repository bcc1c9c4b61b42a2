"""What the pages promise without reserve is held by tests.

A page may say "never", "at once" or "within 10 s" only where `promises/<page>.toml` quotes the words: as a promise,
with the tests that hold it, or as an aside, which promises nothing of ours. So nobody promises more than is tested, and
a test that goes takes its promise along. Promises in other words may stand there too. docs/field-reports.md names its
tests itself, line by line.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from emulators import ROOT

TABLES: Final = Path(__file__).with_name("promises")
TESTS: Final = ROOT / "tests"

HISTORY: Final = {"decisions.md"}
"""Says what was decided when, in the words of that day; the other pages say what holds."""

FIELD_REPORTS: Final = ROOT / "docs" / "field-reports.md"
"""Has each rule beside its tests, so it needs no table."""

PAGES: Final = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in HISTORY | {FIELD_REPORTS.name}),
]

ABSOLUTE: Final = re.compile(
    r"\b(?:never|always|immediately|guarantee[sd]?|nothing|nobody|whatever|refused|at once|exactly once|at most once"
    r"|by (?:itself|themselves)"
    r"|within (?:(?:the|these) )?(?:\d[\d,.]*|one|half)|no (?:secrets?|tokens?|logs?))\b",
    re.IGNORECASE,
)
"""Words that leave no way out."""

ASIDES: Final = {
    "advice": "what the reader is to do",
    "definition": "what a word, a code or a figure means, no more",
    "not ours": "what AWS, an engine, a client or a person does",
    "a limit": "what is not promised, or not verified",
    "asked of engines": "what the protocol asks of an engine",
    "policy": "how later versions will be made",
}

HOW: Final = """{page} says without reserve what nothing holds:
{places}
Either say in the page what is true and no more, or add to tests/docs/promises/{table}.toml
  [[promise]]
  claim = "<the words, as they stand in the page>"
  tests = ["<file under tests/>::<name of a test that fails when it is not so>"]
or, if it promises nothing of ours,
  [[aside]]
  text = "<the words>"
  because = <one of: {asides}>"""


def words_of(page: Path) -> str:
    """The page as one line, without headings and blocks of code."""
    prose = re.sub(r"^```.*?^```|^#.*?$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return one_line(prose)


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def table(page: Path) -> dict[str, Any]:
    file = TABLES / f"{page.stem}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def quoted(page: Path) -> list[str]:
    rows = table(page)
    return [one_line(row["claim"]) for row in rows.get("promise", [])] + [
        one_line(row["text"]) for row in rows.get("aside", [])
    ]


def without_reserve(text: str) -> Iterator[re.Match[str]]:
    """Find the absolute words, save those in code."""
    code = [found.span() for found in re.finditer(r"`[^`]*`", text)]
    for found in ABSOLUTE.finditer(text):
        if not any(start <= found.start() < end for start, end in code):
            yield found


def places(text: str, quotes: list[str]) -> list[tuple[int, int]]:
    return [found.span() for quote in quotes for found in re.finditer(re.escape(quote), text)]


def names_of(file: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def missing(test: str) -> bool:
    file, _, name = test.partition("::")
    return not (TESTS / file).is_file() or name not in names_of(TESTS / file)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whatever_a_page_says_without_reserve_is_in_its_table(page: Path) -> None:
    text = words_of(page)
    covered = places(text, quoted(page))
    told = [
        f'  "{found[0]}" in …{text[max(0, found.start() - 90) : found.end() + 90]}…'
        for found in without_reserve(text)
        if not any(start <= found.start() and found.end() <= end for start, end in covered)
    ]
    asides = ", ".join(f'"{name}" ({meaning})' for name, meaning in ASIDES.items())
    assert not told, HOW.format(page=page.name, places="\n".join(told), table=page.stem, asides=asides)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whatever_a_table_quotes_still_stands_in_its_page(page: Path) -> None:
    text = words_of(page)
    gone = [quote for quote in quoted(page) if quote not in text]
    assert not gone, (
        f"tests/docs/promises/{page.stem}.toml quotes what {page.name} no longer says; mend the one or the other"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_promise_names_tests_that_there_are(page: Path) -> None:
    rows = table(page)
    for row in rows.get("promise", []):
        gone = [test for test in row["tests"] if missing(test)]
        assert row["tests"], f"no test holds: {row['claim']}"
        assert not gone, (
            f"tests/docs/promises/{page.stem}.toml: {row['claim']!r} is held by tests that are not there: {gone}"
        )
    unknown = [row for row in rows.get("aside", []) if row["because"] not in ASIDES]
    assert not unknown, f"tests/docs/promises/{page.stem}.toml: `because` is one of {', '.join(ASIDES)}"


def test_every_field_report_names_tests_that_there_are() -> None:
    lines = re.findall(r"^\|.*\|$", FIELD_REPORTS.read_text(encoding="utf-8"), re.MULTILINE)
    cases = [line for line in lines if line not in {"| case | rule | test |", "|---|---|---|"}]
    assert len(cases) > 100
    for case in cases:
        assert case.count(" | ") == 2, f"case, rule and test: {case}"
        tests = re.findall(r"`(\S+?::\w+)`", case.rpartition(" | ")[2])
        assert tests, f"no test holds: {case}"
        gone = [test for test in tests if missing(test)]
        assert not gone, f"docs/field-reports.md: held by tests that are not there: {gone}"


def test_every_table_is_of_a_page() -> None:
    assert {file.stem for file in TABLES.glob("*.toml")} <= {page.stem for page in PAGES}


@pytest.mark.parametrize(
    "line",
    ["It never fails.", "Nothing is lost.", "gone within 17 s", "one\nis refused", "No secrets.", "dies by itself"],
)
def test_absolute_words_are_found(line: str) -> None:
    assert list(without_reserve(one_line(line)))


@pytest.mark.parametrize("line", ["the field `never`", "nevertheless", "it may be refusing", "within reach"])
def test_other_words_are_not(line: str) -> None:
    assert not list(without_reserve(line))
