"""The list: what is shown, kept up to date, kept in place, and told when it is not whole."""

import json
import random

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser import ScriptedList, Watched, row, sign_in
from stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(context: BrowserContext) -> ScriptedList:
    api = ScriptedList([row(number) for number in range(40)])
    api.take(context)
    return api


def shown(page: Page) -> list[str]:
    """Return the ids of the rows that are in the document, in order."""
    ids: list[str] = page.eval_on_selector_all(
        "ivr-table tbody tr:not([hidden])", "rows => rows.map(r => r.dataset.id)"
    )
    return ids


LINES = """async px => {
  const table = document.querySelector("ivr-table"), body = table.querySelector("tbody");
  table.scrollTop = px;
  table.soon();
  await new Promise(requestAnimationFrame);
  const lines = [...body.children].map(line =>
    [line.dataset.id, Number(line.getAttribute("aria-rowindex")), line.querySelector("[data-field=code]").textContent]);
  return [lines, body.firstElementChild.getBoundingClientRect().top - body.getBoundingClientRect().top];
}"""

COUNTED = """new Promise(done =>
  new MutationObserver(done).observe(document.getElementById("count"), {childList: true})).then(() => true)"""

KEPT = """async () => {
  const table = document.querySelector("ivr-table"), lines = () => [...table.querySelectorAll("tbody tr")];
  const before = new Map(lines().map(line => [line.dataset.id, line]));
  table.scrollTop += 300;
  table.soon();
  await new Promise(requestAnimationFrame);
  return lines().filter(line => before.get(line.dataset.id) === line).length;
}"""


def next_answer(page: Page) -> None:
    """Wait until an answer that was asked for from now on is shown."""
    page.evaluate(f"window.counted = {COUNTED}; dispatchEvent(new Event('online'))")
    assert page.evaluate("counted"), "what is shown is counted last"
    page.evaluate("new Promise(requestAnimationFrame)")


def test_ten_thousand_rows_are_scrolled_with_a_few_in_the_document(page: Page, stack: Stack, api: ScriptedList) -> None:
    api.rows = [row(number) for number in range(10_000)]
    sign_in(page, stack)
    expect(page.locator("#count")).to_have_text("10,000 running")
    table = page.get_by_role("grid")
    expect(table).to_have_attribute("aria-rowcount", "10001")
    table.focus()
    page.keyboard.press("End")
    expect(page.locator(f"tr[data-id='{row(9_999)['id']}']")).to_have_attribute("aria-rowindex", "10001")
    assert len(shown(page)) < 60
    chance = random.Random(2)  # noqa: S311  # no secret
    near = [chance.randrange(9_980 * 36)]
    for _ in range(40):  # by a few rows, by a page, and far away
        near.append(near[-1] + chance.choice([36, 300, -300, -900, 1_000, 5_000]))
    for scrolled_px in [*near, 0, *(chance.randrange(10_000 * 36) for _ in range(20)), 10_000 * 36, 0, 3_000]:
        lines, top_px = page.evaluate(LINES, scrolled_px)
        first = lines[0][1] - 2
        assert lines == [
            [one["id"], first + at + 2, one["code"]] for at, one in enumerate(api.rows[first:][: len(lines)])
        ]
        assert abs(top_px - first * 36) < 1, "each stands in its place"
    kept = page.evaluate(KEPT)
    assert kept > 20, "what stays in view keeps its elements, so that little is drawn anew"


def test_more_rows_than_can_be_shown_are_told_and_not_stopped_together(
    page: Page, stack: Stack, api: ScriptedList
) -> None:
    api.rows = [row(number) for number in range(10_005)]
    sign_in(page, stack)
    expect(page.locator("#banners")).to_contain_text("More than 10,000 scripts fit, 10,005 when this view was opened")
    expect(page.locator("#banners")).to_contain_text("in this order are shown and counted")
    expect(page.locator("#count")).to_have_text("10,000 of 10,005 running")
    expect(page.get_by_role("button", name="Stop all that match")).to_have_attribute("aria-disabled", "true")
    next_answer(page)
    assert [question["limit"] for question in api.asked].count("1") == 1, "all are read for it, so once for a view"
    api.rows = api.rows[:30]
    next_answer(page)
    expect(page.locator("#count")).to_have_text("30 running")
    expect(page.locator("#banners p")).to_have_count(0)


