"""The verdict on hand-made histories: what each count takes, and what it does not."""

from dataclasses import replace

import pytest

from chaos.history import Before, Claim, Hidden, History, Life, Receipt, Sample, Session, Stop, Told, Trouble
from chaos.verdict import UNTOLD, VIOLATIONS, Verdict, findings, judge

NODE, PEER, DOMAIN = "a@127.0.0.1", "b@127.0.0.1", "test.rootdomain.ru"
BEGAN, ACCEPTED, END = 1000.0, 1100.0, 1400.0


def told(at=ACCEPTED + 0.1, stop_id="k", **changes):
    defaults = {"verb": "external_stop", "before": Before.RUNNING, "branch": False, "ended": True}
    return Told(at=at, runtime="r", stop_id=stop_id, **(defaults | changes))


def into_branch(at=ACCEPTED + 0.1, stop_id="k", **changes):
    return told(at, stop_id, **({"branch": True, "ended": False} | changes))


def killing(at, stop_id, **changes):
    """A terminate that ends the runtime in its branch."""
    return told(at, stop_id, **({"verb": "terminate", "before": Before.BRANCH, "branch": True} | changes))


def history(*commands, ended_at=None, killed_at=None, accepted_at=ACCEPTED, branch_at=None, claims=(), **changes):
    """One runtime on one node, one stop `k` of it."""
    session = Session(session="s", node=NODE, pid=1, began_at=BEGAN - 10, killed_at=killed_at)
    life = Life(runtime="r", session="s", domain=DOMAIN, began_at=BEGAN, ended_at=ended_at, told=list(commands))
    life.branch_at = branch_at
    stop = Stop(stop_id="k", runtime="r", sent_at=accepted_at or ACCEPTED, accepted_at=accepted_at, attempts=1)
    stop.claims = list(claims)
    defaults = {
        "sites": {NODE: "SITE1", PEER: "SITE1"},
        "ended_at": END,
        "sessions": {"s": session},
        "lives": {"r": life},
        "stops": [stop],
    }
    return History(**(defaults | changes))


def sample(at, *ids, domain=DOMAIN):
    return Sample(domain=domain, asked_at=at, answered_at=at + 0.1, ids=frozenset(ids))


def only(verdict, **counts):
    """Tell that exactly these violations were found."""
    return {name: getattr(verdict, name) for name in VIOLATIONS if getattr(verdict, name)} == counts


def fates(verdict):
    return (verdict.took_effect, verdict.already_ended, verdict.node_died, verdict.lost)


# --- what became of a stop ---


def test_a_stop_that_the_engine_was_told_of_took_effect():
    verdict = judge(history(told(), ended_at=ACCEPTED + 0.1))
    assert (fates(verdict), verdict.stops_accepted, verdict.requests) == ((1, 0, 0, 0), 1, 1)
    assert only(verdict)
    assert verdict.wrong() == []


def test_a_stop_told_before_its_204_took_effect_too():
    assert fates(judge(history(told(ACCEPTED - 3), ended_at=ACCEPTED - 3))) == (1, 0, 0, 0)


def test_a_no_op_beside_another_stop_took_effect():
    verdict = judge(history(into_branch(stop_id="other"), into_branch(ACCEPTED + 0.2, before=Before.STOPPING)))
    assert fates(verdict) == (1, 0, 0, 0)


def test_a_runtime_that_was_over_at_the_204_had_already_ended():
    assert fates(judge(history(ended_at=ACCEPTED - 0.1))) == (0, 1, 0, 0)


def test_so_had_one_whose_engine_was_killed_before_the_204():
    assert fates(judge(history(killed_at=ACCEPTED - 0.1))) == (0, 1, 0, 0)


def test_a_runtime_that_ended_by_itself_before_its_engine_was_told_had_already_ended():
    late = told(ACCEPTED + 3, before=Before.UNKNOWN, ended=False)
    assert fates(judge(history(late, ended_at=ACCEPTED + 2))) == (0, 1, 0, 0)


