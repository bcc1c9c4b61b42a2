"""docs/engine-protocol.md and its schema say what the agent reads, and list what the kit checks."""

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from emulators import ROOT
from ivr_agent.engine import client as engine
from ivr_agent.engine.events import KEEP_ALIVE_S
from ivr_agent.protocol.schema import BODIES, schema
from ivr_agent.protocol.wire import MAX_AGE_S, MAX_NUMBER, MAX_TEXT, RuntimeState, Status
from ivr_engine.conformance import bodies
from ivr_engine.conformance.__main__ import Exit
from ivr_engine.conformance.kit import catalogue
from ivr_engine.conformance.subject import Limits
from ivr_engine.model import MAX_NUMBER as KITS_MOST
from ivr_runtimes.model import StopType

PAGE = (ROOT / "docs" / "engine-protocol.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "docs" / "engine-protocol.schema.json").read_text(encoding="utf-8"))


def test_the_published_schema_is_that_of_the_models_the_agent_reads_with() -> None:
    """When not: python -m ivr_agent.protocol.schema > docs/engine-protocol.schema.json; mind the engines out there."""
    assert schema() == SCHEMA


def test_the_schema_tells_every_body_and_every_termination_type() -> None:
    assert {model.__name__ for model in BODIES} <= SCHEMA["$defs"].keys()
    for event in ("RuntimeState", "EndedOne"):
        told, _ = SCHEMA["$defs"][event]["properties"]["stoptype"]["anyOf"]
        assert told.keys() == {"type", "description", "examples"}, "and others may be added"
        assert told["examples"] == [stoptype.value for stoptype in StopType]


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("domain", ["test.rootdomain.ru", "Shop.Example"], ["", "a b", "[a, b]", ".a"]),
        ("starttime", ["2019-11-05T08:36:40Z"], ["2019-11-05 08:36:40", "2019-11-05T08:36:40+00:00", "today"]),
        ("id", ["244f84aa-0624-e639-8061-a80000000006"], ["6", "244f84aa06"]),
    ],
)
def test_schema_and_agent_agree_on_values(field: str, right: list[str], wrong: list[str]) -> None:
    example = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    pattern = SCHEMA["$defs"]["RuntimeState"]["properties"][field]["pattern"]
    for value in (*right, *wrong):
        assert (re.search(pattern, value) is not None) is (value in right)
        if value in right:
            RuntimeState.model_validate(example | {field: value})
        else:
            with pytest.raises(ValueError, match=field):
                RuntimeState.model_validate(example | {field: value})


@pytest.mark.parametrize("field", ["type", "code", "name", "rootcode", "rootname"])
def test_page_and_schema_tell_the_longest_text(field: str) -> None:
    member = SCHEMA["$defs"]["RuntimeState"]["properties"][field]
    text = next(kind for kind in member.get("anyOf", [member]) if kind["type"] == "string")
    assert text["maxLength"] == MAX_TEXT
    assert f"at most {MAX_TEXT} characters" in PAGE


@pytest.mark.parametrize("field", ["caller", "called", "call_id"])
def test_page_schema_and_kit_tell_the_longest_number(field: str) -> None:
    member = SCHEMA["$defs"]["RuntimeState"]["properties"][field]
    assert [kind.get("maxLength") for kind in member["anyOf"]] == [MAX_NUMBER, None]
    assert field not in SCHEMA["$defs"]["RuntimeState"]["required"]
    assert KITS_MOST == MAX_NUMBER
    assert f"`caller`, `called` and `call_id` have at most {MAX_NUMBER}" in PAGE


@pytest.mark.parametrize("age_s", [0, 0.0, 0.25, 7, MAX_AGE_S, None])
def test_an_age_is_seconds(age_s: float | None) -> None:
    assert Status.model_validate_json(json.dumps({"session": "s-1", "seq": 1, "age_s": age_s})).age_s == age_s


@pytest.mark.parametrize("age_s", [-0.001, -1, MAX_AGE_S + 1, 1_572_943_000, 10**400, "5", True, [], float("nan")])
def test_an_age_that_is_none_makes_a_status_unreadable(age_s: object) -> None:
    """A lease would be reckoned from it: from the future, or from seconds since 1970 taken for an age."""
    body = json.dumps({"session": "s-1", "seq": 1, "age_s": age_s})
    for told in (body, body.replace("NaN", "Infinity"), body.replace("NaN", "1e999")):
        with pytest.raises(ValueError, match="age_s"):
            Status.model_validate_json(told)


def test_page_and_schema_tell_the_greatest_age() -> None:
    number, _ = SCHEMA["$defs"]["Status"]["properties"]["age_s"]["anyOf"]
    assert (number["minimum"], number["maximum"]) == (0, MAX_AGE_S)
    assert f"0 to {MAX_AGE_S:,.0f}" in PAGE


def test_page_and_platform_know_the_same_termination_types() -> None:
    section = PAGE.partition("## Termination types")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(StopType)


def test_the_page_tells_for_how_long_idle_connections_are_kept() -> None:
    assert f"The agent keeps an idle connection of its engine for {KEEP_ALIVE_S / 60:g} minutes" in PAGE


def test_the_example_of_a_runtime_names_every_field() -> None:
    example = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    assert example.keys() == RuntimeState.model_fields.keys()


def test_every_check_of_the_kit_is_listed() -> None:
    listed = re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", PAGE.partition("## Check an engine")[2], re.MULTILINE)
    assert listed == list(catalogue())


def test_every_exit_code_of_the_kit_is_listed() -> None:
    listed = re.findall(r"^\| ([0-9]) \| (.+) \|$", PAGE.partition("## Check an engine")[2], re.MULTILINE)
    assert listed == [(str(int(code)), code.meaning) for code in Exit]


def test_the_time_limits_are_the_agents() -> None:
    kit, limits = Limits(), (engine.STATUS_TIMEOUT_S, engine.SNAPSHOT_TIMEOUT_S, engine.COMMAND_TIMEOUT_S)
    told = re.search(r"waits (\d+) s for a status, (\d+) s for a snapshot and (\d+) s for a command", PAGE)
    assert told is not None
    assert tuple(map(float, told.groups())) == limits
    assert (kit.status_s, kit.snapshot_s, kit.command_s) == limits, "the kit is as patient as the agent"


def bare(definition: Any) -> Any:
    """Return a definition of a schema without its words for people, its references followed."""
    if isinstance(definition, list):
        return [bare(one) for one in definition]
    if not isinstance(definition, dict):
        return definition
    if "$ref" in definition:
        return bare(SCHEMA["$defs"][definition["$ref"].rpartition("/")[2]])
    return {name: bare(one) for name, one in definition.items() if name not in {"title", "description", "examples"}}


@pytest.mark.parametrize(
    "model", [bodies.Batch, bodies.Changed, bodies.FullSnapshot, bodies.Status, bodies.Answer, bodies.Problem]
)
def test_the_conformance_kit_reads_what_the_published_schema_says(model: type[BaseModel]) -> None:
    """Agent and kit read the protocol by models of their own: the schema is what they have in common."""
    own = model.model_json_schema()
    published, inner = SCHEMA["$defs"][model.__name__], own.pop("$defs", {})
    for name in inner:
        assert bare(inner[name]) == bare(SCHEMA["$defs"][name]), name
    assert bare(own) == bare(published)
