"""docs/scripts.md says what the engine does: its example runs, and its tables name exactly what there is."""

import re
from pathlib import Path

import pytest

from ivr_engine.model import StopType
from ivr_sandbox.library import MAX_NESTING, parse
from ivr_sandbox.script import STEPS, Script

TEXT = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text("utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> dict[str, str]:
    """The rows of a section's table: first column to the rest."""
    rows = re.findall(r"^\| (`[^|]*`) \|(.*)\|$", section(title), re.MULTILINE)
    return {word: rest for words, rest in rows for word in re.findall(r"`(\w+)`", words)}


@pytest.mark.parametrize("example", re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
def test_the_example_is_a_script(example: str) -> None:
    assert parse(example).code == "greeter"


def test_every_field_of_a_script_is_described_and_no_other() -> None:
    assert set(table("The script")) == set(Script.model_fields)


def test_every_step_is_described_with_exactly_its_fields() -> None:
    described = table("Steps")
    assert set(described) == set(STEPS)
    for word, kind in STEPS.items():
        fields = re.findall(r"`(\w+)`", described[word].partition("|")[0])
        assert fields == [name for name in kind.model_fields if name != "step"]


def test_defaults_are_those_of_the_engine() -> None:
    described = table("Steps")
    for word, kind in STEPS.items():
        stated = dict(re.findall(r"`(\w+)` \((\d+)\)", described[word].partition("|")[0]))
        actual = {
            name: f"{field.default:g}"
            for name, field in kind.model_fields.items()
            if isinstance(field.default, int | float)
        }
        assert stated == actual


def test_every_termination_type_is_described() -> None:
    assert set(table("How a script terminates")) == set(StopType)


def test_the_nesting_limit_is_that_of_the_engine() -> None:
    assert f"at most {MAX_NESTING} scripts inside each other" in section("Steps")


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "010"])
def test_what_is_said_to_need_quotes_does(word: str) -> None:
    text = "{code: a, name: A, main: [start, set: {variable: v, value: %s}]}"
    assert parse(text % f'"{word}"').steps[0].model_dump()["value"] == word
    try:
        misread = parse(text % word).steps[0].model_dump()["value"]
    except ValueError:
        return
    assert misread != word