def test_a_stop_whose_engine_was_killed_after_the_204_died_with_its_node():
    assert fates(judge(history(killed_at=ACCEPTED + 5))) == (0, 0, 1, 0)


def test_so_did_one_whose_runtime_ended_by_itself_meanwhile_and_that_is_told_apart():
    ended = history(ended_at=ACCEPTED + 2, killed_at=ACCEPTED + 5)
    assert (fates(judge(ended)), findings(ended)[UNTOLD]) == ((0, 0, 1, 0), ["k"])
    assert findings(history(killed_at=ACCEPTED + 5))[UNTOLD] == []


def test_a_death_long_after_the_runtimes_own_end_is_no_excuse():
    """The process that died no longer ran it, and for over 10 s nothing kept the stop from being told."""
    ended = history(ended_at=ACCEPTED + 2, killed_at=ACCEPTED + 10.1)
    assert (fates(judge(ended)), findings(ended)[UNTOLD]) == ((0, 0, 0, 1), [])
    assert only(judge(ended), lost=1)


def test_unless_the_stop_was_on_its_way_all_the_time():
    broken = [Trouble("", "queue", ACCEPTED + 1, ACCEPTED + 31)]
    ended = history(ended_at=ACCEPTED + 2, killed_at=ACCEPTED + 35, troubles=broken)
    assert fates(judge(ended)) == (0, 0, 1, 0)


def test_a_stop_that_nobody_was_told_of_is_lost():
    verdict = judge(history())
    assert fates(verdict) == (0, 0, 0, 1)
    assert only(verdict, lost=1)
    assert verdict.wrong() == ["lost: 1, must be 0"]


def test_a_stop_is_lost_also_when_its_runtime_ended_by_itself_later():
    assert fates(judge(history(ended_at=ACCEPTED + 30))) == (0, 0, 0, 1)


def test_a_stop_of_a_runtime_that_no_engine_ever_ran_is_lost():
    assert fates(judge(history(lives={}))) == (0, 0, 0, 1)


def test_a_stop_without_a_204_is_a_request_and_nothing_else():
    verdict = judge(history(told(), accepted_at=None))
    assert (fates(verdict), verdict.stops_accepted, verdict.requests) == ((0, 0, 0, 0), 0, 1)


def test_too_few_accepted_requests_are_wrong():
    stops = [Stop(stop_id=f"k{n}", runtime="r", sent_at=ACCEPTED) for n in range(2)]
    accepted = history(told()).stops * 8
    verdict = judge(history(told(), stops=[*accepted, *stops]))
    assert verdict.wrong() == ["only 8 of 10 stop requests ended accepted"]
    assert judge(history(told(), stops=[*accepted, *accepted, *stops])).wrong() == [
        "only 16 of 18 stop requests ended accepted"
    ]
    assert judge(history(told(), stops=[*accepted, *accepted, *accepted, *stops])).wrong() == []


def test_fates_that_do_not_add_up_are_wrong():
    verdict = judge(history(told()))
    assert replace(verdict, took_effect=0).wrong() == ["the fates of stops add up to 0, not to 1"]


def test_kills_faults_and_requests_are_told():
    verdict = judge(history(told(), kills=7, faults=21))
    assert (verdict.kills, verdict.faults, verdict.requests) == (7, 21, 1)


def test_the_result_has_exactly_the_documented_fields():
    assert list(judge(history()).as_json()) == [
        "stops_accepted", "took_effect", "already_ended", "node_died", "lost", "told_late", "killed_by_own_retry",
        "terminated_without_acknowledged_branch", "branch_skipped", "false_outcome", "ghosts", "missing", "kills",
        "faults", "requests",
    ]  # fmt: skip
    assert set(VIOLATIONS) < set(Verdict.__annotations__)


# --- told late ---


@pytest.mark.parametrize(("after_s", "late"), [(9.9, 0), (10.1, 1)])
def test_told_late_is_later_than_10_s(after_s, late):
    assert judge(history(told(ACCEPTED + after_s))).told_late == late


