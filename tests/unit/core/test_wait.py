"""The wait for a stop's effect: when it looks, what it takes for proven, and that it never harms an accepted stop."""

import threading
from dataclasses import replace

import pytest

from ivr_runtimes.errors import AmbiguousWriteError, StoreUnavailableError
from ivr_runtimes.http.caller import Caller
from ivr_runtimes.identifiers import Session, StopId
from ivr_runtimes.model import State, StopType, Verb
from ivr_runtimes.stopping.acceptance import ANSWER_WITHIN_S, StopReceipt
from ivr_runtimes.stopping.outcome import StopOutcome, proven
from ivr_runtimes.stopping.request import MAX_WAIT_S, StopRequest
from ivr_runtimes.stopping.wait import FIRST_LOOK_S, MAX_READS, EffectWait
from rows import DOMAIN, PLAYER, node_of

BEGUN_S = 1000.0
KEY = StopId("key-1")
CALLER = Caller(DOMAIN, "operator")
BRANCH = replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.STOP, stop_id=KEY)
ANOTHERS = replace(BRANCH, stop_id=StopId("key-0"))
NODE = node_of(PLAYER, lease_until_s=0.0)
RUNNING, GONE = PLAYER, None


class Tables:
    """Rows that change as a script has it: `rows` maps seconds of the wait to what stands there from then on."""

    def __init__(self, rows, *, node=NODE, read_s=0.0, begun_s=BEGUN_S):
        self.rows, self.node, self.read_s = rows, node, read_s
        self.now_s, self.looks = begun_s, []

    def sleep(self, pause_s):
        assert pause_s > 0
        self.now_s += pause_s

    def present(self, site, runtime_id):
        assert (site, runtime_id) == (PLAYER.site, PLAYER.id)
        self.looks.append(round(self.now_s - BEGUN_S, 4))
        found = [row for from_s, row in self.rows.items() if from_s <= self.now_s - BEGUN_S]
        self.now_s += self.read_s
        return self._answered(found[-1])

    def read(self, site, node):
        assert (site, node) == (PLAYER.site, PLAYER.node)
        self.now_s += self.read_s
        return self._answered(self.node)

    def _answered(self, found):
        if isinstance(found, Exception):
            raise found
        return found

    def watch(self, *, wait_s=5, verb=Verb.EXTERNAL_STOP, row=RUNNING):
        wait = EffectWait(runtimes=self, nodes=self, sleep=self.sleep, monotonic=lambda: self.now_s)
        return wait.watch(StopReceipt(StopRequest(PLAYER.id, KEY), CALLER, row, verb, BEGUN_S), wait_s=wait_s)


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ({0: RUNNING, 0.2: GONE}, StopOutcome.ENDED),
        ({0: RUNNING, 0.2: replace(PLAYER, session=Session("next"))}, StopOutcome.ENDED),
        ({0: RUNNING, 0.2: replace(BRANCH, session=Session("next"))}, StopOutcome.ENDED),
        ({0: RUNNING, 0.2: BRANCH}, StopOutcome.POST_PROCESSING),
        ({0: RUNNING, 0.2: ANOTHERS}, StopOutcome.ALREADY_STOPPING),
        ({0: RUNNING, 0.2: replace(BRANCH, stop_id=None)}, StopOutcome.ALREADY_STOPPING),
        ({0: RUNNING}, StopOutcome.PENDING),
        ({0: replace(PLAYER, stop_id=KEY)}, StopOutcome.PENDING),
        ({0: replace(BRANCH, stoptype=StopType.TIMEOUT)}, StopOutcome.PENDING),
        ({0: RUNNING, 0.2: replace(PLAYER, stop_id=KEY), 3: BRANCH}, StopOutcome.POST_PROCESSING),
    ],
)
def test_the_outcome_is_what_the_row_proves(rows, outcome):
    assert Tables(rows).watch().outcome is outcome


def test_a_second_stop_waits_for_the_end_and_not_for_the_branch_it_is_to_end():
    """The branch of the first stop was there before: `already_stopping` would say nothing of the second."""
    ended = Tables({0: ANOTHERS, 0.3: GONE}).watch(verb=Verb.TERMINATE, row=ANOTHERS)
    assert ended.outcome is StopOutcome.ENDED
    assert Tables({0: ANOTHERS}).watch(verb=Verb.TERMINATE, row=ANOTHERS).outcome is StopOutcome.PENDING


def test_a_second_stop_whose_id_the_engine_took_for_an_earlier_command_is_told_so():
    """An external stop of that key, still on its way when the branch began, was accepted first: no id acts twice."""
    assert Tables({0: ANOTHERS, 0.3: BRANCH}).watch(verb=Verb.TERMINATE, row=ANOTHERS).outcome == "post_processing"


