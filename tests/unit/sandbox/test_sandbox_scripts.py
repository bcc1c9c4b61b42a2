from pathlib import Path

import pytest
from pydantic import ValidationError

from ivr_engine.model import StopType
from ivr_sandbox.library import MAX_NESTING, ScriptsError, load, parse
from ivr_sandbox.script import Branch, Menu, Play, RunScript, Set, Start, walk

MINIMAL = "{code: a, name: A, main: [start]}"


def script(*steps: str, code: str = "a", rest: str = "") -> str:
    return f"code: {code}\nname: A script\nmain:\n  - start\n" + "".join(f"  - {step}\n" for step in steps) + rest


def faults_of(folder: Path, **texts: str) -> list[str]:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    with pytest.raises(ScriptsError) as caught:
        load(folder)
    return str(caught.value).splitlines()


def test_the_least_script_is_a_start_with_default_limits() -> None:
    least = parse(MINIMAL)
    assert (least.type, least.steps, dict(least.post_processing)) == ("ivr", (), {})
    assert least.start == Start(max_duration_s=3600, max_steps=1000)


def test_a_duration_is_a_number_or_a_range() -> None:
    fixed, ranged = parse(script("play: {prompt: p, duration_s: 2}", "play: {prompt: p, duration_s: [1, 3]}")).steps
    assert isinstance(fixed, Play)
    assert isinstance(ranged, Play)
    assert (fixed.duration_s, ranged.duration_s) == ((2, 2), (1, 3))


def test_digits_need_no_quotes() -> None:
    """YAML reads a bare 1 as a number; a caller presses a key, so it is text everywhere."""
    menu, branch, value = parse(
        script(
            "menu: {variable: v, choices: {1: 1, 2: 3}, wait_s: 1}",
            "branch: {variable: v, cases: {1: [stop]}}",
            "set: {variable: v, value: 5}",
        )
    ).steps
    assert isinstance(menu, Menu)
    assert isinstance(branch, Branch)
    assert isinstance(value, Set)
    assert (list(menu.choices), list(branch.cases), value.value) == (["1", "2"], ["1"], "5")


def test_every_termination_type_of_the_platform_may_have_a_branch() -> None:
    branches = ", ".join(f"{stoptype}: [stop]" for stoptype in StopType)
    text = script(rest=f"post_processing: {{{branches}}}\n")
    assert set(parse(text).post_processing) == set(StopType)


