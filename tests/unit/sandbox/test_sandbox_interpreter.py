from random import Random

import pytest

from ivr_engine.model import StopType
from ivr_sandbox.interpreter import Course, Interpreter
from ivr_sandbox.library import parse

Place = tuple[str, str | None, str | None]
"""The code, the source's code and the stoptype of one moment."""


class Rehearsal:
    """An interpreter whose waits pass at once; `seen` are the places it reported."""

    def __init__(self, *scripts: str, seed: int = 1) -> None:
        library = {script.code: script for script in map(parse, scripts)}
        self.seen: list[Place] = []
        self.passed_s = 0.0
        self.interpreter = Interpreter(
            next(iter(library.values())),
            library=library,
            rng=Random(seed),  # noqa: S311  # a caller, not a secret
            changed=lambda: self.seen.append(self.place()),
        )

    def place(self) -> Place:
        source = self.interpreter.source
        return (self.interpreter.script.code, source.code if source else None, self.interpreter.stoptype)

    def finish(self, course: Course) -> StopType:
        while True:
            try:
                self.passed_s += next(course)
            except StopIteration as end:
                stoptype: StopType = end.value
                return stoptype

    def run(self) -> StopType:
        return self.finish(self.interpreter.run())


def script(main: str, *, code: str = "main", start: str = "{}", branches: str = "{}") -> str:
    return f"{{code: {code}, name: {code}, main: [start: {start}, {main}], post_processing: {branches}}}"


def pause(seconds: float) -> str:
    return f"pause: {{duration_s: {seconds}}}"


def test_waits_add_up_and_the_end_of_main_is_normal() -> None:
    rehearsal = Rehearsal(script(f"play: {{prompt: p, duration_s: 3}}, {pause(2)}"))
    assert rehearsal.run() is StopType.NORMAL
    assert rehearsal.passed_s == 5
    assert rehearsal.seen == []


def test_a_range_is_drawn_from_uniformly() -> None:
    drawn = []
    for seed in range(200):
        rehearsal = Rehearsal(script("pause: {duration_s: [2, 6]}"), seed=seed)
        rehearsal.run()
        drawn.append(rehearsal.passed_s)
    assert 2 <= min(drawn) < 2.5
    assert 5.5 < max(drawn) <= 6
    assert 3.7 < sum(drawn) / len(drawn) < 4.3


def test_stop_ends_main_normally_from_inside_a_loop() -> None:
    rehearsal = Rehearsal(script(f"repeat: {{times: 3, steps: [{pause(1)}, stop]}}, {pause(50)}"))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 1)


def test_repeat_carries_its_steps_out_that_many_times() -> None:
    rehearsal = Rehearsal(script(f"repeat: {{times: 3, steps: [{pause(1)}]}}"))
    rehearsal.run()
    assert rehearsal.passed_s == 3


@pytest.mark.parametrize(("value", "waited_s"), [("x", 1), ("y", 10), ("z", 100)])
def test_a_branch_goes_by_the_value_of_its_variable(value: str, waited_s: int) -> None:
    branch = f"branch: {{variable: v, cases: {{x: [{pause(1)}], y: [{pause(10)}]}}, otherwise: [{pause(100)}]}}"
    rehearsal = Rehearsal(script(f"set: {{variable: v, value: {value}}}, {branch}"))
    rehearsal.run()
    assert rehearsal.passed_s == waited_s


def test_a_value_may_refer_to_other_variables() -> None:
    steps = (
        "set: {variable: a, value: x}, set: {variable: b, value: '{a}y'}, "
        f"branch: {{variable: b, cases: {{xy: [{pause(1)}]}}}}"
    )
    rehearsal = Rehearsal(script(steps))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 1)


@pytest.mark.parametrize(
    "step",
    [
        "branch: {variable: v, cases: {x: [stop]}}",
        "play: {prompt: 'hello_{v}', duration_s: 1}",
        "set: {variable: w, value: '{v}'}",
    ],
)
def test_a_step_that_refers_to_an_unset_variable_fails_and_its_branch_runs(step: str) -> None:
    rehearsal = Rehearsal(script(f"{step}, {pause(50)}", branches=f"{{error: [{pause(3)}]}}"))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.ERROR, 3)
    assert rehearsal.seen == [("main", None, "error")]


