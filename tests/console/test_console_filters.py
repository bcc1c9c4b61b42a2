"""The filter form: what it shows says what the filter says, what it cannot show stays as it is."""

import json
import random
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from browser import open_modules
from ivr_runtimes.query import filter as filters
from ivr_runtimes.query.expression import And, Expression, Not, Or

pytestmark = pytest.mark.e2e

FIELDS = ["id", "site", "node", "code", "name", "starttime", "ext.state", "ext.rootcode", "ext.lwt", "ext.caller"]
TIMES = {"starttime", "ext.lwt"}
WORDS = ["", "const", "property", "player", "50\\% _ales%", "größer", 'quo"te', "日本", " blank ", "two\nlines", "and"]
INSTANTS = ["2026-11-26T10:00:00Z", "2019-11-05T11:36:40.25+03:00", "2020-02-29t23:59:60z"]

ROUND_TRIP = """async (filters) => {
  const { toFilter, toForm } = await import("/conditions.js");
  return filters.map((filter) => { const form = toForm(filter); return form && { filter: toFilter(form), form }; });
}"""


def a_filter(chance: random.Random, depth: int = 3) -> Any:  # noqa: PLR0911  # one for each kind
    """Return a random filter that the API takes, in any of its spellings."""
    field = chance.choice(FIELDS)
    constants = INSTANTS if field in TIMES else WORDS
    if depth == 3 and chance.random() < 0.2:
        names = chance.sample(FIELDS, chance.randrange(4))
        return {one: chance.choice(INSTANTS if one in TIMES else WORDS) for one in names}
    kind = chance.random()
    if depth and kind < 0.35:
        inner = [a_filter(chance, depth - 1) for _ in range(chance.randrange(1, 4))]
        return [
            chance.choice(["and", "&&", "or", "||"]),
            *(one for one in inner if isinstance(one, list)),
            one_of(field),
        ]
    if depth and kind < 0.5:
        inner = a_filter(chance, depth - 1)
        return [chance.choice(["not", "!"]), inner if isinstance(inner, list) else one_of(field)]
    constant: Any = chance.choice(constants)
    constant = constant if chance.random() < 0.5 else ["const", constant]
    if kind < 0.7:
        operands = [["property", field], constant]
        return [chance.choice(["==", "!=", "<", "<=", ">", ">="]), *operands[:: chance.choice([1, 1, 1, -1])]]
    if kind < 0.8:
        words = [chance.choice(constants) for _ in range(chance.randrange(1, 4))]
        return ["in", ["property", field], ["const", words]]
    if kind < 0.9 and field not in TIMES:
        return ["like", ["property", field], constant if constant != "" else "%"]
    return one_of(field)


def one_of(field: str) -> Any:
    """Return the simplest filter of a field."""
    return ["isnull", ["property", field]]


def meaning(filter_: Any) -> Expression:
    """Return what the API makes of a filter; a group of one is that one."""

    def plain(expression: Expression) -> Expression:
        match expression:
            case And((one,)) | Or((one,)):
                return plain(one)
            case And(parts):
                return And(tuple(plain(one) for one in parts))
            case Or(parts):
                return Or(tuple(plain(one) for one in parts))
            case Not(one):
                return Not(plain(one))
        return expression

    return plain(filters.parse(json.dumps({} if filter_ is None else filter_)))


@pytest.fixture
def page(page: Page) -> Page:
    open_modules(page)
    return page


def test_a_form_says_what_the_filter_says(page: Page) -> None:
    chance = random.Random(15)  # noqa: S311  # no secret
    given = [a_filter(chance) for _ in range(3_000)]
    shown = 0
    for filter_, back in zip(given, page.evaluate(ROUND_TRIP, given), strict=True):
        if back is not None:
            shown += 1
            assert meaning(back["filter"]) == meaning(filter_), filter_
    assert 1_000 < shown < 3_000, "some can be shown, some cannot"