def test_a_natural_end_does_not_excuse_a_late_command():
    late = told(ACCEPTED + 40, before=Before.UNKNOWN, ended=False)
    assert only(judge(history(late, ended_at=ACCEPTED + 35)), told_late=1)


def test_nor_does_a_late_death_of_the_node():
    assert only(judge(history(killed_at=ACCEPTED + 11)), told_late=1)
    assert only(judge(history(killed_at=ACCEPTED + 9)))


@pytest.mark.parametrize(("what", "rest_s"), [("process", 20), ("slow", 20), ("link", 5)])
def test_trouble_of_its_node_excuses_until_the_command_is_back(what, rest_s):
    trouble = [Trouble(NODE, what, ACCEPTED + 1, ACCEPTED + 5)]
    assert only(judge(history(told(ACCEPTED + 5 + rest_s + 9.9), troubles=trouble)))
    assert only(judge(history(told(ACCEPTED + 5 + rest_s + 10.1), troubles=trouble)), told_late=1)


def test_trouble_that_was_over_before_excuses_for_one_backoff_only():
    trouble = [Trouble(NODE, "link", ACCEPTED - 5, ACCEPTED - 1)]
    assert only(judge(history(told(ACCEPTED + 13.9), troubles=trouble)))
    assert only(judge(history(told(ACCEPTED + 14.1), troubles=trouble)), told_late=1)


def test_trouble_of_another_node_excuses_only_if_that_had_the_message_in_hand():
    trouble = [Trouble(PEER, "process", ACCEPTED + 1, ACCEPTED + 3)]
    assert only(judge(history(told(ACCEPTED + 15), troubles=trouble)), told_late=1)
    receipt = [Receipt("k", PEER, ACCEPTED + 0.5)]
    assert only(judge(history(told(ACCEPTED + 15), troubles=trouble, receipts=receipt)))
    foreign = [Receipt("other", PEER, ACCEPTED + 0.5)]
    assert only(judge(history(told(ACCEPTED + 15), troubles=trouble, receipts=foreign)), told_late=1)


def test_a_message_that_was_hidden_by_a_fault_excuses_its_own_stop_only():
    assert only(judge(history(told(ACCEPTED + 18), hidden=[Hidden("k", ACCEPTED, ACCEPTED + 16)])))
    assert only(judge(history(told(ACCEPTED + 18), hidden=[Hidden("x", ACCEPTED, ACCEPTED + 16)])), told_late=1)


def test_an_unreachable_sqs_excuses_everybody():
    assert only(judge(history(told(ACCEPTED + 35), troubles=[Trouble("", "queue", ACCEPTED + 1, ACCEPTED + 31)])))


# --- stops that did too much ---


def test_a_graceful_stop_and_its_repeats_do_no_wrong():
    repeats = [into_branch(ACCEPTED + n, before=Before.BRANCH) for n in range(1, 5)]
    assert only(judge(history(into_branch(), *repeats)))


def test_a_deliberate_second_stop_may_end_the_branch():
    assert only(judge(history(into_branch(), killing(ACCEPTED + 3, "second"))))


def test_a_repeat_that_ends_the_branch_it_began_killed_it():
    assert only(judge(history(into_branch(), killing(ACCEPTED + 3, "k"))), killed_by_own_retry=1)


def test_so_did_a_repeat_of_a_stop_that_was_a_no_op_at_first():
    commands = into_branch(stop_id="other"), into_branch(ACCEPTED + 1, "k", before=Before.BRANCH)
    assert only(judge(history(*commands, killing(ACCEPTED + 3, "k"))), killed_by_own_retry=1)


def test_order_is_that_of_the_clock_not_of_the_file():
    assert only(judge(history(killing(ACCEPTED + 3, "k"), into_branch())), killed_by_own_retry=1)


def test_a_terminate_before_the_branch_began_had_no_acknowledgement():
    early = killing(ACCEPTED + 0.2, "second", before=Before.STOPPING)
    verdict = judge(history(into_branch(), early))
    assert only(verdict, terminated_without_acknowledged_branch=1, branch_skipped=1)