MENU = "menu: {variable: v, choices: {'1': 3, '2': 1}, wait_s: [1, 4]"


def test_a_menu_sets_its_variable_by_the_weights() -> None:
    pressed = []
    for seed in range(400):
        branch = f"branch: {{variable: v, cases: {{'1': [{pause(10)}], '2': [{pause(20)}]}}}}"
        rehearsal = Rehearsal(script(f"{MENU}}}, {branch}"), seed=seed)
        assert rehearsal.run() is StopType.NORMAL
        pressed.append("1" if rehearsal.passed_s < 20 else "2")
    assert 270 < pressed.count("1") < 330


def test_a_menu_without_answer_waits_its_longest_and_terminates_with_timeout() -> None:
    branches = f"{{timeout: [{pause(7)}]}}"
    rehearsal = Rehearsal(script(f"{MENU}, timeout_probability: 1}}, {pause(50)}", branches=branches))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.TIMEOUT, 4 + 7)
    assert rehearsal.seen == [("main", None, "timeout")]


def test_a_menus_own_timeout_steps_run_instead_and_the_script_goes_on() -> None:
    menu = f"{MENU}, timeout_probability: 1, timeout: [{pause(10)}]}}"
    rehearsal = Rehearsal(script(f"{menu}, {pause(100)}"))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 4 + 10 + 100)


def test_more_steps_than_allowed_terminate_with_maxcount() -> None:
    steps = f"repeat: {{times: 9, steps: [{pause(1)}]}}"
    rehearsal = Rehearsal(script(steps, start="{max_steps: 4}", branches=f"{{maxcount: [{pause(10)}]}}"))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.MAXCOUNT, 3 + 10)


def test_exactly_the_allowed_steps_are_no_termination() -> None:
    assert Rehearsal(script(f"{pause(1)}, {pause(1)}", start="{max_steps: 2}")).run() is StopType.NORMAL


def test_a_script_over_its_time_is_cut_off_with_maxduration() -> None:
    branches = f"{{maxduration: [{pause(100)}]}}"
    rehearsal = Rehearsal(script(f"{pause(4)}, {pause(50)}", start="{max_duration_s: 10}", branches=branches))
    # The limit holds for the branch anew: 10 s of main, 10 s of the branch.
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.MAXDURATION, 20)


def test_a_nested_script_cannot_outlive_its_callers_limits() -> None:
    nested = script(pause(50), code="nested", branches=f"{{maxduration: [{pause(3)}]}}")
    rehearsal = Rehearsal(script("run_script: {code: nested}", start="{max_duration_s: 10}"), nested)
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.MAXDURATION, 13)
    assert rehearsal.seen == [("nested", "main", None), ("nested", "main", "maxduration")]


def test_a_script_that_takes_exactly_its_time_ends_normally() -> None:
    assert Rehearsal(script(pause(10), start="{max_duration_s: 10}")).run() is StopType.NORMAL


def test_a_nested_script_is_cut_off_in_its_midst_when_its_callers_steps_run_out() -> None:
    nested = script(
        f"repeat: {{times: 10, steps: [{pause(1)}]}}", code="nested", branches=f"{{maxcount: [{pause(7)}]}}"
    )
    rehearsal = Rehearsal(script("run_script: {code: nested}", start="{max_steps: 5}"), nested)
    # Of the five steps two are the call and the loop itself.
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.MAXCOUNT, 3 + 7)
    assert rehearsal.seen[-1] == ("nested", "main", "maxcount")


def test_loops_in_nested_scripts_count_towards_the_callers_steps() -> None:
    """Without a common count, scripts nested eight deep could multiply their loops and block the engine."""
    loop = "repeat: {times: 900, steps: [run_script: {code: nested}]}"
    nested = script("repeat: {times: 900, steps: [set: {variable: v, value: x}]}", code="nested")
    rehearsal = Rehearsal(script(loop), nested)
    assert rehearsal.run() is StopType.MAXCOUNT
    assert len(rehearsal.seen) < 10


def test_a_nested_script_takes_control_and_gives_it_back_when_it_ends_normally() -> None:
    nested = script(pause(2), code="nested", branches=f"{{normal: [{pause(3)}]}}")
    rehearsal = Rehearsal(script(f"run_script: {{code: nested}}, {pause(10)}"), nested)
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 15)
    assert rehearsal.seen == [("nested", "main", None), ("nested", "main", "normal"), ("main", None, None)]


