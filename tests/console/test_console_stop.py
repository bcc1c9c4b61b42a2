"""Stops from the browser, of real running scripts: the right ones, once, and what became of each."""

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from browser import ScriptedList, Watched, row, sign_in
from stack import Stack, eventually

pytestmark = pytest.mark.e2e


def ids(stack: Stack, **parameters: str) -> set[str]:
    """Return what runs, as another client of the domain sees it."""
    return {one["id"] for one in stack.rows(stack.token("test.rootdomain.ru"), mask="id", **parameters)}


def only(page: Page, stack: Stack, code: str) -> str:
    """Filter by a script and return the id of its youngest runtime, which has longest to live."""
    eventually(lambda: ids(stack, filter=f'{{"code":"{code}","ext.state":"running"}}'), within_s=40)
    page.goto(f'http://127.0.0.1:{stack.port}/?filter={{"code":"{code}","ext.state":"running"}}')
    page.get_by_role("button", name="Olga").click()
    line = page.locator("ivr-table tbody tr").first
    line.wait_for()
    return line.get_attribute("data-id") or ""


def test_a_script_without_a_branch_is_stopped_and_gone(page: Page, stack: Stack) -> None:
    one = only(page, stack, "player")
    page.locator(f"tr[data-id='{one}'] button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(one)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_label("Reason").fill("Wrong announcement, größer")
    dialog.get_by_role("button", name="Stop it").click()
    expect(dialog).to_contain_text("1 ended")
    assert one not in ids(stack)
    dialog.get_by_role("button", name="Close").click()
    page.mouse.move(5, 5)
    expect(page.locator(f"tr[data-id='{one}']")).to_have_count(0)


def test_a_running_branch_is_shown_and_ended_completely_by_a_second_stop(page: Page, stack: Stack) -> None:
    one = only(page, stack, "survey")
    page.locator(f"tr[data-id='{one}'] button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Stop it").click()
    expect(dialog).to_contain_text("1 its goodbye branch runs")
    assert one in ids(stack, filter='{"ext.state":"post_processing"}')
    dialog.get_by_role("button", name="Stop completely", exact=True).click()
    expect(dialog).to_contain_text("1 ended")
    assert one not in ids(stack)


def test_who_may_not_stop_is_told_why_and_nothing_is_sent(page: Page, context: BrowserContext, stack: Stack) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    sign_in(page, stack, user="Victor")
    expect(page.locator("#refusal")).to_contain_text("You may not stop scripts")
    page.locator("ivr-table tbody tr input").first.check()
    for name in ("Stop selected", "Stop all that match"):
        button = page.get_by_role("button", name=name)
        expect(button).to_have_attribute("aria-disabled", "true")
        button.click(force=True)
    page.locator("ivr-table tbody tr button").first.click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "DELETE" not in sent


@pytest.fixture
def api(context: BrowserContext) -> ScriptedList:
    api = ScriptedList([row(number) for number in range(300)])
    api.take(context)
    return api


def test_all_that_match_are_frozen_shown_and_those_alone_are_stopped(
    page: Page, stack: Stack, api: ScriptedList
) -> None:
    sign_in(page, stack)
    page.get_by_role("button", name="Stop all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stop 300 scripts that match now?")
    expect(dialog).to_contain_text("SITE1: 100, SITE2: 100, SITE3: 100")
    expect(dialog.get_by_role("listitem")).to_have_count(300)
    frozen = {one["id"] for one in api.rows}
    api.rows = [row(number) for number in range(1_000, 1_400)]  # others run by the time it is confirmed
    dialog.get_by_role("button", name="Stop 300 scripts").click()
    expect(dialog).to_contain_text("300 ended")
    assert sorted(one for one, _ in api.stopped) == sorted(frozen)
    keys = {headers["idempotency-key"] for _, headers in api.stopped}
    assert len(keys) == 300, "each stop has a key of its own"
    assert {headers["prefer"] for _, headers in api.stopped} == {"wait=5"}


def test_a_stop_without_a_clear_answer_is_repeated_with_the_same_key(
    watched: Watched, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    watched.expected += ["503", "429", "ERR_FAILED"]
    api.rows = [row(1)]
    answers = iter([503, 429, 0])
    keys: list[str] = []

    def unclear(route: Route, request: Request) -> None:
        keys.append(request.headers["idempotency-key"])
        status = next(answers, None)
        if status is None:
            route.fallback()
        elif status == 0:
            route.abort()
        else:
            route.fulfill(status=status, body='{"message": "later"}')

    context.route("**/ivrscript_runtimes/*", unclear)
    sign_in(watched.page, stack)
    watched.page.locator("ivr-table tbody tr button").first.click()
    watched.page.get_by_role("button", name="Stop it").click()
    expect(watched.page.get_by_role("dialog")).to_contain_text("1 ended")
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_what_has_not_been_sent_can_be_kept_back(
    page: Page, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    sign_in(page, stack)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route("**/ivrscript_runtimes/*", hold)
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Stop selected").click()
    dialog, aside = page.get_by_role("dialog"), page.locator(".aside")
    dialog.get_by_role("button", name="Stop 300 scripts").click()
    while len(held) < 8:
        page.wait_for_timeout(20)
    dialog.get_by_role("button", name="Watch the list meanwhile").click()
    expect(dialog).to_have_count(0)
    expect(aside).to_contain_text("Stops: 0 of 300 done")
    page.locator("ivr-table tbody tr button").first.click()  # one course at a time: this shows it again
    expect(aside).to_be_hidden()
    dialog.get_by_role("button", name="Send no more").click()
    under_way = len(held)
    for route in held:
        route.fulfill(status=204, headers={"Stop-Outcome": "ended"})
    expect(dialog).to_contain_text("Some stops were not sent")
    expect(dialog).to_contain_text(f"{under_way} ended; {300 - under_way} not sent")
    assert under_way == 8


def test_a_course_put_aside_goes_on_and_tells_how_it_ended(
    watched: Watched, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    page = watched.page
    sign_in(page, stack)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route("**/ivrscript_runtimes/*", hold, times=8)
    page.get_by_role("button", name="Stop all that match").click()
    dialog, aside = page.get_by_role("dialog"), page.locator(".aside")
    dialog.get_by_role("button", name="Stop 300 scripts").click()
    dialog.get_by_role("button", name="Watch the list meanwhile").click()
    page.get_by_role("button", name="player 75").click()  # the list can be worked with
    while len(held) < 8:
        page.wait_for_timeout(20)
    for route in held:
        route.fallback()
    expect(aside).to_contain_text("All stops have been sent: 300 ended")
    assert len({one for one, _ in api.stopped}) == len(api.stopped) == 300
    watched.expected += ["401", "400"]  # the session ends: not before the outcomes were looked at
    context.route("**/oauth2/token", lambda route: route.fulfill(status=400, body='{"error": "invalid_grant"}'))
    api.refusals.append((401, {}))
    expect(page.locator("#banners")).to_contain_text("Your sign-in has ended")
    aside.get_by_role("button", name="Show the stops").click()
    expect(dialog).to_contain_text("All stops have been sent")
    dialog.get_by_role("button", name="Close").click()
    expect(aside).to_be_hidden()


def test_a_stop_of_a_running_branch_warns_that_it_ends_it(page: Page, stack: Stack, api: ScriptedList) -> None:
    api.rows = [row(1, **{"ext.state": "post_processing"}), row(2)]
    sign_in(page, stack)
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Stop selected").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 of them: the goodbye branch runs already")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert api.stopped == []