def test_a_repeat_learns_what_the_first_request_did_and_waits_if_that_is_nothing_yet():
    at_once = Tables({})
    assert at_once.watch(verb=None, row=BRANCH).outcome is StopOutcome.POST_PROCESSING
    assert (at_once.looks, at_once.now_s) == ([], BEGUN_S)
    accepted = replace(PLAYER, stop_id=KEY)
    later = Tables({0: accepted, 1: BRANCH}).watch(verb=None, row=accepted)
    assert (later.outcome, later.effect_s) == (StopOutcome.POST_PROCESSING, None)
    assert later.reads > 1


def test_the_first_look_comes_soon_and_each_pause_is_longer():
    tables = Tables({0: RUNNING})
    tables.watch(wait_s=8)
    pauses = [after - before for before, after in zip([0, *tables.looks], tables.looks, strict=False)]
    assert pauses[0] == FIRST_LOOK_S == 0.05
    assert pauses[:-1] == sorted(pauses[:-1])
    assert tables.looks[-1] > 7.5, "the last look comes shortly before the end"


@pytest.mark.parametrize("wait_s", range(1, MAX_WAIT_S + 1))
@pytest.mark.parametrize("read_s", [0.0, 0.004, 0.03, 0.09])
def test_a_wait_ends_in_time_with_at_most_twelve_reads(wait_s, read_s):
    tables = Tables({0: RUNNING}, read_s=read_s)
    waited = tables.watch(wait_s=wait_s)
    assert waited.outcome is StopOutcome.PENDING
    assert tables.now_s - BEGUN_S <= wait_s
    assert 0 < waited.reads <= MAX_READS == 12
    assert waited.took_s == pytest.approx(tables.now_s - BEGUN_S)


def test_the_longest_wait_ends_before_an_answer_is_due():
    assert MAX_WAIT_S < ANSWER_WITHIN_S < 10


@pytest.mark.parametrize("late_s", [0.99, 1.0, 9.4])
def test_what_acceptance_took_is_part_of_the_wait(late_s):
    tables = Tables({0: GONE}, begun_s=BEGUN_S + late_s)
    assert tables.watch(wait_s=1).outcome is StopOutcome.PENDING
    assert tables.looks == []
    assert tables.now_s == BEGUN_S + late_s


def test_an_engine_that_lives_anew_has_ended_the_call_though_the_row_still_stands():
    """Rows of earlier sessions are deleted at leisure."""
    again = Tables({0: RUNNING}, node=replace(NODE, session=Session("next")))
    assert again.watch().outcome is StopOutcome.ENDED


@pytest.mark.parametrize("node", [NODE, None, AmbiguousWriteError("cut")])
def test_a_node_that_may_still_run_the_call_leaves_the_stop_pending(node):
    """Its lease has lapsed during the wait, or nothing is known of it."""
    assert Tables({0: RUNNING}, node=node).watch().outcome is StopOutcome.PENDING


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), AmbiguousWriteError("cut"), KeyError("Responses")])
def test_a_look_that_fails_makes_no_error_of_an_accepted_stop(error):
    waited = Tables({0: error, 1: RUNNING, 2: GONE}).watch()
    assert waited.outcome is StopOutcome.ENDED
    never = Tables({0: error}, node=error).watch()
    assert (never.outcome, never.effect_s) == (StopOutcome.PENDING, None)
    assert never.error


def test_a_read_that_hangs_is_not_waited_for():
    go_on = threading.Event()

    class Hanging(Tables):
        def present(self, *_):
            go_on.wait(20)
            return GONE

        def sleep(self, _pause_s):
            self.now_s = BEGUN_S + 0.95  # hardly any of the wait is left, in which real time passes

    tables = Hanging({0: GONE})
    assert tables.watch(wait_s=1).outcome is StopOutcome.PENDING
    go_on.set()


def test_the_time_to_the_effect_is_told_where_this_request_caused_it():
    waited = Tables({0: RUNNING, 0.2: GONE}, read_s=0.01).watch()
    assert 0.2 <= (waited.effect_s or 0) < 0.4
    assert waited.described() == {"stop_outcome": "ended", "waited_s": round(waited.took_s, 3), "reads": 3, "error": ""}


def test_what_acceptance_read_proves_nothing_of_a_stop_that_was_just_sent():
    for row, verb in ((RUNNING, Verb.EXTERNAL_STOP), (ANOTHERS, Verb.TERMINATE)):
        assert proven(StopReceipt(StopRequest(PLAYER.id, KEY), CALLER, row, verb, BEGUN_S), row) is None