def test_what_a_form_writes_is_shown_by_the_same_form(page: Page) -> None:
    chance = random.Random(16)  # noqa: S311  # no secret
    backs = [one for one in page.evaluate(ROUND_TRIP, [a_filter(chance) for _ in range(1_000)]) if one]
    again = page.evaluate(ROUND_TRIP, [one["filter"] for one in backs])
    for first, second in zip(backs, again, strict=True):
        match = {} if len(first["form"]["conditions"]) > 1 else {"match": "and"}
        assert second["form"] == first["form"] | match


@pytest.mark.parametrize(
    "hostile",
    [
        [],
        ["and"],
        ["toString", ["property", "site"], "a"],
        [["=="], ["property", "site"], "a"],
        ["==", ["property", "constructor"], "a"],
        ["==", ["property", "site"], 1],
        ["in", ["property", "site"], ["const", "b"]],
        {"site": {"code": "a"}},
        {"__proto__x": "a"},
        "SITE1",
        7,
    ],
    ids=str,
)
def test_what_the_form_cannot_show_is_no_form(page: Page, hostile: Any) -> None:
    assert page.evaluate(ROUND_TRIP, [hostile]) == [None]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "local"])
def test_a_time_of_a_zone_is_the_same_instant_there_and_back(page: Page, zone: str) -> None:
    script = """async ({zone}) => {
      const { toLocal, fromLocal } = await import("/conditions.js");
      const wrong = [];
      for (let hour = 0; hour < 24 * 400; hour += 1) {
        const time = new Date(Date.UTC(2026, 0, 1, hour, 7, 9)).toISOString().replace(".000", "");
        const local = toLocal(time, zone);
        if (local !== "" && fromLocal(local, zone) !== time) wrong.push(time);
        if (local === "") wrong.push("none " + time);
      }
      return wrong;
    }"""
    wrong = page.evaluate(script, {"zone": zone})
    assert len(wrong) <= 2, "an hour that a clock shows twice is written as an instant"
    assert all(one.startswith("none ") for one in wrong)


def opened(page: Page, filter_: Any, **more: Any) -> Locator:
    """Show a form and return it; what it applies is kept in `applied`."""
    script = """async (value) => {
      const { FilterForm } = await import("/filters.js");
      window.applied = [];
      const form = new FilterForm(false, (some) => window.applied.push(some));
      form.suggest = () => ["player", "welcome"];
      document.querySelector("main").append(form);
      form.value = value;
    }"""
    page.evaluate(script, {"filter": filter_, "order": ["-starttime"], **more})
    return page.locator("ivr-filters")


def applied(page: Page) -> Any:
    page.get_by_role("button", name="Apply").click()
    return page.evaluate("window.applied.at(-1).filter")


@pytest.mark.parametrize(
    "filter_",
    [
        [
            "and",
            ["or", ["isnull", ["property", "site"]], ["isnull", ["property", "code"]]],
            ["isnull", ["property", "name"]],
        ],
        ["==", ["property", "ext.caller"], "+12025550143"],
        ["==", ["property", "name"], "two\nlines"],
    ],
    ids=["nested", "personal field without its scope", "a value with a line break"],
)
def test_a_filter_beyond_the_form_is_kept_as_json(page: Page, filter_: Any) -> None:
    form = opened(page, filter_)
    expect(form).to_contain_text("The form cannot show this filter; it is kept as JSON.")
    expect(page.get_by_role("button", name="Add a condition")).to_be_hidden()
    assert applied(page) == filter_


def test_json_written_by_hand_is_shown_as_conditions_at_once(page: Page) -> None:
    opened(page, None)
    page.get_by_label("Filter as the API has it").fill('["or", {"site"')
    expect(page.locator("ivr-filters")).to_contain_text("This cannot be read yet: ")
    page.get_by_label("Filter as the API has it").fill('{"site": "SITE1", "code": ["a", "b"]}')
    expect(page.get_by_role("group", name="Condition 2").get_by_label("Values")).to_have_value("a\nb")
    assert applied(page) == {"site": "SITE1", "code": ["a", "b"]}