def test_a_terminate_of_a_script_without_branch_had_none_either():
    verdict = judge(history(told(verb="terminate")))
    assert only(verdict, terminated_without_acknowledged_branch=1)


def test_a_stop_that_ends_a_script_with_a_branch_skipped_it():
    assert only(judge(history(told(branch=True))), branch_skipped=1)


# --- what answers said of the effect ---


def claimed(outcome, at, *commands, **changes):
    return judge(history(*commands, claims=[Claim(outcome, at)], **changes))


@pytest.mark.parametrize(("after_s", "false"), [(-0.01, {"false_outcome": 1}), (0.0, {}), (60.0, {})])
def test_an_end_that_is_claimed_before_it_came_is_false(after_s, false):
    at = ACCEPTED + 0.1
    assert only(claimed("ended", at + after_s, told(at), ended_at=at), **false)
    killed = claimed("ended", at + after_s, killed_at=at)
    assert only(killed, **false)


def test_an_end_of_a_runtime_that_outlived_the_run_is_false():
    assert only(claimed("ended", ACCEPTED + 1, into_branch(), branch_at=ACCEPTED + 0.1), false_outcome=1)
    assert claimed("ended", ACCEPTED + 1, lives={}).false_outcome == 1


@pytest.mark.parametrize(("after_s", "false"), [(-0.01, {"false_outcome": 1}), (0.0, {}), (5.0, {})])
def test_a_branch_that_is_claimed_before_it_began_is_false(after_s, false):
    at = ACCEPTED + 0.1
    assert only(claimed("post_processing", at + after_s, into_branch(at), branch_at=at), **false)
    another = into_branch(at, "other"), into_branch(at + 9, before=Before.BRANCH)
    assert only(claimed("already_stopping", at + after_s, *another, branch_at=at), **false)


def test_a_branch_by_another_stop_is_not_this_ones():
    other = into_branch(stop_id="other"), into_branch(ACCEPTED + 5, before=Before.BRANCH)
    assert only(claimed("post_processing", ACCEPTED + 4, *other, branch_at=ACCEPTED), false_outcome=1)
    assert only(claimed("post_processing", ACCEPTED + 6, *other, branch_at=ACCEPTED))


def test_a_branch_that_is_claimed_long_after_its_end_is_false_unless_its_node_was_in_trouble():
    over = {"ended_at": ACCEPTED + 5, "branch_at": ACCEPTED}
    assert only(claimed("post_processing", ACCEPTED + 14.9, into_branch(ACCEPTED), **over))
    assert only(claimed("post_processing", ACCEPTED + 15.1, into_branch(ACCEPTED), **over), false_outcome=1)
    cut = [Trouble(NODE, "link", ACCEPTED + 4, ACCEPTED + 14)]
    assert only(claimed("post_processing", ACCEPTED + 15.1, into_branch(ACCEPTED), troubles=cut, **over))


def test_what_is_not_claimed_is_not_false():
    assert only(claimed("pending", ACCEPTED + 9, told(), ended_at=ACCEPTED + 0.1))


# --- lists ---


def test_a_ghost_is_listed_longer_after_its_death_than_lease_and_skew():
    dead = {"accepted_at": None, "ended_at": ACCEPTED}
    assert only(judge(history(**dead, samples=[sample(ACCEPTED + 16.9, "r")])))
    assert only(judge(history(**dead, samples=[sample(ACCEPTED + 17.1, "r")] * 3)), ghosts=1)
    killed = {"accepted_at": None, "killed_at": ACCEPTED}
    assert only(judge(history(**killed, samples=[sample(ACCEPTED + 17.1, "r")])), ghosts=1)


