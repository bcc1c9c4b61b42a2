"""A real browser for tests of the console: Debian's Chromium, driven by Playwright.

Owns how it is started, how somebody signs in, and a scripted list in place of the API's. A page that logs an error,
throws one or breaks the content security policy fails its test.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, sync_playwright

from emulators import ROOT
from stack import RESOURCE, Stack

# The headless shell is Chromium without the windows around pages: the same engine at a third of the CPU.
CHROMIUM: Final = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
AXE: Final = ROOT / "requirements" / "console" / "node_modules" / "axe-core" / "axe.min.js"
MISSING: Final = "no Chromium is installed: install Debian's package chromium-headless-shell, or name one in CHROMIUM"

# The sandbox needs rights that a container's root has not; the others keep it from speaking to its maker.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what went wrong in it. What a test brings about itself it names in `expected`."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(message.text)

    def unexpected(self) -> list[str]:
        """Return what went wrong and was not to."""
        return [one for one in self.wrong if not any(part in one for part in self.expected)]


def sign_in(page: Page, stack: Stack, *, user: str = "Olga", view: str = "") -> None:
    """Open the console and sign in; returns when the list is there, or a banner that tells why not."""
    page.goto(f"http://127.0.0.1:{stack.port}/{view}")
    page.get_by_role("button", name=user).click()
    page.mouse.move(0, 0)  # rows that come where it pressed would be held for it
    page.locator("ivr-table tbody tr, #none:not([hidden]), #banners p").first.wait_for(state="attached")


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a row of a scripted list, flat as the console asks for it."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "site": f"SITE{number % 3 + 1}",
        "node": f"site_{number % 7}@192.0.2.{number % 7}",
        "code": ("welcome", "player", "survey", "callback")[number % 4],
        "name": ("Main scenario", "TEST PLAY", "Customer survey", "Order a call back")[number % 4],
        "starttime": f"2026-11-26T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "ext.state": "running",
    } | changes


@dataclass
class ScriptedList:
    """Answers the console's lists and stops in the API's place. Rows and refusals may be changed at any time."""

    rows: list[dict[str, Any]]
    site_nodes: str = "SITE1=2/2, SITE2=2/2, SITE3=2/2"
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers, in place of a list."""
    outcome: str = "ended"
    asked: list[dict[str, str]] = field(default_factory=list)
    """The parameters of the lists that were asked for."""
    stopped: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The ids of the stops that came, each with its headers."""

    def take(self, context: BrowserContext) -> None:
        """Stand in the API's place for a context's pages."""
        context.route(f"**{RESOURCE}*", self._list)
        context.route(f"**{RESOURCE}/*", self._stop)

    def _list(self, route: Route, request: Request) -> None:
        self.asked.append({name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()})
        if self.refusals:
            status, headers = self.refusals.pop(0)
            problem = {"detail": "refused by the script", "code": "refused", "errors": []}
            route.fulfill(
                status=status, headers=headers, content_type="application/problem+json", body=json.dumps(problem)
            )
            return
        limit = int(self.asked[-1]["limit"])
        headers = {"Site-Nodes": self.site_nodes}
        if request.headers.get("prefer") == "count=exact":
            headers |= {"X-Total-Count": str(len(self.rows)), "Preference-Applied": "count=exact"}
        body = json.dumps(self.rows[:limit])
        route.fulfill(status=200, headers=headers, content_type="application/json", body=body)

    def _stop(self, route: Route, request: Request) -> None:
        self.stopped.append((request.url.rpartition("/")[2], request.headers))
        route.fulfill(status=204, headers={"Stop-Outcome": self.outcome, "Preference-Applied": "wait=5"})


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong on the page as it is shown."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}" for one in found["violations"]]


MODULES: Final = "http://console.test/"
EMPTY_PAGE: Final = (
    '<!doctype html><html lang="en"><title>Modules</title><link rel="stylesheet" href="console.css"><main></main>'
)


def open_modules(page: Page) -> None:
    """Open an empty page from which the console's modules can be imported, without a stack."""
    kinds = {".js": "text/javascript", ".css": "text/css"}

    def serve(route: Route, request: Request) -> None:
        path = ROOT / "console" / urlsplit(request.url).path.lstrip("/")
        if path.suffix in kinds:
            route.fulfill(content_type=kinds[path.suffix], body=path.read_text())
        else:
            route.fulfill(content_type="text/html", body=EMPTY_PAGE)

    page.context.route(f"{MODULES}**", serve)
    page.goto(MODULES)
