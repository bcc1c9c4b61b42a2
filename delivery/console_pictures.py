"""Renders the console's pictures into docs/images/: list, stop dialog, dark theme, phone width.

Owns what they show: made-up calls, on a clock that stands still. The page is the real one, of an embedded stack. Run by
`make screenshots`.
"""

import argparse
import datetime
import random
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from browser import CHROMIUM, MISSING, ScriptedList, chromium, sign_in
from stack import Stack, running_stack

NOW: Final = datetime.datetime(2026, 11, 26, 9, 30, tzinfo=datetime.UTC)
ROWS: Final = 60
SCRIPTS: Final = (
    ("welcome", "Main scenario"),
    ("survey", "Customer survey"),
    ("player", "Opening hours"),
    ("callback", "Call back"),
)


def main() -> None:
    """Render all four."""
    parser = argparse.ArgumentParser(description="Render the pictures of the console.")
    parser.add_argument("folder", type=Path, help="where the pictures are written")
    folder: Path = parser.parse_args().folder
    if CHROMIUM is None:
        raise SystemExit(f"screenshots of the console: {MISSING}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, running_stack(Path(scratch)) as stack, chromium() as browser:
        listed(opened(browser, stack)).screenshot(path=folder / "console-list.png")
        asking(opened(browser, stack)).screenshot(path=folder / "console-stop.png")
        listed(opened(browser, stack, color_scheme="dark")).screenshot(path=folder / "console-dark.png")
        phone = opened(browser, stack, viewport={"width": 360, "height": 720})
        phone.screenshot(path=folder / "console-phone.png")


def made_up() -> list[dict[str, Any]]:
    """Return made-up rows, the youngest first."""
    chance = random.Random(15)  # noqa: S311  # the same pictures each time
    ages_s = sorted(chance.randrange(2, 1800) for _ in range(ROWS))
    return [_row(chance, number, age_s) for number, age_s in enumerate(ages_s)]


def _row(chance: random.Random, number: int, age_s: int) -> dict[str, Any]:
    code, name = chance.choice(SCRIPTS)
    site = chance.choice(("BERLIN", "MUNICH", "VIENNA"))
    return {
        "id": f"{chance.getrandbits(32):08x}-0703-4a1c-8714-{number:012x}",
        "site": site,
        "node": f"{site.lower()}_{chance.choice('ab')}@192.0.2.{chance.randrange(10, 30)}",
        "code": code,
        "name": name,
        "starttime": (NOW - datetime.timedelta(seconds=age_s)).isoformat().replace("+00:00", "Z"),
        "ext.state": "post_processing" if code == "survey" and chance.random() < 0.3 else "running",
        "ext.caller": f"+1202555{chance.randrange(100, 200):04d}",
        "ext.called": "+448081570185",
    }


def opened(browser: Browser, stack: Stack, **settings: Any) -> Page:
    """Return a page that shows the list."""
    settings = {"viewport": {"width": 1360, "height": 760}, "timezone_id": "UTC", "locale": "en-GB"} | settings
    context = browser.new_context(**settings)
    rows = made_up()
    ScriptedList(rows, site_nodes="BERLIN=2/2, MUNICH=2/2, VIENNA=2/2").take(context)
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    sign_in(page, stack, user="Sonja", view="?zone=UTC&columns=name,code,ext.state,site,node,starttime,age,ext.caller")
    page.locator("ivr-table tbody tr").first.wait_for()
    return page


def listed(page: Page) -> Page:
    """Select some rows."""
    for number in (1, 3, 4):
        page.locator("ivr-table tbody tr input").nth(number).check()
    page.mouse.move(2, 2)
    return page


def asking(page: Page) -> Page:
    """Ask to stop some."""
    listed(page).get_by_role("button", name="Stop selected").click()
    page.get_by_label("Reason").fill("Wrong announcement")
    return page


if __name__ == "__main__":
    main()
