"""For everyone: what axe-core finds, the keyboard alone, narrow screens, both themes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser import AXE, ScriptedList, row, sign_in, violations
from stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(context: BrowserContext) -> ScriptedList:
    rows = [row(number, name=f"Main scenario {number}") for number in range(200)]
    rows[1] = row(1, **{"ext.state": "post_processing"})
    api = ScriptedList(rows, site_nodes="SITE1=2/2, SITE2=0/2")
    api.take(context)
    return api


FITS = "element => [element, ...element.querySelectorAll('*')].every(one => one.scrollWidth <= 320)"


def filter_form(page: Page) -> None:
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("button", name="Add a condition").click()


def columns(page: Page) -> None:
    page.locator("#columns summary").click()


def dialog(page: Page) -> None:
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Stop selected").click()


def outcomes(page: Page) -> None:
    dialog(page)
    page.get_by_role("dialog").get_by_role("button", name="Stop 200 scripts").click()
    expect(page.get_by_role("dialog")).to_contain_text("200 ended")


def selection(page: Page) -> None:
    page.locator("ivr-table tbody tr input").first.check()


def signed_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()


@pytest.mark.parametrize("view", [selection, filter_form, columns, dialog, outcomes, signed_out])
def test_axe_finds_no_violation_in_either_theme_wide_or_narrow(
    page: Page, stack: Stack, api: ScriptedList, view: Callable[[Page], None]
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `make lint-console` (needs Node.js 20)")
    sign_in(page, stack)
    view(page)
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert violations(page) == [], (width, theme)


def test_neither_a_phone_nor_a_wall_needs_scrolling_sideways(page: Page, stack: Stack, api: ScriptedList) -> None:
    page.set_viewport_size({"width": 3840, "height": 2160})
    sign_in(page, stack)
    assert page.evaluate("document.documentElement.scrollWidth") == 3840
    assert page.locator("ivr-table").evaluate("table => table.clientWidth") > 3_700
    expect(page.locator(f"tr[data-id='{api.rows[40]['id']}']")).to_be_in_viewport()  # a wall is filled with rows
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.locator("ivr-table").evaluate("table => table.scrollWidth <= table.clientWidth")
    page.locator("ivr-table tbody tr button").first.click()
    expect(page.get_by_role("button", name="Stop it")).to_be_in_viewport()
    assert page.get_by_role("dialog").evaluate(FITS)
    page.get_by_role("button", name="Cancel").click()
    filter_form(page)
    assert page.locator("ivr-filters").evaluate(FITS)


def test_the_keyboard_alone_finds_selects_and_stops(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    table = page.get_by_role("grid")
    for _ in range(40):
        page.keyboard.press("Tab")
        if table.evaluate("table => table === document.activeElement"):
            break
    expect(table).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "Space", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator("#selection")).to_have_text("3 selected")
    expect(table).to_have_attribute("aria-activedescendant", "row-3")
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_have_text("Nothing is selected")
    page.keyboard.press("Control+a")
    expect(page.locator("#selection")).to_have_text("200 selected")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.get_by_role("button", name="Stop it").evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("1 ended")
    page.keyboard.press("Escape")
    expect(table).to_be_focused()
    assert [one for one, _ in api.stopped] == [api.rows[3]["id"]]


def test_the_focus_stays_on_its_row_while_the_list_changes(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    page.get_by_role("grid").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    active, one = page.locator("tr[data-active=true]"), api.rows[3]["id"]
    expect(active).to_have_attribute("data-id", one)
    api.rows = [row(number) for number in range(900, 903)] + api.rows[1:]
    with page.expect_response("**/ivrscript_runtimes?*"):
        page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(f"tr[data-id='{row(900)['id']}']")).to_be_visible()
    expect(active).to_have_attribute("data-id", one)
    expect(page.get_by_role("grid")).to_be_focused()
