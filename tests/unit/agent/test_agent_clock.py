from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.clock import DATE_RESOLUTION_S, ROUND_TRIP_S, Clock, rfc3339
from ivr_agent.memory import EPOCH_S, ManualTime


def test_until_aws_answers_the_host_clock_serves() -> None:
    time = ManualTime(50.0)
    clock = Clock(monotonic=time, wall=lambda: 1000.0)
    time.pass_s(7)
    assert clock.now_s() == 1007.0
    assert not clock.synchronised
    clock.observe(EPOCH_S)
    assert clock.synchronised


@given(
    wrong_s=st.floats(-1e6, 1e6),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, ROUND_TRIP_S)), min_size=1, max_size=30),
)
def test_after_an_answer_the_host_clock_no_longer_matters(wrong_s: float, answers: list[tuple[float, float]]) -> None:
    """`Date` drops the fraction and is as old as the way back took: the estimate is never further off than that."""
    time = ManualTime()
    clock = Clock(monotonic=time, wall=lambda: EPOCH_S + wrong_s)
    for wait_s, way_back_s in answers:
        time.pass_s(wait_s)
        date_s = float(int(EPOCH_S + time.at_s))
        time.pass_s(way_back_s)
        clock.observe(date_s)
        off_s = clock.now_s() - (EPOCH_S + time.at_s)
        assert abs(off_s) <= DATE_RESOLUTION_S + ROUND_TRIP_S + 1e-6


def test_a_single_odd_answer_does_not_bend_the_clock_for_good() -> None:
    time = ManualTime()
    clock = time.clock()
    clock.observe(EPOCH_S + 500)
    clock.observe(EPOCH_S)
    assert clock.now_s() <= EPOCH_S + DATE_RESOLUTION_S + ROUND_TRIP_S


def test_instants_are_written_as_the_tables_have_them() -> None:
    assert rfc3339(EPOCH_S + 0.9) == "2019-11-05T08:36:40Z"
