import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.aws.clock import CONFIRM_S, CONFIRMATIONS, DATE_RESOLUTION_S, JUMP_S, ROUND_TRIP_S, Clock, rfc3339
from ivr_agent.engine.memory import EPOCH_S, ManualTime


def test_until_aws_answers_the_host_clock_serves() -> None:
    time = ManualTime(50.0)
    clock = Clock(monotonic=time, wall=lambda: 1000.0)
    time.pass_s(7)
    assert clock.now_s() == 1007.0
    for _ in range(CONFIRMATIONS):
        assert not clock.synchronised
        clock.observe(EPOCH_S)
    assert clock.synchronised


def host_off_by(wrong_s: float, time: ManualTime) -> Clock:
    """Return a clock that AWS has not told the time yet, on a host whose clock is off."""
    return Clock(monotonic=time, wall=lambda: EPOCH_S + time.at_s + wrong_s)


@given(
    wrong_s=st.floats(-1e6, 1e6),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, ROUND_TRIP_S)), min_size=CONFIRMATIONS, max_size=30),
)
def test_after_a_few_answers_the_host_clock_no_longer_matters(
    wrong_s: float, answers: list[tuple[float, float]]
) -> None:
    """`Date` drops the fraction and is as old as the way back took: the estimate is never further off than that."""
    time = ManualTime()
    clock = host_off_by(wrong_s, time)
    for number, (wait_s, way_back_s) in enumerate(answers, start=1):
        time.pass_s(wait_s)
        date_s = float(int(EPOCH_S + time.at_s))
        time.pass_s(way_back_s)
        clock.observe(date_s)
        off_s = clock.now_s() - (EPOCH_S + time.at_s)
        if number >= CONFIRMATIONS or abs(wrong_s) < JUMP_S - DATE_RESOLUTION_S - ROUND_TRIP_S:
            assert abs(off_s) <= DATE_RESOLUTION_S + ROUND_TRIP_S + 1e-6


@pytest.mark.parametrize(
    "odd_s", [500, -500, 3 * 3600, -5 * 3600, -EPOCH_S, -62135596800 - EPOCH_S, 253402300799 - EPOCH_S]
)
@pytest.mark.parametrize("first", [True, False])
def test_an_odd_answer_does_not_bend_the_clock(odd_s: float, *, first: bool) -> None:
    """A cache or a proxy on the way, with its own idea of the time, moved the lease by hours: readers saw a dead node,
    and the table takes no step back."""
    time = ManualTime()
    clock = host_off_by(0.0, time) if first else time.clock()
    clock.observe(EPOCH_S + odd_s)
    assert clock.now_s() == pytest.approx(EPOCH_S, abs=2)
    clock.observe(EPOCH_S)
    clock.observe(EPOCH_S + odd_s)
    assert clock.now_s() == pytest.approx(EPOCH_S, abs=2)


def test_what_a_cache_repeats_does_not_bend_the_clock() -> None:
    time = ManualTime()
    clock = time.clock()
    for _ in range(100):
        clock.observe(EPOCH_S - 7200)
        time.pass_s(1)
    assert clock.now_s() == pytest.approx(EPOCH_S + 100, abs=1)


def test_a_host_that_slept_is_told_by_one_answer_that_its_own_clock_confirms() -> None:
    """The monotonic clock stands still while a virtual machine is suspended; the host's is right again at once."""
    time, slept_s = ManualTime(), 0.0
    clock = Clock(monotonic=time, wall=lambda: EPOCH_S + time.at_s + slept_s)
    clock.observe(EPOCH_S)
    slept_s = 7200.0
    clock.observe(EPOCH_S + slept_s)
    assert clock.now_s() == pytest.approx(EPOCH_S + slept_s, abs=2)


def test_a_time_that_all_answers_tell_is_believed_in_the_end() -> None:
    time = ManualTime()
    clock = time.clock()
    while time.at_s < CONFIRM_S:
        clock.observe(EPOCH_S + time.at_s + 7200)
        assert clock.now_s() == pytest.approx(EPOCH_S + time.at_s, abs=1)
        time.pass_s(5)
    clock.observe(EPOCH_S + time.at_s + 7200)
    assert clock.now_s() == pytest.approx(EPOCH_S + time.at_s + 7200, abs=2)


def test_instants_are_written_as_the_tables_have_them() -> None:
    assert rfc3339(EPOCH_S + 0.9) == "2019-11-05T08:36:40Z"
