"""The schedule: a seed is a run."""

import itertools

import pytest

from chaos.schedule import FUNCTIONS, SCENARIOS, WAITS_S, Kind, Profile, Span, draw, manner, wait_s

NODES = ("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.2", "d@127.0.0.3")
FITTING = (Kind.THROTTLED, Kind.CUT, Kind.LOST)


def schedule(seed=1, profile=Profile(), duration_s=360.0):  # noqa: B008  # frozen
    return draw(seed, duration_s=duration_s, nodes=NODES, swapping=NODES[:2], profile=profile)


def test_the_same_seed_draws_the_same_schedule_and_another_seed_another():
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_a_shorter_run_is_the_beginning_of_a_longer_one():
    """So `make chaos SEED=… MINUTES=…` replays the part that was of interest."""
    short, long = schedule(3, duration_s=60.0), schedule(3, duration_s=360.0)
    assert set(short.blows) <= set(long.blows)
    assert set(short.storms) <= set(long.storms)


def test_the_fault_of_a_request_depends_on_seed_link_and_number_alone():
    one, two = schedule(5, Profile(always=True)), schedule(5, Profile(always=True))
    faults = [one.fault(NODES[0], number, FITTING, at_s=1.0) for number in range(200)]
    for number in reversed(range(200)):
        again = two.fault(NODES[0], number, FITTING, at_s=50.0)
        assert (again and again[0]) == (faults[number] and faults[number][0])
    assert {fault[0] for fault in faults if fault} == set(FITTING)
    other = [one.fault(NODES[1], number, FITTING, at_s=1.0) for number in range(200)]
    assert [fault and fault[0] for fault in other] != [fault and fault[0] for fault in faults]


def test_requests_are_broken_inside_storms_only():
    one = schedule(5, Profile(chance=1.0))
    storm = next(span for span in one.storms if span.place == FUNCTIONS)
    assert one.fault(FUNCTIONS, 1, FITTING, at_s=(storm.since_s + storm.until_s) / 2)
    assert one.fault(FUNCTIONS, 1, FITTING, at_s=storm.until_s) is None


def test_a_storm_of_the_agents_only_leaves_the_functions_link_alone():
    """The client, which goes through the functions, then brings about what the agents' late writes are to spoil."""
    one = schedule(5, Profile(always=True, agents_only=True, chance=1.0))
    assert one.fault(FUNCTIONS, 1, FITTING, at_s=1.0) is None
    assert all(one.fault(node, 1, FITTING, at_s=1.0) for node in NODES)


def test_a_profile_without_a_kind_never_draws_it():
    one = schedule(5, Profile(always=True, chance=1.0, weights={Kind.LOST: 1.0}))
    drawn = [one.fault(FUNCTIONS, number, FITTING, at_s=1.0) for number in range(20)]
    assert {fault[0] for fault in drawn if fault} == {Kind.LOST}
    assert one.fault(FUNCTIONS, 1, (Kind.CUT,), at_s=1.0) is None


def test_six_minutes_kill_everybody_often_and_take_sqs_away_for_30_s():
    one = schedule(11)
    for node in NODES:
        assert {blow.parts for blow in one.blows if node in blow.nodes} >= {("agent",), ("engine",)}
        assert any(span.place == node for span in one.cuts)
        assert any(span.place == node for span in one.slow)
    assert len(one.blows) > 70
    swaps = [blow.parts for blow in one.blows if len(blow.nodes) == 2]
    assert len(swaps) >= 6
    assert set(swaps) == {("engine", "agent"), ("agent",)}
    assert one.outages
    assert all(round(span.until_s - span.since_s) == 30 for span in one.outages)


@pytest.mark.parametrize("seed", range(10))
def test_a_short_run_meets_an_outage_and_a_swap(seed):
    short = schedule(seed, duration_s=30.0)
    assert short.outages[0].since_s < 25
    assert any(len(blow.nodes) == 2 for blow in short.blows)


def test_only_the_victims_are_killed():
    one = schedule(3, Profile(victims=("agent",)))
    assert {blow.parts for blow in one.blows} == {("agent",)}
    assert len(one.blows) == len(schedule(3).blows)


def test_late_writes_are_held_until_their_agent_is_killed_and_nothing_else_is_broken():
    one = schedule(1, SCENARIOS["late_writes"])
    assert (one.cuts, one.slow, one.outages) == ((), (), ())
    assert {blow.parts for blow in one.blows} == {("agent",)}
    for blow in one.blows:
        [node] = blow.nodes
        assert any(storm.place == node and storm.until_s == blow.at_s for storm in one.storms)
    assert len(one.storms) == len(one.blows)
    held = one.fault(NODES[0], 1, tuple(Kind), at_s=next(s.since_s for s in one.storms if s.place == NODES[0]))
    assert held[0] is Kind.HELD


def test_every_place_has_calm_between_its_storms():
    """Lateness, ghosts and gaps can be judged only where everything was whole for over 10 s."""
    one = schedule(11)
    for node in NODES:
        times = sorted(blow.at_s for blow in one.blows if node in blow.nodes)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert sum(gap > 20 for gap in gaps) >= 6


def test_clocks_are_wrong_by_seconds_to_weeks_in_both_directions():
    wrong = [clock for clocks in schedule(1).clocks.values() for clock in clocks]
    assert min(wrong) < -1e5
    assert max(wrong) > 1e5
    assert all(abs(clock) > 3 for clock in wrong)


def test_a_quiet_profile_breaks_no_processes():
    quiet = schedule(1, Profile(victims=(), cut=0.0, slow=0.0, outage=False))
    assert (quiet.blows, quiet.cuts, quiet.slow, quiet.outages) == ((), (), (), ())


def test_the_manner_of_a_stop_depends_on_seed_and_number_alone():
    assert manner(1, 5, Profile()) == manner(1, 5, Profile())
    manners = [manner(1, number, Profile()) for number in range(400)]
    assert 60 < sum(how.second_s is not None for how in manners) < 140
    assert 20 < sum(how.echo_s is not None for how in manners) < 70
    assert 20 < sum(how.patience_s < 2 for how in manners) < 70


def test_half_of_the_stops_wait_for_their_effect():
    waits = [wait_s(1, number, Profile()) for number in range(400)]
    assert waits == [wait_s(1, number, Profile()) for number in range(400)]
    assert 160 < waits.count(None) < 240
    assert set(waits) == {None, *WAITS_S}


def test_a_span_without_a_place_is_everywhere():
    assert Span("", 1.0, 2.0).holds(NODES[0], 1.0)
    assert not Span("", 1.0, 2.0).holds(NODES[0], 2.0)
    assert not Span(NODES[1], 1.0, 2.0).holds(NODES[0], 1.5)
