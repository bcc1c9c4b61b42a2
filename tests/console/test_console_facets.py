"""The buttons of sites and scripts: what a press makes of a filter, and that none moves under the pointer."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser import Watched, open_modules

pytestmark = pytest.mark.e2e

SITE1 = ["==", ["property", "site"], "SITE1"]
CODE = ["==", ["property", "code"], "a"]


@pytest.fixture
def page(watched: Watched) -> Page:
    open_modules(watched.page)
    watched.page.evaluate(
        """async () => {
          const { Facet } = await import("/facets.js");
          const box = document.createElement("div");
          box.id = "box";
          document.querySelector("main").append(box);
          window.asked = [];
          window.facet = new Facet(box, "code", (filter) => asked.push(filter));
        }"""
    )
    return watched.page


def show(page: Page, counts: dict[str, int], filter_: Any = None) -> None:
    page.evaluate("([counts, filter]) => facet.show(counts, filter)", [list(counts.items()), filter_])


def shown(page: Page) -> list[str]:
    return page.locator("#box button").all_inner_texts()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, SITE1),
        ({}, SITE1),
        (SITE1, None),
        (["==", ["property", "site"], ["const", "SITE1"]], None),
        ({"site": "SITE1"}, None),
        ({"site": "SITE1", "code": "a"}, ["==", ["property", "code"], ["const", "a"]]),
        ({"code": ["a", "b"]}, ["and", ["in", ["property", "code"], ["const", ["a", "b"]]], SITE1]),
        (["and", CODE, SITE1], CODE),
        (["&&", CODE, ["not", SITE1]], ["and", CODE, ["not", SITE1], SITE1]),
        (["or", CODE, SITE1], ["and", ["or", CODE, SITE1], SITE1]),
    ],
)
def test_a_press_narrows_the_filter_and_another_widens_it_again(page: Page, before: Any, after: Any) -> None:
    toggled = "async ([filter]) => (await import('/facets.js')).toggled(filter, 'site', 'SITE1')"
    assert page.evaluate(toggled, [before]) == after
    demanded = "async ([filter]) => (await import('/facets.js')).demanded(filter, 'site')"
    assert page.evaluate(demanded, [before]) == ([] if SITE1 in (after, *(after or [])) else ["SITE1"])


def test_no_button_moves_while_the_pointer_is_on_them(page: Page) -> None:
    show(page, {"a": 3, "b": 2})
    page.locator("#box button").first.hover()
    show(page, {"c": 9, "b": 8, "a": 1})
    assert shown(page) == ["a 1", "b 8"]
    page.mouse.down()
    show(page, {"c": 9})
    page.mouse.up()
    assert page.evaluate("asked") == [CODE], "a press that spans an answer counts"
    page.mouse.move(700, 500)
    page.evaluate("document.activeElement.blur()")
    show(page, {"c": 9})
    assert shown(page) == ["c 9"]


def test_what_is_demanded_can_be_taken_back_though_nothing_runs_that_fits(page: Page) -> None:
    show(page, {}, ["and", CODE, SITE1])
    assert shown(page) == ["a 0"]
    expect(page.get_by_role("button")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button").click()
    assert page.evaluate("asked") == [SITE1]


def test_the_twelve_most_frequent_are_offered_and_those_that_are_demanded(page: Page) -> None:
    show(page, {f"s{number:02d}": 99 - number for number in range(20)}, ["==", ["property", "code"], "s17"])
    assert shown(page) == [*(f"s{number:02d} {99 - number}" for number in range(12)), "s17 82"]


def test_a_right_to_left_name_stays_before_its_number(page: Page) -> None:
    show(page, {"مرحبا": 7})
    number, name = page.locator("#box b").bounding_box(), page.locator("#box bdi").bounding_box()
    assert number is not None
    assert name is not None
    assert number["x"] >= name["x"] + name["width"]
