"""The course of stops against an API that loses answers: each id ends in one outcome, and is stopped once."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, Request, Route

from browser import MODULES, Watched, open_modules

pytestmark = pytest.mark.e2e

RUN = """async ({ids, reason, hurry}) => {
  const real = setTimeout;
  let now_ms = Date.now();
  window.setTimeout = (act, ms) => {
    const due_ms = now_ms + ms;
    return real(() => { now_ms = Math.max(now_ms, due_ms); act(); }, ms / hurry);
  };
  Date.now = () => now_ms;
  const { Api } = await import("/api.js");
  const { stopAll } = await import("/outcomes.js");
  const api = new Api({ base: "/api", token: async () => "token" });
  const told = [];
  const signal = new AbortController().signal;
  await stopAll(api, ids, { reason, signal, tell: (id, outcome) => told.push([id, outcome]) });
  return told;
}"""
"""Time stands still but for pauses, which are shortened: how fast the machine is changes nothing."""

GONE = (404, {}, '{"code": "runtime_not_found", "detail": "It does not run."}')
UNREACHABLE = (503, {"Retry-After": "1"}, '{"code": "node_unreachable", "detail": "The node is not heard of."}')
UNCLEAR = (503, {}, '{"code": "outcome_unknown", "detail": "No answer from the queue."}')
BUSY = (429, {"Retry-After": "2"}, '{"message": "Too Many Requests"}')


@dataclass
class World:
    """What runs, and the stops that took effect: a second key ends a branch, as the API has it."""

    running: set[str]
    with_branch: set[str] = field(default_factory=set)
    dark: set[str] = field(default_factory=set)
    keys: dict[str, set[str]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    reasons: set[str | None] = field(default_factory=set)
    failures: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311  # no secret

    def answer(self, route: Route, request: Request) -> None:
        one = request.url.rpartition("/")[2]
        self.requests[one] += 1
        self.reasons.add(request.headers.get("stop-reason"))
        kind = self.chance.random() / self.failures if self.failures else 1.0
        if kind < 0.25:
            self.reply(route, BUSY)
        elif kind < 0.5:
            route.abort()  # lost on its way there
        elif one in self.dark:
            self.reply(route, UNREACHABLE)
        else:
            answer = self.take(one, request.headers["idempotency-key"])
            if kind < 0.75:
                route.abort()  # taken, and the answer is lost
            else:
                self.reply(route, UNCLEAR if kind < 1 else answer)

    def take(self, one: str, key: str) -> tuple[int, dict[str, str], str]:
        if one not in self.running:
            return GONE
        keys = self.keys.setdefault(one, set())
        keys.add(key)
        if one in self.with_branch and len(keys) == 1:
            return 204, {"Stop-Outcome": "post_processing"}, ""
        self.running.discard(one)
        return 204, {"Stop-Outcome": "ended"}, ""

    @staticmethod
    def reply(route: Route, answer: tuple[int, dict[str, str], str]) -> None:
        status, headers, body = answer
        route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=body)


@pytest.fixture
def page(watched: Watched) -> Page:
    watched.expected += ["429", "503", "404", "403", "ERR_FAILED"]
    open_modules(watched.page)
    return watched.page


def run(
    page: Page, world: World, ids: list[str], *, reason: str = "", hurry: int = 40, gives: str = '"token"'
) -> dict[str, str]:
    """Stop ids and return the outcomes, each told once. `gives` is an expression for the token; it may throw."""
    page.context.route(f"{MODULES}api/**", world.answer)
    script = RUN.replace('async () => "token"', f"async () => {gives}")
    told: list[list[Any]] = page.evaluate(script, {"ids": ids, "reason": reason, "hurry": hurry})
    assert sorted(one for one, _ in told) == sorted(ids), "each id ends in exactly one outcome"
    return dict(told)


def test_no_script_is_stopped_twice_by_an_api_that_fails_at_random(page: Page) -> None:
    ids = [f"run-{number}" for number in range(60)]
    branches = set(ids[:30])
    world = World(set(ids) - {"run-59"}, branches, failures=0.6)
    outcomes = run(page, world, ids, hurry=10)
    assert sum(world.requests.values()) > 90, "it did fail, and was asked again"
    assert all(len(keys) == 1 for keys in world.keys.values()), "a repeat has the key of the first request"
    assert branches <= world.running, "no branch was ended"
    assert {outcomes[one] for one in branches} <= {"post_processing", "unknown"}
    clear = {one for one in ids[30:59] if outcomes[one] == "ended"}
    assert clear.isdisjoint(world.running)
    assert outcomes["run-59"] in {"gone", "ended"}


def test_what_had_ended_before_is_told_from_what_was_ended(page: Page) -> None:
    world = World({"a", "b"})
    assert run(page, world, ["a", "b", "c"]) == {"a": "ended", "b": "ended", "c": "gone"}


def test_an_issuer_that_is_away_for_a_moment_ends_no_course(page: Page) -> None:
    ids = [f"run-{number}" for number in range(40)]
    page.evaluate("() => { window.calls = 0; }")
    away = '(calls++ < 20 ? Promise.reject(new Error("The issuer cannot be reached.")) : "token")'
    world = World(set(ids))
    assert set(run(page, world, ids, gives=away).values()) == {"ended"}
    assert world.running == set()


def test_a_session_that_has_ended_refuses_what_is_left_at_once(page: Page) -> None:
    ended = '(await import("/auth.js").then(({ SignInError }) => { throw new SignInError("Sign in again."); }))'
    world = World({"a", "b"})
    assert run(page, world, ["a", "b"], gives=ended) == {"a": "refused", "b": "refused"}
    assert world.running == {"a", "b"}


def test_a_node_that_stays_dark_is_given_up_in_the_end(page: Page) -> None:
    world = World({"a", "b"}, dark={"a"})
    assert run(page, world, ["a", "b"]) == {"a": "unreachable", "b": "ended"}
    assert world.requests["a"] > 3


@pytest.mark.parametrize(
    ("answers", "outcome", "requests"),
    [
        ([(403, {}, '{"message": "Forbidden"}')], "refused", 1),
        ([(204, {"Stop-Outcome": "pending"}, ""), (204, {"Stop-Outcome": "pending"}, ""), GONE], "ended", 3),
        ([UNCLEAR, (403, {}, '{"message": "Forbidden"}')], "unknown", 2),
        ([BUSY, (403, {}, '{"message": "Forbidden"}')], "refused", 2),
        ([BUSY, GONE], "gone", 2),
        ([UNCLEAR, GONE], "ended", 2),
        ([UNREACHABLE, GONE], "gone", 2),
        ([(204, {"Stop-Outcome": "already_stopping"}, "")], "already_stopping", 1),
    ],
    ids=[
        "refused",
        "pending is asked again",
        "refused after it may have been taken",
        "refused before",
        "busy, then gone",
        "unclear, then gone",
        "unreachable, then gone",
        "by another stop",
    ],
)
def test_what_the_answers_come_to(page: Page, answers: list[Any], outcome: str, requests: int) -> None:
    left = iter(answers)
    keys: list[str] = []

    def answer(route: Route, request: Request) -> None:
        keys.append(request.headers["idempotency-key"])
        World.reply(route, next(left))

    page.context.route(f"{MODULES}api/**", answer)
    told = page.evaluate(RUN, {"ids": ["a"], "reason": "", "hurry": 40})
    assert told == [["a", outcome]]
    assert len(keys) == requests
    assert len(set(keys)) == 1


def test_a_busy_api_is_left_alone_by_all_stops_for_as_long_as_it_says(page: Page) -> None:
    ids = [f"run-{number}" for number in range(40)]
    world = World(set(ids))
    first = iter([BUSY])

    def answer(route: Route, request: Request) -> None:
        busy = next(first, None)
        world.reply(route, busy) if busy else world.answer(route, request)

    page.context.route(f"{MODULES}api/**", answer)
    assert dict(page.evaluate(RUN, {"ids": ids, "reason": "", "hurry": 40})) == dict.fromkeys(ids, "ended")


@pytest.mark.parametrize(
    "reason", ["plain, 50% of it", "größer", "причина 🛑", "é" * 256, "tab\tin it", "~!*'()"], ids=range(6)
)
def test_a_reason_arrives_as_it_was_written_in_printable_ascii(page: Page, reason: str) -> None:
    world = World({"a"})
    run(page, world, ["a"], reason=reason)
    (sent,) = world.reasons
    assert sent is not None
    assert all(" " <= character <= "~" for character in sent)
    assert unquote(sent, errors="strict") == reason
