from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ivr_engine.model import StopType
from ivr_sandbox.interpreter import Course, Interpreter
from ivr_sandbox.library import load

LIBRARY = load(Path(__file__).parents[3] / "samples")
CALLS = 300

CALLED = {"player": (25, 45), "welcome": (25, 45), "survey": (25, 45), "callback": (25, 45)}
NESTED = {"news": (18, 30), "goodbye": (10, 16)}


def interpreter(code: str, *, seed: int, changed: Callable[[], None] = lambda: None) -> Interpreter:
    return Interpreter(LIBRARY[code], library=LIBRARY, rng=Random(seed), changed=changed)  # noqa: S311  # a caller


def lasts(course: Course) -> tuple[float, StopType]:
    passed_s = 0.0
    while True:
        try:
            passed_s += next(course)
        except StopIteration as end:
            return passed_s, end.value


def test_these_are_all_samples_there_are() -> None:
    assert set(LIBRARY) == {*CALLED, *NESTED}
    assert LIBRARY["player"].name == "TEST PLAY"
    assert LIBRARY["welcome"].name == "Main scenario"


@pytest.mark.parametrize(("code", "shortest_s", "longest_s"), [(c, *span) for c, span in (CALLED | NESTED).items()])
def test_a_call_that_goes_well_ends_normally_in_its_time(code: str, shortest_s: int, longest_s: int) -> None:
    ends = [lasts(interpreter(code, seed=seed).run()) for seed in range(CALLS)]
    # "0" in `callback` is the caller's own early end.
    normal = [
        passed_s for passed_s, stoptype in ends if (stoptype is StopType.NORMAL and passed_s > 20) or code in NESTED
    ]
    assert len(normal) > CALLS / 2
    assert shortest_s <= min(normal)
    assert max(normal) <= longest_s


def test_callback_shows_every_end_it_describes() -> None:
    ends = {lasts(interpreter("callback", seed=seed).run())[1] for seed in range(CALLS)}
    assert ends == {StopType.NORMAL, StopType.TIMEOUT, StopType.ERROR}


@pytest.mark.parametrize("code", ["survey", "callback"])
def test_an_external_stop_is_answered_with_20_to_30_s_of_goodbye(code: str) -> None:
    stopped = [lasts(interpreter(code, seed=seed).external_stop()) for seed in range(CALLS)]
    assert {stoptype for _, stoptype in stopped} == {StopType.STOP}
    assert all(20 <= passed_s <= 30 for passed_s, _ in stopped)


@pytest.mark.parametrize("code", sorted({*CALLED, *NESTED} - {"survey", "callback"}))
def test_the_other_samples_have_no_external_stop_branch(code: str) -> None:
    assert not interpreter(code, seed=1).has_stop_branch


def test_a_caller_of_welcome_is_in_the_news_most_of_the_time() -> None:
    total_s = inside_s = 0.0
    for seed in range(CALLS):
        runner = interpreter("welcome", seed=seed)
        for wait_s in runner.run():
            total_s += wait_s
            inside_s += wait_s if runner.script.code == "news" else 0
    assert 0.6 < inside_s / total_s < 0.9


def test_the_goodbye_of_callback_is_a_nested_script() -> None:
    seen = []
    runner = interpreter("callback", seed=1, changed=lambda: seen.append((runner.script.code, runner.stoptype)))
    lasts(runner.external_stop())
    assert seen == [("callback", StopType.STOP), ("goodbye", StopType.STOP), ("callback", StopType.STOP)]