def test_a_walk_finds_every_step_with_its_path() -> None:
    text = script(
        "menu: {variable: v, choices: {1: 1}, wait_s: 1, timeout: [run_script: {code: in_menu}]}",
        "branch: {variable: v, cases: {x: [run_script: {code: in_case}]}, otherwise: [run_script: {code: other}]}",
        "repeat: {times: 2, steps: [run_script: {code: repeated}]}",
        rest="post_processing: {stop: [run_script: {code: in_branch}]}\n",
    )
    found = {path: step.code for path, step in walk(parse(text)) if isinstance(step, RunScript)}
    assert found == {
        "main[1].menu.timeout[0]": "in_menu",
        "main[2].branch.cases.x[0]": "in_case",
        "main[2].branch.otherwise[0]": "other",
        "main[3].repeat.steps[0]": "repeated",
        "post_processing.stop[0]": "in_branch",
    }


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        (script("jump: {}"), "main[1]", "unknown step jump; use one of: start, play, pause"),
        (script("{play: {}, pause: {}}"), "main[1]", "begin each step with `-`"),
        (script("play: loud"), "main[1]", "write them as `name: value`"),
        (script("play: {prompt: p}"), "main[1].play.duration_s", "Field required; add it"),
        (script("pause: {duration_s: 1, volume: 3}"), "main[1].pause.volume", "remove it or correct its spelling"),
        (script("pause: {duration_s: soon}"), "main[1].pause.duration_s", "write a number of seconds"),
        (script("pause: {duration_s: -1}"), "main[1].pause.duration_s", "write a number of seconds"),
        (script("pause: {duration_s: [3, 1]}"), "main[1].pause.duration_s", "write the smaller number first"),
        (script("pause: {duration_s: [1, .inf]}"), "main[1].pause.duration_s[1]", "a finite number"),
        (script("set: {variable: v, value: yes}"), "main[1].set.value", "write text, in quotes"),
        (script("set: {variable: a-b, value: x}"), "main[1].set.variable", "use Latin letters"),
        (script("menu: {variable: v, choices: {1: 0}, wait_s: 1}"), "main[1].menu.choices", "a weight above 0"),
        (script("repeat: {times: 3, steps: []}"), "main[1].repeat.steps", "at least 1 item"),
        (script("branch: {variable: v, cases: {x: [hop]}}"), "main[1].branch.cases.x[0]", "unknown step hop"),
        (script("start"), "script", "it stands: main[0], main[1]"),
        ("{code: a, name: A, main: []}", "script", "it stands: nowhere"),
        ("{code: a, name: A, main: [start], type: sms}", "type", "Input should be 'ivr'"),
        (
            script(rest="post_processing: {panic: [stop]}\n"),
            "post_processing.panic",
            "use one of the termination types",
        ),
        ("just text", "script", "valid dictionary"),
    ],
)
def test_a_faulty_script_is_refused_with_file_place_and_remedy(
    tmp_path: Path, text: str, place: str, told: str
) -> None:
    [fault] = faults_of(tmp_path, faulty=text)
    assert fault.startswith(f"faulty.yaml: {place}: ")
    assert told in fault


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, one=script("hop", "skip"), two=script("play: {prompt: p}"))
    assert [fault.partition(": ")[0] for fault in faults] == ["one.yaml", "one.yaml", "two.yaml"]


def test_text_that_is_no_yaml_is_refused_with_line_and_column(tmp_path: Path) -> None:
    assert faults_of(tmp_path, bad="code: [a\nname: b")[0].startswith("bad.yaml: line 2, column 5: not YAML: ")


def test_a_key_that_stands_twice_is_refused_instead_of_dropped(tmp_path: Path) -> None:
    [fault] = faults_of(tmp_path, twice=MINIMAL.replace("name: A", "name: A, name: B"))
    assert "the same key stands twice" in fault


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert faults_of(tmp_path)[0].startswith("bytes.yaml: cannot be read as UTF-8 text")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "no *.yaml file here" in faults_of(tmp_path)[0]


def test_a_call_of_an_unknown_script_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    branch = "post_processing: {stop: [run_script: {code: b}]}\n"
    [fault] = faults_of(tmp_path, a=script(code="a", rest=branch))
    assert fault == "a.yaml: post_processing.stop[0].run_script.code: no script has the code b; use one of: a"


def test_two_scripts_of_one_code_are_refused(tmp_path: Path) -> None:
    assert faults_of(tmp_path, a=MINIMAL, b=MINIMAL) == [
        "b.yaml: code: a is already the code of a.yaml; give each script its own"
    ]


def test_scripts_that_call_each_other_without_end_are_refused(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path, a=script("run_script: {code: b}", code="a"), b=script("run_script: {code: a}", code="b")
    )
    assert len(faults) == 2
    assert "(or without end); take a call out of the chain" in faults[0]


def chain(folder: Path, length: int) -> None:
    for number in range(length):
        calls = [f"run_script: {{code: s{number + 1}}}"] if number + 1 < length else []
        (folder / f"s{number}.yaml").write_text(script(*calls, code=f"s{number}"))


def test_scripts_may_nest_up_to_the_limit(tmp_path: Path) -> None:
    chain(tmp_path, MAX_NESTING)
    assert len(load(tmp_path)) == MAX_NESTING


def test_one_script_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    chain(tmp_path, MAX_NESTING + 1)
    assert faults_of(tmp_path)[0].startswith("s0.yaml: main[1].run_script.code: calling s1 nests more than")


def test_scripts_do_not_change_after_loading(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL)
    with pytest.raises(ValidationError):
        load(tmp_path)["a"].name = "B"  # type: ignore[misc]  # that it is refused is the point