def test_nested_scripts_share_the_callers_variables() -> None:
    nested = script("set: {variable: v, value: x}", code="nested")
    steps = f"run_script: {{code: nested}}, branch: {{variable: v, cases: {{x: [{pause(1)}]}}}}"
    rehearsal = Rehearsal(script(steps), nested)
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 1)


def test_the_source_is_the_outermost_script_however_deep() -> None:
    middle = script("run_script: {code: inner}", code="middle")
    rehearsal = Rehearsal(script("run_script: {code: middle}"), middle, script(pause(1), code="inner"))
    rehearsal.run()
    assert [place[:2] for place in rehearsal.seen] == [
        ("middle", "main"),
        ("inner", "main"),
        ("middle", "main"),
        ("main", None),
    ]


def test_a_nested_script_that_fails_ends_the_runtime_after_its_own_branch_only() -> None:
    nested = script("play: {prompt: '{unset}', duration_s: 1}", code="nested", branches=f"{{error: [{pause(3)}]}}")
    caller = script(f"run_script: {{code: nested}}, {pause(50)}", branches=f"{{error: [{pause(70)}]}}")
    rehearsal = Rehearsal(caller, nested)
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.ERROR, 3)
    assert rehearsal.seen[-1] == ("nested", "main", "error")


def test_a_branch_that_fails_ends_the_runtime_without_another_branch() -> None:
    branches = f"{{timeout: [play: {{prompt: '{{unset}}', duration_s: 1}}], error: [{pause(50)}]}}"
    rehearsal = Rehearsal(script(f"{MENU}, timeout_probability: 1}}", branches=branches))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.ERROR, 4)


def test_stop_ends_a_branch() -> None:
    rehearsal = Rehearsal(script(pause(1), branches=f"{{normal: [stop, {pause(50)}]}}"))
    assert (rehearsal.run(), rehearsal.passed_s) == (StopType.NORMAL, 1)


def test_an_external_stop_hands_control_to_the_branch_of_the_script_that_executes() -> None:
    nested = script(pause(50), code="nested", branches=f"{{stop: [{pause(7)}]}}")
    caller = script(f"run_script: {{code: nested}}, {pause(60)}", branches=f"{{stop: [{pause(80)}]}}")
    rehearsal = Rehearsal(caller, nested)
    course = rehearsal.interpreter.run()
    next(course)
    course.close()
    assert rehearsal.interpreter.has_stop_branch
    assert rehearsal.finish(rehearsal.interpreter.external_stop()) is StopType.STOP
    assert rehearsal.passed_s == 7
    assert rehearsal.seen == [("nested", "main", None), ("nested", "main", "stop")]


def test_scripts_nested_in_an_external_stop_branch_never_hide_it() -> None:
    """The API takes the second request for a kill only while it sees the External Stop branch run."""
    nested = script(pause(2), code="nested", branches=f"{{normal: [{pause(3)}]}}")
    caller = script(pause(50), branches=f"{{stop: [run_script: {{code: nested}}, {pause(1)}]}}")
    rehearsal = Rehearsal(caller, nested)
    course = rehearsal.interpreter.run()
    next(course)
    course.close()
    assert rehearsal.finish(rehearsal.interpreter.external_stop()) is StopType.STOP
    assert rehearsal.passed_s == 6
    assert rehearsal.seen == [("main", None, "stop"), ("nested", "main", "stop"), ("main", None, "stop")]


def test_a_failure_in_the_external_stop_branch_ends_the_runtime_with_that_type() -> None:
    rehearsal = Rehearsal(script(pause(50), branches="{stop: [play: {prompt: '{unset}', duration_s: 1}]}"))
    assert rehearsal.finish(rehearsal.interpreter.external_stop()) is StopType.ERROR


def test_the_same_caller_does_the_same_again() -> None:
    text = script(f"repeat: {{times: 20, steps: [{MENU}, timeout_probability: 0.1, timeout: [stop]}}]}}")
    first, second = Rehearsal(text, seed=5), Rehearsal(text, seed=5)
    assert (first.run(), first.passed_s) == (second.run(), second.passed_s)