def test_a_selected_row_is_the_same_after_a_thousand_changes(page: Page, stack: Stack, api: ScriptedList) -> None:
    chance = random.Random(1)  # noqa: S311  # no secret
    sign_in(page, stack)
    kept = {api.rows[3]["id"], api.rows[9]["id"]}
    for one in kept:
        page.locator(f"tr[data-id='{one}'] input").check()
    page.mouse.move(5, 5)
    number = 1_000
    for _ in range(5):
        for _ in range(200):  # begin or end
            if chance.random() < 0.5 and len(api.rows) > 20:
                victim = chance.randrange(len(api.rows))
                if api.rows[victim]["id"] not in kept:
                    del api.rows[victim]
            else:
                number += 1
                api.rows.insert(chance.randrange(len(api.rows)), row(number))
        next_answer(page)
        assert set(shown(page)) <= {one["id"] for one in api.rows}
    expect(page.locator("#selection")).to_have_text("2 selected")
    page.get_by_role("button", name="Stop selected").click()
    page.get_by_role("button", name="Stop 2 scripts").click()
    expect(page.get_by_role("dialog")).to_contain_text("2 ended")
    assert {one for one, _ in api.stopped} == kept


def test_a_range_whose_first_row_has_ended_selects_one_row_and_not_all_above(
    page: Page, stack: Stack, api: ScriptedList
) -> None:
    sign_in(page, stack)
    page.locator("ivr-table tbody tr td[data-field=code]").nth(6).click()
    page.mouse.move(5, 5)
    del api.rows[6]
    next_answer(page)
    page.locator("ivr-table tbody tr td[data-field=code]").nth(9).click(modifiers=["Shift"])
    expect(page.locator("#selection")).to_have_text("1 selected")


