from collections import Counter
from random import Random

import pytest

from ivr_sandbox.calls import JITTER, Calls
from ivr_sandbox.clock import VirtualTime

CODES = ("player", "welcome", "survey")


class Log:
    """Takes calls and keeps what came when."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.codes: list[str] = []
        self.at_s: list[float] = []
        self.callers: list[float] = []

    def __call__(self, code: str, *, rng: Random) -> None:
        self.codes.append(code)
        self.at_s.append(self.time.time())
        self.callers.append(rng.random())


@pytest.fixture
def log(time: VirtualTime) -> Log:
    return Log(time)


def begin(log: Log, *, per_minute: float = 60, seed: int = 1) -> Calls:
    rng = Random(seed)  # noqa: S311  # callers, not secrets
    return Calls(CODES, calls_per_minute=per_minute, start=log, scheduler=log.time, rng=rng)


def test_calls_come_at_their_rate_and_evenly(log: Log) -> None:
    begin(log, per_minute=30)
    log.time.pass_s(600)
    assert len(log.at_s) in (299, 300, 301)
    gaps = [later - earlier for earlier, later in zip(log.at_s, log.at_s[1:], strict=False)]
    assert 2 * (1 - 2 * JITTER) <= min(gaps) < 2 < max(gaps) <= 2 * (1 + 2 * JITTER)


def test_calls_of_several_domains_do_not_begin_together(time: VirtualTime) -> None:
    firsts = []
    for seed in range(50):
        log = Log(VirtualTime())
        begin(log, per_minute=6, seed=seed)
        log.time.pass_s(13)
        firsts.append(log.at_s[0])
    assert min(firsts) < 2
    assert max(firsts) > 8


def test_every_script_gets_its_equal_share_in_every_round_but_in_no_fixed_order(log: Log) -> None:
    begin(log)
    log.time.pass_s(300)
    rounds = [tuple(log.codes[at : at + 3]) for at in range(0, 297, 3)]
    assert all(Counter(one) == Counter(CODES) for one in rounds)
    assert len(set(rounds)) == 6


def test_the_same_seed_brings_the_same_calls(time: VirtualTime) -> None:
    first, same, other = Log(VirtualTime()), Log(VirtualTime()), Log(VirtualTime())
    for log, seed in ((first, 7), (same, 7), (other, 8)):
        begin(log, seed=seed)
        log.time.pass_s(60)
    assert (first.codes, first.at_s, first.callers) == (same.codes, same.at_s, same.callers)
    assert first.at_s != other.at_s


def test_no_two_callers_are_alike(log: Log) -> None:
    begin(log)
    log.time.pass_s(300)
    assert len(set(log.callers)) == len(log.callers)


def test_stopped_calls_come_no_more(log: Log) -> None:
    calls = begin(log)
    log.time.pass_s(10)
    calls.stop()
    so_far = len(log.codes)
    log.time.pass_s(100)
    assert len(log.codes) == so_far
    assert log.time.waiting == 0


class Sleepy(VirtualTime):
    """A process that can be suspended: time goes on, and only then its callbacks come."""

    def suspend_s(self, seconds: float) -> None:
        self._now_s += seconds
        for timer in self._timers:
            timer.due_s = max(timer.due_s, self._now_s)


def test_a_process_that_was_suspended_does_not_make_up_for_missed_calls() -> None:
    log = Log(time := Sleepy())
    begin(log)
    time.pass_s(10)
    time.suspend_s(600)
    so_far = len(log.codes)
    time.pass_s(10)
    assert 9 <= len(log.codes) - so_far <= 12
