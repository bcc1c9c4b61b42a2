"""CloudFormation's language as `intrinsics` speaks it, in templates of a few lines."""

from pathlib import Path
from typing import Any

import pytest

from ivr_local.intrinsics import Scope, TemplateError, load, parameter_values, resolve, unroll


def attribute(logical_id: str, name: str) -> str:
    return f"<{logical_id} {name}>"


SCOPE = Scope(
    values={"Sites": ["SITE1", "S2"], "Odd": ["a-b", "c_d"], "One": "1", "AWS::Region": "eu-central-1"},
    attribute=attribute,
    conditions={
        "Holds": {"Fn::Equals": [{"Ref": "One"}, "1"]},
        "Fails": {"Fn::Not": [{"Condition": "Holds"}]},
        "Both": {"Fn::And": [{"Condition": "Holds"}, {"Condition": "Fails"}]},
        "Either": {
            "Fn::Or": [{"Condition": "Fails"}, {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "Sites"}]}, "SITE1S2"]}]
        },
        "Odd": "no condition",
    },
)


def parsed(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "template.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def evaluated(tmp_path: Path, text: str) -> Any:
    return resolve(unroll(parsed(tmp_path, f"v: {text}"), SCOPE), SCOPE)["v"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref One", "1"),
        ("!Ref Sites", ["SITE1", "S2"]),
        ("!Ref Table", "<Table Ref>"),
        ("!GetAtt Table.Arn", "<Table Arn>"),
        ("!GetAtt [!Sub 'Table${One}', Arn]", "<Table1 Arn>"),
        ("!Sub 'a-${One}-${AWS::Region}-${Table}-${Table.Arn}'", "a-1-eu-central-1-<Table Ref>-<Table Arn>"),
        ("!Sub ['${a}${One}', {a: !Ref One}]", "11"),
        ("!Sub ['${One}', {One: own}]", "own"),
        ("!Sub '${!Literal} stays'", "${Literal} stays"),
        ("!Join [',', !Ref Sites]", "SITE1,S2"),
        ("!Split [',', 'a,b']", ["a", "b"]),
        ("!Split [',', !Join [',', !Ref Sites]]", ["SITE1", "S2"]),
        ("{Fn::Join: ['', [a, {Ref: One}]]}", "a1"),
        ("[{deep: [!Ref One]}, true, 7]", [{"deep": ["1"]}, True, 7]),
        ("!If [Holds, !Ref One, b]", "1"),
        ("!If [Fails, a, !If [Either, b, c]]", "b"),
        ("!If [Both, a, b]", "b"),
        ("{a: !If [Fails, 1, !Ref AWS::NoValue], b: [!Ref AWS::NoValue, 2]}", {"b": [2]}),
    ],
)
def test_an_intrinsic_function_yields_what_aws_documents(tmp_path: Path, text: str, value: Any) -> None:
    assert evaluated(tmp_path, text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("!If [a, b, c]", "no condition a"),
        ("!If [Holds, b]", "Fn::If"),
        ("!If [Odd, b, c]", "is no condition"),
        ("{Fn::Not: [x]}", "Fn::Not"),
        ("!ImportValue x", "Fn::ImportValue"),
        ("!Reff One", "Fn::Reff"),
        ("{Ref: One, more: 1}", "Ref"),
        ("!Sub '${Sites}'", "no string"),
        ("!Sub [a]", "Fn::Sub"),
        ("!GetAtt [a, b, c]", "Fn::GetAtt"),
        ("!Join [',', One]", "Fn::Join"),
        ("!Join [',', [1, 2]]", "Fn::Join"),
        ("!Split [',', !Ref Sites]", "Fn::Split"),
        ("!Split ['', a]", "Fn::Split"),
    ],
)
def test_what_is_unknown_or_misused_is_an_error_that_names_it(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TemplateError, match=told):
        evaluated(tmp_path, text)


def test_a_loop_makes_one_entry_per_item(tmp_path: Path) -> None:
    text = """
Fn::ForEach::Queues:
  - Site
  - !Ref Sites
  - Queue${Site}:
      Name: !Sub stop-${Site}-${One}
      Joined: !Sub ["${a}-${Site}", {a: !Ref Site}]
      Site: !Ref Site
      Dead: !GetAtt [!Sub "Dlq${Site}", Arn]
"""
    assert resolve(unroll(parsed(tmp_path, text), SCOPE), SCOPE) == {
        "QueueSITE1": {"Name": "stop-SITE1-1", "Joined": "SITE1-SITE1", "Site": "SITE1", "Dead": "<DlqSITE1 Arn>"},
        "QueueS2": {"Name": "stop-S2-1", "Joined": "S2-S2", "Site": "S2", "Dead": "<DlqS2 Arn>"},
    }


def test_a_logical_id_keeps_only_what_a_logical_id_may_hold(tmp_path: Path) -> None:
    looped = unroll(parsed(tmp_path, "Fn::ForEach::L: [X, !Ref Odd, {'Q&{X}': !Ref X}]"), SCOPE)
    assert looped == {"Qab": "a-b", "Qcd": "c_d"}