def test_a_titles_second_click_turns_the_order_round(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    for title, orders in {"Age": ["starttime", "-starttime"], "Site": ["site", "-site"]}.items():
        for order in orders:
            page.get_by_role("columnheader", name=title).get_by_role("button").click()
            next_answer(page)
            assert api.asked[-1]["order"] == order


def test_the_keys_work_where_a_click_was(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    page.locator("ivr-table tbody tr td[data-field=code]").nth(2).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#selection")).to_have_text("2 selected")
    active = page.locator("tr[data-active=true]")
    expect(active).to_have_attribute("data-id", api.rows[3]["id"])
    page.mouse.move(5, 5)
    del api.rows[3]
    next_answer(page)
    page.keyboard.press("ArrowDown")
    expect(active).to_have_attribute("data-id", row(4)["id"])  # its neighbour


def test_a_key_shows_a_row_out_of_view_before_it_acts_on_it(page: Page, stack: Stack, api: ScriptedList) -> None:
    api.rows = [row(number) for number in range(500)]
    sign_in(page, stack)
    page.get_by_role("grid").focus()
    page.keyboard.press("ArrowDown")
    active = page.locator("tr[data-active=true]")
    expect(active).to_have_attribute("data-id", row(0)["id"])
    for key in ("Space", "Enter"):
        page.locator("ivr-table").evaluate("table => { table.scrollTop = 9000 }")
        expect(active).to_have_count(0)
        page.keyboard.press(key)
        expect(active).to_be_in_viewport()
        expect(page.locator("#selection")).to_have_text("Nothing is selected")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Space")
    expect(page.locator("#selection")).to_have_text("1 selected")


def test_nothing_moves_under_the_pointer_until_it_leaves(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    page.locator("ivr-table tbody tr").nth(5).hover()
    before = shown(page)
    gone = api.rows.pop(2)["id"]
    api.rows.insert(0, row(777))
    next_answer(page)
    assert shown(page) == before
    expect(page.locator(f"tr[data-id='{gone}']")).to_have_attribute("data-life", "unlisted")
    expect(page.locator("#waiting")).to_have_text("1 new, 1 no longer listed: show")
    page.get_by_role("grid").focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#selection")).to_have_text("39 selected"), "what nobody has seen is not selected"
    expect(page.get_by_label("Select all")).to_be_checked()
    page.keyboard.press("Escape")
    page.mouse.move(5, 5)
    expect(page.locator(f"tr[data-id='{gone}']")).to_have_count(0)
    assert shown(page)[0] == row(777)["id"]


def test_a_row_that_has_ended_under_the_pointer_cannot_be_stopped(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    line = page.locator("ivr-table tbody tr").nth(2)
    line.hover()
    del api.rows[2]
    next_answer(page)
    line.locator("button").click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert api.stopped == []


def test_what_is_in_view_stays_in_view_while_rows_above_come(page: Page, stack: Stack, api: ScriptedList) -> None:
    api.rows = [row(number) for number in range(500)]
    sign_in(page, stack)
    place = "id => document.querySelector(`tr[data-id='${id}']`)?.getBoundingClientRect().top"
    for number, scrolled_px, come in ((105, 3_600, range(900, 920)), (495, 1_000_000, range(920, 940))):
        page.locator("ivr-table").evaluate("(table, px) => { table.scrollTop = px }", scrolled_px)
        expect(page.locator(f"tr[data-id='{row(number)['id']}']")).to_be_visible()
        before = page.evaluate(place, row(number)["id"])
        api.rows[:0] = [row(number) for number in come]
        next_answer(page)
        assert abs(page.evaluate(place, row(number)["id"]) - before) < 2, "at the list's end, too"


def test_whatever_comes_goes_changes_or_moves_the_lines_are_the_answers_rows_in_order(
    page: Page, stack: Stack, api: ScriptedList
) -> None:
    chance = random.Random(3)  # noqa: S311  # no secret
    api.rows = [row(number) for number in range(300)]
    sign_in(page, stack)
    for step in range(24):
        at = chance.randrange(len(api.rows) - 10)
        match step % 6:
            case 0:
                api.rows[at:at] = [row(1_000 + 10 * step + number) for number in range(chance.randrange(1, 5))]
            case 1:
                del api.rows[at : at + chance.randrange(1, 5)]
            case 2:
                api.rows[at : at + 10] = chance.sample(api.rows[at : at + 10], 10)
            case 3:
                api.rows[at] = {**api.rows[at], "code": f"changed-{step}"}
            case 4:
                api.rows[at] = {name: value for name, value in api.rows[at].items() if name != "code"}
            case 5:
                chance.shuffle(api.rows)
        next_answer(page)
        lines, _ = page.evaluate(LINES, max(0, at - 5) * 36)
        first = lines[0][1] - 2
        assert lines == [
            [one["id"], first + place + 2, one.get("code", "\u2013")]
            for place, one in enumerate(api.rows[first:][: len(lines)])
        ]
        assert at in range(first, first + len(lines))


def test_a_click_means_the_row_that_was_there_when_it_began(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    cell = page.locator("ivr-table tbody tr td[data-field=code]").nth(3)
    cell.hover()
    page.mouse.down()
    api.rows.reverse()
    with page.expect_response("**/ivrscript_runtimes?*order=site*"):
        page.evaluate("history.replaceState(null, '', '?order=site'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.locator("ivr-table tbody tr").nth(3)).to_have_attribute("data-id", row(36)["id"])
    page.mouse.up()
    expect(page.locator("#selection")).to_have_text("Nothing is selected")
    page.mouse.move(5, 5)
    cell.click()
    expect(page.locator("tr[aria-selected=true]")).to_have_attribute("data-id", row(36)["id"])


def test_rows_are_not_held_for_ever_by_a_pointer_that_rests(page: Page, stack: Stack, api: ScriptedList) -> None:
    page.clock.install()
    sign_in(page, stack)
    line = page.locator("ivr-table tbody tr")
    line.nth(5).hover()
    api.rows.insert(0, row(777))
    next_answer(page)
    page.clock.run_for(10_000)
    expect(line.first).to_have_attribute("data-id", row(0)["id"])
    page.clock.run_for(21_000)
    expect(line.first).to_have_attribute("data-id", row(777)["id"])
    line.nth(6).hover()
    api.rows.insert(0, row(778))
    next_answer(page)
    expect(line.first).to_have_attribute("data-id", row(777)["id"])


def test_the_whole_view_is_in_the_address_and_can_be_shared(
    page: Page, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    sign_in(page, stack)
    page.get_by_role("button", name="player 10").click()
    page.get_by_role("columnheader", name="Code").get_by_role("button").click()
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_text("Columns", exact=True).first.click()
    page.get_by_role("group", name="Columns").get_by_label("Node").uncheck()
    expect(page.get_by_role("columnheader", name="Node")).to_have_count(0)
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("columnheader", name="Code")).to_have_attribute("aria-sort", "ascending")
    expect(other.get_by_role("columnheader", name="Node")).to_have_count(0)
    expect(other.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    expect(other.locator("tr[data-id] td[data-field=starttime]").first).to_have_text("2026-11-26 09:00:00")
    assert json.loads(api.asked[-1]["filter"]) == ["==", ["property", "code"], "player"]
    assert api.asked[-1]["order"] == "code"


def test_an_address_that_cannot_be_read_is_told(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack, view="?filter=%7Boops&zone=Nowhere&columns=code,constructor,__proto__")
    expect(page.locator("#banners")).to_contain_text(
        "The filter of this address cannot be read (Expected property name"
    )
    expect(page.locator("#banners")).to_contain_text("time zone of this address is not known")
    expect(page.locator("#banners")).to_contain_text("Some columns of this address are not known")
    expect(page.get_by_role("columnheader")).to_have_count(3)
    page.evaluate(
        "history.replaceState(null, '', '?zone=Asia/Tokyo&columns=site'); dispatchEvent(new PopStateEvent('popstate'))"
    )
    expect(page.locator("#banners p")).to_have_count(0)
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    expect(page.locator("#columns input:checked")).to_have_count(1)


def test_what_the_api_says_of_a_filter_is_shown_with_its_remedy(watched: Watched, stack: Stack) -> None:
    watched.expected.append("400")
    sign_in(watched.page, stack, view='?filter={"sit":"SITE1"}')
    expect(watched.page.locator("#banners")).to_contain_text('unknown field "sit"')


def test_sites_that_an_answer_does_not_cover_are_named(page: Page, stack: Stack, api: ScriptedList) -> None:
    api.site_nodes = "SITE1=2/2, SITE2=0/2"
    sign_in(page, stack)
    expect(page.locator("#banners")).to_contain_text("SITE2: 2 of 2 nodes are not heard of.")
    api.site_nodes = "SITE1=2/2, SITE2=2/2"
    next_answer(page)
    expect(page.locator("#banners p")).to_have_count(0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_refused_list_says_so_keeps_what_is_shown_and_waits_as_told(
    watched: Watched, stack: Stack, api: ScriptedList, status: int
) -> None:
    page = watched.page
    watched.expected.append(str(status))
    page.clock.install()
    sign_in(page, stack)
    api.refusals.append((status, {"Retry-After": "60"}))
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#banners")).to_contain_text("The list cannot be refreshed")
    assert len(shown(page)) > 0
    asked = len(api.asked)
    page.clock.run_for(30_000)
    assert len(api.asked) == asked, "it waits for as long as the API says"
    page.clock.run_for(45_000)
    expect(page.locator("#banners p")).to_have_count(0)


def test_offline_is_told_and_the_list_is_back_at_once_with_the_network(
    watched: Watched, context: BrowserContext, stack: Stack
) -> None:
    page = watched.page
    watched.expected.append("ERR_INTERNET_DISCONNECTED")
    sign_in(page, stack)
    context.set_offline(True)
    expect(page.locator("#banners")).to_contain_text("is this computer online?")
    context.set_offline(False)
    expect(page.locator("#banners p")).to_have_count(0)


def test_a_pause_asks_nothing_and_can_be_ended(page: Page, stack: Stack, api: ScriptedList) -> None:
    page.clock.install()
    sign_in(page, stack)
    page.get_by_role("button", name="Pause").click()
    asked = len(api.asked)
    page.clock.run_for(30_000)
    assert len(api.asked) <= asked + 1, "one may have been under way"
    with page.expect_request("**/ivrscript_runtimes?*"):
        page.get_by_role("button", name="Pause").click()


def test_numbers_are_asked_for_and_shown_with_their_scope_alone(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    assert "ext.caller" not in api.asked[-1]["mask"]
    expect(page.get_by_role("columnheader", name="Caller")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sonja").click()
    expect(page.get_by_role("columnheader", name="Caller")).to_be_visible()
    assert "ext.caller" in api.asked[-1]["mask"]