def test_a_condition_is_built_by_the_keyboard_and_applied(page: Page) -> None:
    opened(page, None)
    page.get_by_role("button", name="Add a condition").press("Enter")
    line = page.get_by_role("group", name="Condition 1")
    expect(line.get_by_label("Field")).to_be_focused()
    line.get_by_label("Field").select_option("name")
    line.get_by_label("Operator").select_option("like")
    line.get_by_label("Value").fill("TEST%")
    line.get_by_label("not").check()
    line.get_by_label("Value").press("Enter")
    assert page.evaluate("window.applied.at(-1)") == {
        "filter": ["not", ["like", ["property", "name"], ["const", "TEST%"]]],
        "order": ["-starttime"],
    }
    expect(line.get_by_label("Value")).to_be_focused()


def test_a_time_is_chosen_in_the_zone_of_the_view(page: Page) -> None:
    opened(page, [">=", ["property", "starttime"], "2026-11-26T01:00:05Z"], zone="Asia/Tokyo")
    value = page.get_by_role("group", name="Condition 1").get_by_label("Value")
    expect(value).to_have_value("2026-11-26T10:00:05")
    value.fill("2026-11-26T12:30:07")
    assert applied(page) == [">=", ["property", "starttime"], ["const", "2026-11-26T03:30:07Z"]]


def test_a_filter_that_is_too_long_is_told_before_it_is_sent(page: Page) -> None:
    form = opened(page, None)
    longest = json.dumps(["==", ["property", "name"], "x" * (4096 - 29)], separators=(",", ":"))
    assert len(longest) == 4096
    page.get_by_label("Filter as the API has it").fill(longest)
    expect(form).to_contain_text("4,096 of at most 4,096 bytes")
    applied(page)
    page.get_by_label("Filter as the API has it").fill(longest.replace("x", "xx", 1))
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_have_text("The filter has 4,097 bytes, and the API takes 4,096: shorten it.")
    assert page.evaluate("window.applied.length") == 1


def test_a_fault_is_shown_at_its_condition_until_it_is_mended(page: Page) -> None:
    filter_ = ["and", ["==", ["property", "site"], "A"], [">", ["property", "starttime"], "today"]]
    form = opened(page, filter_)
    page.evaluate(
        "fault => document.querySelector('ivr-filters').problem({faults: [fault], message: ''})",
        {"place": "filter[2][2]", "message": '"today" is not an RFC 3339 date-time', "remedy": "write it so"},
    )
    expect(page.get_by_role("alert")).to_contain_text('filter[2][2]: "today" is not an RFC 3339 date-time; write it so')
    expect(form.get_by_role("group", name="Condition 2").get_by_label("Value")).to_have_attribute(
        "aria-invalid", "true"
    )
    expect(form.get_by_role("group", name="Condition 1").locator("[aria-invalid]")).to_have_count(0)
    form.get_by_role("group", name="Condition 2").get_by_label("Value").fill("2026-11-26T00:00:00Z")
    expect(form.locator("[aria-invalid]")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"site": "a", "site": "b"}', "filter.site comes twice: keep one, or give it a list of values."),
        (r'{"site": "a", "\u0073ite": "b"}', "filter.site comes twice: keep one, or give it a list of values."),
        ('{"site": "\\": ", "code": "site"}', {"site": '": ', "code": "site"}),
        ('["and", ["==", ["property", "site"], "site:"]]', ["and", ["==", ["property", "site"], "site:"]]),
    ],
)
def test_a_key_that_comes_twice_is_refused_and_not_dropped_in_silence(page: Page, text: str, read: Any) -> None:
    script = "async (text) => { const {readFilter} = await import('/url.js'); return readFilter(text); }"
    guarded = f"(text) => ({script})(text).catch((error) => error.message)"
    assert page.evaluate(guarded, text) == read
