"""A site whose agents die: the console says within 17 s that the list no longer covers it."""

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser import sign_in
from stack import running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.waits]


def test_a_site_that_goes_dark_is_named(page: Page, tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        sign_in(page, stack)
        expect(page.locator("ivr-table tbody tr").first).to_be_visible(timeout=30_000)
        for node in stack.state["nodes"]:
            if node["site"] == "SITE2":
                os.kill(node["agent_pid"], signal.SIGSTOP)
        # 15 s of lease, 2 s of skew, and the pause between two questions.
        expect(page.locator("#banners")).to_contain_text("SITE2: 2 of 2 nodes are not heard of.", timeout=60_000)
        expect(page.get_by_role("button", name="SITE2")).to_have_count(0)