def test_agents_that_are_killed_one_after_the_other_may_each_have_renewed_the_lease_last():
    """Seed 3 once had an agent killed 2 s after the end, between its lease and its first deletions."""

    def verdict(seen_s, *killed_s):
        troubles = [Trouble(NODE, "process", ACCEPTED + since_s, ACCEPTED + since_s + 20) for since_s in killed_s]
        listed = [sample(ACCEPTED + seen_s, "r")]
        return judge(history(accepted_at=None, ended_at=ACCEPTED, samples=listed, troubles=troubles))

    assert only(verdict(26.8, 9.9))
    assert only(verdict(27.1, 9.9), ghosts=1)
    assert only(verdict(35.9, 9.9, 18.9))
    assert only(verdict(17.1, 10.1), ghosts=1), "a process killed later proves nothing of the agents before"
    assert only(verdict(17.1, -0.1), ghosts=1)


def test_a_row_that_no_engine_ever_ran_is_a_ghost():
    assert only(judge(history(told(), samples=[sample(ACCEPTED - 50, "r", "nobody")])), ghosts=1)


def test_a_ghost_is_excused_while_its_nodes_link_was_broken_within_10_s():
    def verdict(trouble):
        listed = [sample(ACCEPTED + 40, "r")]
        return judge(history(accepted_at=None, ended_at=ACCEPTED, samples=listed, troubles=[trouble]))

    assert only(verdict(Trouble(NODE, "link", ACCEPTED, ACCEPTED + 30.5)))
    assert only(verdict(Trouble(NODE, "link", ACCEPTED, ACCEPTED + 29.5)), ghosts=1)
    assert only(verdict(Trouble(PEER, "link", ACCEPTED, ACCEPTED + 39)), ghosts=1)
    assert only(verdict(Trouble(NODE, "process", ACCEPTED, ACCEPTED + 34)), ghosts=1)


def test_a_ghost_is_excused_in_the_moment_in_which_its_node_comes_back():
    """A FreeSWITCH's session outlives its bridge: the next agent's lease once showed rows that it deleted just then."""

    def verdict(since_s, until_s, node=NODE):
        back = [Trouble(node, "process", ACCEPTED + since_s, ACCEPTED + until_s)]
        listed = [sample(ACCEPTED + 40, "r")]
        return judge(history(accepted_at=None, ended_at=ACCEPTED, samples=listed, troubles=back))

    assert only(verdict(11, 35.1))
    assert only(verdict(11, 34.9), ghosts=1)
    assert only(verdict(11, 40.05)), "while the list was answered"
    assert only(verdict(11, 40.2), ghosts=1), "while it was away its lease had run out"
    assert only(verdict(11, 35.1, PEER), ghosts=1)


def test_a_runtime_is_missing_when_it_ran_for_over_2_s_on_a_whole_node():
    idle = {"accepted_at": None}
    assert only(judge(history(**idle, samples=[sample(BEGAN + 1.9)])))
    assert only(judge(history(**idle, samples=[sample(BEGAN + 2.1)] * 2)), missing=1)
    assert only(judge(history(**idle, samples=[sample(BEGAN + 2.1, "r")])))
    assert only(judge(history(**idle, samples=[sample(BEGAN + 2.1, domain="shop.rootdomain.ru")])))


def test_a_runtime_that_ended_or_died_before_the_answer_is_not_missing():
    for over in ({"ended_at": BEGAN + 5.05}, {"killed_at": BEGAN + 5.05}):
        assert only(judge(history(accepted_at=None, samples=[sample(BEGAN + 5)], **over)))


@pytest.mark.parametrize("what", ["process", "link", "slow"])
def test_trouble_of_its_node_within_10_s_excuses_a_missing_row(what):
    def verdict(node, until):
        absent = [sample(BEGAN + 50)]
        return judge(history(accepted_at=None, samples=absent, troubles=[Trouble(node, what, BEGAN, until)]))

    assert only(verdict(NODE, BEGAN + 40.5))
    assert only(verdict(NODE, BEGAN + 39.5), missing=1)
    assert only(verdict(PEER, BEGAN + 49), missing=1)


def test_findings_name_what_the_counts_are_made_of():
    found = findings(history(samples=[sample(ACCEPTED, "nobody")]))
    assert (found["lost"], found["ghosts"], found["missing"]) == (["k"], ["nobody"], ["r"])
