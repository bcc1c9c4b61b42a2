"""When the list is asked again: as often as it changes, and never against what the API or the person said."""

from typing import Any

import pytest
from playwright.sync_api import Page

from browser import Watched, open_modules

pytestmark = pytest.mark.e2e

START = """async () => {
  const { Poll } = await import("/poll.js");
  window.asked = [];
  window.answer = () => Promise.resolve({ changed: true });
  const hidden = { is: false };
  Object.defineProperty(document, "hidden", { get: () => hidden.is });
  window.show = (shown) => { hidden.is = !shown; document.dispatchEvent(new Event("visibilitychange")); };
  window.poll = new Poll((signal) => { asked.push(signal); return answer(signal); }, () => false);
  poll.now();
}"""
"""A poll whose answers a test scripts; hiding the page is scripted, too."""


@pytest.fixture
def page(watched: Watched) -> Page:
    page = watched.page
    page.clock.install(time="2026-11-26T10:00:00Z")
    open_modules(page)
    page.clock.pause_at("2026-11-26T11:00:00Z")  # from here on only `asked` lets time pass
    page.evaluate(START)
    return page


def act(page: Page, script: str) -> None:
    page.evaluate(f"() => {{ {script} }}")


def asked(page: Page, *, after_s: float = 0.0) -> int:
    """Let time pass; return how often the list has been asked for."""
    page.clock.run_for(1000 * after_s)
    count: int = page.evaluate("asked.length")
    return count


def test_the_pauses_grow_while_nothing_changes(page: Page) -> None:
    assert asked(page, after_s=10.5) == 6, "every 2 s while something changes"
    act(page, "answer = () => Promise.resolve({ changed: false })")
    settled = asked(page, after_s=60)
    assert asked(page, after_s=100) == settled + 10, "every 10 s in the end"


@pytest.mark.parametrize(
    "what",
    [
        "poll.now()",
        "show(false), show(true)",
        "poll.paused = true, poll.paused = false",
        'dispatchEvent(new Event("online"))',
    ],
)
def test_a_wait_that_the_api_asked_for_is_kept_whatever_asks(page: Page, what: str) -> None:
    act(page, "answer = () => Promise.resolve({ failed: true, retryAfter_s: 30 })")
    before = asked(page, after_s=2.5)
    act(page, "answer = () => Promise.resolve({ changed: true })")
    for _ in range(4):
        act(page, what)
        assert asked(page, after_s=6) == before
    assert asked(page, after_s=15) > before, "30 s, and up to a fifth more"


def test_after_a_failure_without_a_wait_the_network_that_is_back_is_used_at_once(page: Page) -> None:
    act(page, "answer = () => Promise.resolve({ failed: true, retryAfter_s: null })")
    before = asked(page, after_s=300)
    act(page, 'dispatchEvent(new Event("online"))')
    assert asked(page) == before + 1


@pytest.mark.parametrize("rest", ["poll.paused = true", "show(false)", "poll.stop()"])
def test_a_page_that_is_paused_hidden_or_signed_out_asks_nothing(page: Page, rest: str) -> None:
    act(page, rest)
    before = asked(page)
    act(page, 'dispatchEvent(new Event("online"))')
    assert asked(page, after_s=100) == before


def test_nothing_is_asked_after_the_end_even_if_it_is_shown_or_asked_for(page: Page) -> None:
    act(page, "poll.stop()")
    before = asked(page)
    act(page, "show(false); show(true); poll.paused = false; poll.now()")
    assert asked(page, after_s=100) == before


def test_a_list_without_an_answer_is_given_up_after_35_s_and_asked_for_again(page: Page) -> None:
    act(
        page,
        """window.why = [];
        answer = (signal) => new Promise((_, reject) => {
          signal.onabort = () => { why.push(signal.reason.message); reject(signal.reason); };
        });""",
    )
    before = asked(page, after_s=2.5)
    assert asked(page, after_s=32) == before
    why: list[Any] = page.evaluate("why")
    assert why == []
    assert asked(page, after_s=5) == before + 1
    assert page.evaluate("why") == ["The API has not answered for 35 s."]