@pytest.mark.parametrize(
    ("value", "looped"),
    [
        ("'of ${X}'", "of ${X}"),
        ("'of &{X}'", "of &{X}"),
        ("!Sub 'of &{X}'", "of &{X}"),
        ("{'of${X}': !Ref X}", {"of${X}": "S2"}),
        ("{'of&{X}': !Ref X}", {"of&{X}": "S2"}),
        ("!Sub ['${X}', {X: own}]", "own"),
        ("!Sub ['&{X}', {a: own}]", "&{X}"),
        ("{Fn::ForEach::I: [Y, [a], {'${X}&{Y}': !Sub '${X}&{Y}'}]}", {"S2a": "S2&{Y}"}),
    ],
)
def test_in_values_only_a_reference_and_a_sub_name_the_item(tmp_path: Path, value: str, looped: Any) -> None:
    """The ampersand in a value passed every check of ours, and AWS would have taken it for a resource's name."""
    loop = parsed(tmp_path, f"Fn::ForEach::L: [X, [S2], {{'Q${{X}}': {value}}}]")
    assert resolve(unroll(loop, SCOPE), SCOPE) == {"QS2": looped}


def test_an_ampersand_in_a_resources_name_names_no_resource(tmp_path: Path) -> None:
    def known(logical_id: str, name: str) -> str:
        if logical_id != "QueueS2":
            raise TemplateError(f"no resource {logical_id}")
        return name

    loop = parsed(tmp_path, "Fn::ForEach::L: [X, [S2], {'Q${X}': !GetAtt [!Sub 'Queue&{X}', Arn]}]")
    with pytest.raises(TemplateError, match=r"no resource Queue&\{X\}"):
        resolve(unroll(loop, SCOPE), Scope(values={}, attribute=known))


def test_loops_nest(tmp_path: Path) -> None:
    text = "Fn::ForEach::Outer: [A, !Ref Sites, {Fn::ForEach::Inner: [B, [x, y], {'&{A}&{B}': {of: !Ref A}}]}]"
    assert unroll(parsed(tmp_path, text), SCOPE) == {
        "SITE1x": {"of": "SITE1"},
        "SITE1y": {"of": "SITE1"},
        "S2x": {"of": "S2"},
        "S2y": {"of": "S2"},
    }


@pytest.mark.parametrize(
    ("loop", "told"),
    [
        ("[X, !Ref One, {'Q&{X}': 1}]", "no list"),
        ("[X, !Ref Sites]", "takes an identifier"),
        ("[X, !Ref Sites, {Fixed: 1}]", "Fixed comes out twice"),
        ("[X, [a-b, ab], {'Q&{X}': 1}]", "Qab comes out twice"),
    ],
)
def test_a_wrong_loop_is_an_error(tmp_path: Path, loop: str, told: str) -> None:
    with pytest.raises(TemplateError, match=told):
        unroll(parsed(tmp_path, f"Fn::ForEach::L: {loop}"), SCOPE)


def test_a_loop_may_not_overwrite_a_plain_entry(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="QSITE1 comes out twice"):
        unroll(parsed(tmp_path, "QSITE1: 1\nFn::ForEach::L: [X, !Ref Sites, {'Q&{X}': 1}]"), SCOPE)


@pytest.mark.parametrize("text", ["a: [", "- a list", ""])
def test_a_file_that_is_no_template_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError, match=r"template\.yaml"):
        parsed(tmp_path, text)


DECLARED = {
    "Sites": {"Type": "CommaDelimitedList", "AllowedPattern": "^[A-Z]+[0-9]$"},
    "Level": {"Type": "String", "Default": "INFO", "AllowedValues": ["DEBUG", "INFO"]},
    "Days": {"Type": "Number", "Default": 30, "AllowedValues": [7, 30]},
}


def test_parameters_take_the_given_value_or_their_default() -> None:
    assert parameter_values(DECLARED, {"Sites": "A1, B2", "Days": "7"}) == {
        "Sites": ["A1", "B2"],
        "Level": "INFO",
        "Days": "7",
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "Sites has no default"),
        ({"Sites": "A1,b2"}, "'b2' does not match"),
        ({"Sites": "A1,"}, "'' does not match"),
        ({"Sites": "A1", "Level": "LOUD"}, "'LOUD' is none of DEBUG, INFO"),
        ({"Sites": "A1", "Days": "8"}, "'8' is none of 7, 30"),
        ({"Sites": "A1", "Typo": "x"}, "declares no parameter Typo"),
    ],
)
def test_a_parameter_that_breaks_its_constraint_is_an_error(given: dict[str, str], told: str) -> None:
    with pytest.raises(TemplateError, match=told):
        parameter_values(DECLARED, given)


@pytest.mark.parametrize("given", ["many", "\u0663\u0660", "\uff17", "1_0"])
def test_a_number_must_be_one(given: str) -> None:
    with pytest.raises(TemplateError, match=f"'{given}' is not a number"):
        parameter_values({"Days": {"Type": "Number"}}, {"Days": given})
