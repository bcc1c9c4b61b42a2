"""The course of one stop, in virtual time: against scripted answers, and against a world that loses and delays them."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivrctl.errors import AuthError, UnavailableError
from ivrctl.http import Answer
from ivrctl.stopping import OUTCOMES, Course, Result, Target, Wanted

ID = "244f84aa-0624-e639-8061-a80000000006"
TARGET = Target(ID, "k1", "SITE1")
WALL_S = 1_800_000_000.0


def accepted(outcome: str | None = None) -> Answer:
    return Answer(204, {"stop-outcome": outcome} if outcome else {}, b"")


def problem(status: int, code: str, **headers: str) -> Answer:
    return Answer(
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps({"code": code, "detail": "why"}).encode(),
    )


GONE = problem(404, "runtime_not_found")
BRANCH = {"id": ID, "ext.state": "post_processing", "ext.stoptype": "stop"}
RUNNING = {"id": ID, "ext.state": "running", "ext.stoptype": None}


def course(wanted: Wanted | None = None, target: Target = TARGET) -> Course:
    return Course(target, wanted or Wanted(), 0.0)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (accepted("ended"), "ended"),
        (accepted("post_processing"), "post_processing"),
        (accepted("already_stopping"), "post_processing"),
        (GONE, "already_ended"),
        (Answer(403, {}, b'{"message":"Forbidden"}'), "refused"),
        (problem(400, "invalid_request"), "refused"),
        (Answer(404, {}, b'{"message":"Not Found"}'), "refused"),
    ],
)
def test_an_answer_that_says_it_ends_the_course(answer: Answer, outcome: str) -> None:
    one = course()
    assert (one.step.key, one.step.wait_s) == ("k1", 5)
    one.answered(answer, 1.0, WALL_S)
    assert one.result is not None
    assert one.result.outcome == outcome


def test_without_a_word_on_the_outcome_the_list_proves_it() -> None:
    one = course()
    one.answered(accepted(), 1.0, WALL_S)
    assert one.step.key is None
    one.seen(RUNNING, 1.2, covered=True)
    assert one.result is None
    one.seen(None, 1.5, covered=False)
    assert one.result is None, "a site that does not answer proves nothing"
    one.seen(None, 2.0, covered=True)
    assert one.result == Result(ID, "ended")


def test_a_list_that_shows_the_branch_proves_the_stop() -> None:
    one = course()
    one.answered(accepted(), 1.0, WALL_S)
    one.seen(BRANCH, 1.2, covered=True)
    assert one.result == Result(ID, "post_processing")


def test_what_is_not_seen_in_time_is_pending() -> None:
    one = course(Wanted(wait_s=3.0))
    one.answered(accepted(), 1.0, WALL_S)
    now_s = 1.0
    while one.result is None:
        now_s = max(now_s, one.step.due_s)
        one.seen(RUNNING, now_s, covered=True)
    assert one.result.outcome == "pending"
    assert now_s == 4.0


def test_pending_is_asked_again_with_the_same_key() -> None:
    one = course(Wanted(wait_s=8.0))
    for now_s in (5.0, 10.0):
        one.answered(accepted("pending"), now_s, WALL_S)
        assert one.step.key == "k1"
    one.answered(accepted("pending"), 13.5, WALL_S)
    assert one.result == Result(ID, "pending")


def test_not_waiting_is_content_with_acceptance() -> None:
    one = course(Wanted(wait_s=0.0))
    assert one.step.wait_s == 0
    one.answered(accepted(), 1.0, WALL_S)
    assert one.result == Result(ID, "accepted")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (problem(503, "node_unreachable", retry_after="15"), "unreachable"),
        (problem(503, "outcome_unknown", retry_after="1"), "unknown"),
        (Answer(429, {"retry-after": "2"}, b'{"message":"Too Many Requests"}'), "throttled"),
        (Answer(503, {}, b'{"message":"Service Unavailable"}'), "unknown"),
        (Answer(500, {}, b"<html>"), "unknown"),
    ],
)
def test_a_refusal_for_now_is_repeated_with_the_same_key_until_patience_ends(answer: Answer, outcome: str) -> None:
    one = course(Wanted(patience_s=60.0))
    now_s = times = 0.0
    while one.result is None:
        assert one.step.key == "k1"
        now_s = max(now_s, one.step.due_s)
        times += 1
        one.answered(answer, now_s, WALL_S)
    assert one.result.outcome == outcome
    assert one.result.detail
    assert 30.0 < now_s <= 60.0
    assert times > 3


def test_the_pause_is_the_one_that_the_api_names() -> None:
    one = course()
    one.answered(problem(503, "node_unreachable", retry_after="15"), 1.0, WALL_S)
    assert one.step.due_s == 16.0
    one.answered(Answer(503, {"retry-after": "Fri, 15 Jan 2027 08:00:07 GMT"}, b"{}"), 16.0, WALL_S)
    assert one.step.due_s == 23.0


def test_gone_after_an_answer_that_was_lost_counts_as_our_doing() -> None:
    one = course()
    one.unanswered(UnavailableError("reset"), 1.0, sent=True)
    one.answered(GONE, 2.0, WALL_S)
    assert one.result == Result(ID, "ended")
    other = course()
    other.unanswered(UnavailableError("refused"), 1.0, sent=False)
    other.answered(GONE, 2.0, WALL_S)
    assert other.result == Result(ID, "already_ended")


def test_completely_sends_a_second_stop_with_a_key_of_its_own_once_the_branch_runs() -> None:
    one = course(Wanted(grace_s=0.0))
    one.answered(accepted("post_processing"), 1.0, WALL_S)
    assert (one.step.key, one.step.due_s) == ("k1.end", 1.0)
    one.answered(accepted("ended"), 1.5, WALL_S)
    assert one.result == Result(ID, "ended")


def test_grace_leaves_the_branch_its_time() -> None:
    one = course(Wanted(grace_s=20.0))
    one.answered(accepted("post_processing"), 1.0, WALL_S)
    now_s = 1.0
    while one.step.key is None:
        now_s = max(now_s, one.step.due_s)
        one.seen(BRANCH, now_s, covered=True)
        assert one.result is None
    assert (one.step.key, now_s) == ("k1.end", 21.0)


def test_a_goodbye_that_ends_within_the_grace_needs_no_second_stop() -> None:
    one = course(Wanted(grace_s=20.0))
    one.answered(accepted("post_processing"), 1.0, WALL_S)
    one.seen(None, 3.0, covered=True)
    assert one.result == Result(ID, "ended")


def test_a_goodbye_that_runs_already_is_not_cut_off_unless_that_is_asked_for() -> None:
    target = TARGET._replace(in_branch=True)
    assert course(target=target).result == Result(ID, "post_processing")
    assert course(Wanted(grace_s=0.0), target).step.key == "k1.end"
    assert course(Wanted(grace_s=5.0), target).step.key is None


def test_no_token_and_defects_are_outcomes_too() -> None:
    one = course()
    one.refused(AuthError("nobody is logged in"))
    assert one.result == Result(ID, "refused", "nobody is logged in")
    other = course()
    other.broken(RuntimeError("x"))
    assert other.result is not None
    assert other.result.outcome == "unknown"
    assert course().interrupted() == Result(ID, "not_sent")


@dataclass
class World:
    """One runtime behind an API that loses requests and answers, is busy at times, and acts after a while."""

    chance: random.Random
    goodbye_s: float | None
    proves: bool
    loss: float
    ends_at_s: float
    state: str = "running"
    branch_until_s: float = 0.0
    keys: set[str] = field(default_factory=set)
    acting: list[tuple[float, str]] = field(default_factory=list)
    kills: int = 0
    stops: int = 0

    def pass_to(self, now_s: float) -> None:
        for due_s, verb in sorted(self.acting):
            if due_s <= now_s and self.state != "gone":
                self.act(due_s, verb)
        self.acting = [each for each in self.acting if each[0] > now_s]
        if self.state == "post_processing" and now_s >= self.branch_until_s:
            self.state = "gone"
        if self.state == "running" and now_s >= self.ends_at_s:
            self.state = "gone"

    def act(self, now_s: float, verb: str) -> None:
        if verb == "terminate":
            self.kills += self.state == "post_processing"
            self.state = "gone"
        elif self.state == "running":
            self.stops += 1
            self.state = "gone" if self.goodbye_s is None else "post_processing"
            self.branch_until_s = now_s + (self.goodbye_s or 0.0)

    def stop(self, key: str, now_s: float) -> Answer | None:
        """None: the answer is lost."""
        self.pass_to(now_s)
        fate = self.chance.random()
        if fate < self.loss:
            return self.chance.choice(
                [
                    None,
                    Answer(429, {"retry-after": "1"}, b"{}"),
                    problem(503, "node_unreachable", retry_after="3"),
                    Answer(503, {}, b'{"message": "no"}'),
                ]
            )
        if self.state == "gone":
            return GONE
        if key not in self.keys:
            self.keys.add(key)
            verb = "terminate" if self.state == "post_processing" else "external_stop"
            self.acting.append((now_s + self.chance.choice([0.0, 0.3, 2.0, 9.0]), verb))
        self.pass_to(now_s + 0.1)
        if fate < 2 * self.loss:
            return self.chance.choice([None, problem(503, "outcome_unknown", retry_after="1")])
        known = {"gone": "ended", "post_processing": "post_processing"}.get(self.state, "pending")
        return accepted(known if self.proves else None)

    def row(self, now_s: float) -> dict[str, Any] | None:
        self.pass_to(now_s)
        return None if self.state == "gone" else BRANCH if self.state == "post_processing" else RUNNING


@settings(max_examples=300)
@given(
    seed=st.integers(0, 1 << 32),
    goodbye_s=st.sampled_from([None, 0.5, 10.0, 1000.0]),
    proves=st.booleans(),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    ends_at_s=st.sampled_from([0.0, 1.0, 1e9]),
    grace_s=st.sampled_from([None, 0.0, 5.0]),
    wait_s=st.sampled_from([0.0, 3.0, 30.0]),
)
def test_whatever_is_lost_the_outcome_is_true_and_nothing_is_stopped_twice(
    seed: int,
    goodbye_s: float | None,
    proves: bool,
    loss: float,
    ends_at_s: float,
    grace_s: float | None,
    wait_s: float,
) -> None:
    if not wait_s:
        grace_s = None  # the command refuses both together
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    world = World(chance=chance, goodbye_s=goodbye_s, proves=proves, loss=loss, ends_at_s=ends_at_s)
    one = course(Wanted(wait_s=wait_s, grace_s=grace_s))
    now_s = 0.0
    for _ in range(2000):
        if one.result is not None:
            break
        now_s = max(now_s + 0.05, one.step.due_s)
        if one.step.key is None:
            one.seen(world.row(now_s), now_s, covered=True)
            continue
        answer = world.stop(one.step.key, now_s)
        if answer is None:
            one.unanswered(UnavailableError("reset"), now_s, sent=True)
        else:
            one.answered(answer, now_s, WALL_S)
    assert one.result is not None, "it came to no end"
    assert now_s < 400
    outcome = one.result.outcome
    assert outcome in OUTCOMES
    assert world.stops <= 1
    assert world.kills <= (grace_s is not None), "a goodbye was cut off that nobody wanted cut off"
    if outcome in ("ended", "already_ended"):
        assert world.state == "gone"
    if outcome == "already_ended":
        assert not world.keys
    if outcome == "post_processing":
        assert grace_s is None
        assert world.stops == 1
    if outcome == "accepted":
        assert world.keys
