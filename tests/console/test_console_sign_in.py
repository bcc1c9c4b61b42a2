"""Signing in and out, a session that ends in the middle, and what the page must refuse."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from browser import MODULES, ScriptedList, Watched, open_modules, row, sign_in
from stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(context: BrowserContext) -> ScriptedList:
    api = ScriptedList([row(number) for number in range(30)])
    api.take(context)
    return api


def test_who_signs_in_sees_their_domain_and_name(page: Page, stack: Stack) -> None:
    sign_in(page, stack)
    expect(page.locator("#domain")).to_have_text("test.rootdomain.ru")
    expect(page.locator("#person")).to_contain_text("Olga")
    expect(page.locator("ivr-table tbody tr").first).to_be_visible()
    assert page.url == f"http://127.0.0.1:{stack.port}/", "neither code nor state stays in the address"


def test_no_token_is_kept_where_a_later_page_could_find_it(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert kept == '[{},{},""]'


def test_a_page_loaded_anew_comes_back_to_its_view_without_asking(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack, view="?order=code&zone=UTC")
    page.reload()
    expect(page.locator("#person")).to_contain_text("Olga")
    assert page.url.endswith("/?order=code&zone=UTC")
    assert api.asked[-1]["order"] == "code"


def test_signing_out_ends_the_session_here_and_at_the_issuer(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Olga")).to_be_visible()  # it asks again


def test_a_token_that_is_refused_in_the_middle_is_renewed_in_silence(
    watched: Watched, stack: Stack, api: ScriptedList
) -> None:
    page = watched.page
    sign_in(page, stack)
    page.get_by_label("Select all").check()
    watched.expected.append("401")
    with page.expect_request(lambda request: request.url.endswith("/oauth2/token")):
        api.refusals.append((401, {}))
    expect(page.locator("#selection")).to_have_text("30 selected")
    expect(page.locator("#banners p")).to_have_count(0)


def test_a_session_that_cannot_be_renewed_signs_in_again_and_keeps_the_view(
    watched: Watched, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    page = watched.page
    sign_in(page, stack, view="?order=site")
    watched.expected += ["401", "400"]
    refuse = json.dumps({"error": "invalid_grant"})
    context.route("**/oauth2/token", lambda route: route.fulfill(status=400, body=refuse), times=1)
    with page.expect_request(re.compile("/oauth2/authorize")):
        api.refusals.append((401, {}))
    expect(page.locator("ivr-table tbody tr").first).to_be_visible()
    assert page.url.endswith("/?order=site")


def test_an_answer_to_another_sign_in_is_refused(page: Page, stack: Stack) -> None:
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.get_by_role("button", name="Olga").wait_for()
    page.goto(f"http://127.0.0.1:{stack.port}/?code=stolen&state=another")
    expect(page.get_by_text("The answer belongs to another sign-in.")).to_be_visible()


def test_an_issuer_that_refuses_is_told_in_its_own_words(page: Page, stack: Stack) -> None:
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.get_by_role("button", name="Olga").wait_for()
    state = re.search("state=([^&]+)", page.url)
    assert state
    issuer = quote(stack.state["issuer"])
    refusal = f"error=access_denied&error_description=not+you&state={state[1]}&iss={issuer}"
    page.goto(f"http://127.0.0.1:{stack.port}/?{refusal}")
    expect(page.get_by_text("The issuer refuses: not you.")).to_be_visible()


def test_an_answer_that_does_not_name_its_issuer_is_refused_where_the_issuer_promises_that(
    page: Page, stack: Stack
) -> None:
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.get_by_role("button", name="Olga").wait_for()
    state = re.search("state=([^&]+)", page.url)
    assert state
    page.goto(f"http://127.0.0.1:{stack.port}/?code=injected&state={state[1]}")
    expect(page.get_by_text("The answer comes from another issuer.")).to_be_visible()


def grants(context: BrowserContext, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what the token endpoint answers."""

    def answer(route: Route) -> None:
        given = route.fetch()
        route.fulfill(status=200, body=json.dumps(change(given.json())))

    context.route("**/oauth2/token", answer)


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda grant: {member: value for member, value in grant.items() if member != name}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("id_token"), "its id token is missing or has another nonce"),
        (without("access_token"), "gives no token: is it the issuer, or a network's sign-in page?"),
        (lambda _: "<html>", "gives no token"),
    ],
)
def test_a_grant_that_lacks_what_was_asked_for_signs_nobody_in(
    page: Page, context: BrowserContext, stack: Stack, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    grants(context, change)
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.get_by_role("button", name="Olga").click()
    expect(page.get_by_text(told)).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()


def test_an_api_that_takes_no_token_is_told_and_nobody_is_sent_to_and_fro(
    watched: Watched, context: BrowserContext, stack: Stack, api: ScriptedList
) -> None:
    page = watched.page
    watched.expected.append("401")
    grants(context, without("refresh_token"))
    api.refusals += [(401, {})] * 50
    authorized: list[str] = []
    page.on("request", lambda request: "/oauth2/authorize" in request.url and authorized.append(request.url))
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.get_by_role("button", name="Olga").click()
    expect(page.locator("#banners")).to_contain_text("The API refuses the token that the issuer gave")
    signed_in = len(authorized)
    page.wait_for_timeout(2_500)
    assert len(authorized) == signed_in
    assert len(api.asked) == 1


SIGNED_IN = """async (config) => {
  const { Auth } = await import("/auth.js");
  const endpoints = { authorization_endpoint: "/authorize", token_endpoint: "/token" };
  const pending = { state: "s", nonce: "n", verifier: "v", back: location.href, endpoints };
  sessionStorage.setItem("ivr-console-sign-in", JSON.stringify(pending));
  history.replaceState(null, "", "?code=c&state=s");
  window.auth = new Auth({ ...config, scopes: [] }, () => {});
  return auth.resume();
}"""


def test_many_refusals_of_one_token_renew_it_once(watched: Watched) -> None:
    page, given = watched.page, 0

    def grant(route: Route) -> None:
        nonlocal given
        given += 1
        body = {"access_token": f"token-{given}", "refresh_token": "r", "expires_in": 3600}
        route.fulfill(content_type="application/json", body=json.dumps(body))

    open_modules(page)
    page.context.route(f"{MODULES}token", grant)
    config = {"issuer": "https://issuer.example", "client_id": "c", "domain_claim": "domain"}
    assert page.evaluate(SIGNED_IN, config) is True
    at_once = page.evaluate("Promise.all(Array.from({ length: 8 }, () => auth.token('token-1')))")
    assert at_once == ["token-2"] * 8
    assert page.evaluate("auth.token('token-1')") == "token-2", "a refusal that comes late is of the old one"
    assert page.evaluate("auth.token()") == "token-2"
    assert given == 2


SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


def test_a_script_in_names_runs_nowhere(page: Page, stack: Stack, api: ScriptedList) -> None:
    hostile = dict.fromkeys(("name", "code", "node", "site"), SCRIPT)
    api.rows = [row(1, **hostile), row(2, name="مرحبا\u200f abc", code="rtl")]
    sign_in(page, stack)
    expect(page.locator("ivr-table td[data-field=name]").first).to_have_text(SCRIPT)
    page.locator("ivr-table tbody tr button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text(SCRIPT)
    page.get_by_role("button", name="Cancel").click()
    assert page.title() == "IVR scripts"


def test_a_script_in_the_filter_of_an_address_runs_nowhere(page: Page, stack: Stack, api: ScriptedList) -> None:
    sign_in(page, stack, view='?filter=["==",["property","code"],"</textarea><script>document.title=1</script>"]')
    page.get_by_role("button", name="Filter: on").click()
    expect(page.get_by_label("Value")).to_have_value("</textarea><script>document.title=1</script>")
    assert page.title() == "IVR scripts"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"issuer": "javascript:document.title='run'"}, "issuer is no http or https address"),
        ({"issuer": 1}, "issuer is no text"),
        ({"api": "//elsewhere.example/"}, "api is no path of this origin"),
        ({"api": "/\\elsewhere.example/"}, "api is no path of this origin"),
        ({"scopes": "openid"}, "scopes is no list"),
    ],
)
def test_a_wrong_configuration_is_named(
    page: Page, context: BrowserContext, stack: Stack, config: dict[str, object], told: str
) -> None:
    good = json.loads(stack.request("GET", "/config.json").body)
    context.route("**/config.json", lambda route: route.fulfill(body=json.dumps(good | config)))
    page.goto(f"http://127.0.0.1:{stack.port}/")
    expect(page.get_by_text(told)).to_be_visible()
    assert page.title() == "IVR scripts"


def test_a_script_in_the_configuration_is_text(page: Page, context: BrowserContext, stack: Stack) -> None:
    good = json.loads(stack.request("GET", "/config.json").body)

    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps(good | {"scope_stop": SCRIPT, "client_id": good["client_id"]}))

    context.route("**/config.json", answer)
    sign_in(page, stack)
    expect(page.locator("#refusal")).to_contain_text(SCRIPT)
    assert page.title() == "IVR scripts"
