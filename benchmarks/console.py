"""bench-console: what the console costs in a browser: bytes, requests, frames, time to paint, memory.

Chromium shows the page of an embedded stack; the lists are scripted. The baseline of the paint is the same rows as one
plain table in the same browser. Run by `make bench-console`.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks import report
from browser import CHROMIUM, MISSING, ScriptedList, chromium, row, sign_in
from emulators import ROOT
from ivr_local import console
from stack import Stack, running_stack

ROWS: Final = 10_000
FRAMES: Final = 300
SCROLLS: Final = 5
PAINTS: Final = 7
POLLS: Final = 1_000
POLLED_ROWS: Final = 200
WARM_UP_POLLS: Final = 100

ENCODE: Final = """([lists, count]) => {
  const bodies = lists.map(rows => new TextEncoder().encode(JSON.stringify(rows)));
  const headers = {"Site-Nodes": "SITE1=2/2"};
  window.answers = Array.from({length: count}, (_, at) => new Response(bodies[at % bodies.length], {headers}));
}"""
"""So many answers while it scrolls, from lists that take turns. They are made in the page before, so that what
making them costs is not measured."""

SCROLL: Final = """async frames => {
  window.canned = () => answers.shift();
  const table = document.querySelector("ivr-table"), took = [];
  let shown = 0, last = await new Promise(requestAnimationFrame);
  const observer = new MutationObserver(() => shown++);
  observer.observe(document.getElementById("count"), {childList: true});
  for (let frame = 0; frame < frames; frame++) {
    table.scrollTop += 300;
    if (frame % 60 === 30) dispatchEvent(new Event("online"));
    const now = await new Promise(requestAnimationFrame);
    took.push(now - last);
    last = now;
  }
  observer.disconnect();
  window.canned = undefined;
  return [took, shown];
}"""
"""A changed list comes in every 60 frames, though the console itself would wait for the end of the scrolling."""

IDLE: Final = """async frames => {
  const took = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < frames; frame++) {
    const now = await new Promise(requestAnimationFrame);
    took.push(now - last);
    last = now;
  }
  return took;
}"""
"""Frames in which the page does nothing: longer ones are the machine's, which others use as well."""

ANSWERED: Final = """
const plain = window.fetch;
window.fetch = async (...asked) => {
  const listed = String(asked[0]).includes("ivrscript_runtimes");
  if (listed && window.canned) return new Promise(done => setTimeout(() => done(canned())));
  const answer = await plain(...asked);
  if (!listed) return answer;
  const text = await answer.text();
  window.answeredAt = performance.now();
  return new Response(text, {status: answer.status, headers: answer.headers});
};
"""
"""Notes when an answer's bytes are there: before they are parsed."""

PAINTED: Final = """async () => {
  const changed = new Promise(done => new MutationObserver((_, observer) => { observer.disconnect(); done(); })
    .observe(document.querySelector("ivr-table tbody"), {attributeFilter: ["data-id"], subtree: true}));
  document.getElementById("pause").click(); // it asks at once
  document.getElementById("pause").click();
  await changed;
  await new Promise(requestAnimationFrame);
  await new Promise(done => setTimeout(done));
  return performance.now() - window.answeredAt;
}"""

PLAIN: Final = """async rows => {
  const text = JSON.stringify(rows), begun = performance.now(), body = document.createElement("tbody");
  for (const row of JSON.parse(text)) {
    const line = body.insertRow();
    for (const value of Object.values(row)) line.insertCell().textContent = value;
  }
  const table = document.createElement("table");
  table.append(body);
  document.body.replaceChildren(table);
  await new Promise(requestAnimationFrame);
  await new Promise(done => setTimeout(done));
  return performance.now() - begun;
}"""

POLL: Final = """async count => {
  for (let poll = 0; poll < count; poll++) {
    const answer = new Promise(done => new MutationObserver((_, observer) => { observer.disconnect(); done(); })
      .observe(document.getElementById("count"), {childList: true}));
    dispatchEvent(new Event("online"));
    await answer;
  }
}"""


def main() -> None:
    """Measure, and tell."""
    if CHROMIUM is None:
        raise SystemExit(f"bench-console: {MISSING}")
    report.head(f"bench-console: the console with {ROWS:,} rows in Chromium")
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as stack, chromium() as browser:
        figures = {**loaded(browser, stack), **drawn(browser, stack), **polled(browser, stack)}
    report.tell(figures)


def loaded(browser: Browser, stack: Stack) -> dict[str, Any]:
    """Count what a signed-in load asks for with nothing kept from before, and the bytes of all that there is."""
    page, _ = opened(browser, stack, rows=50)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto("about:blank")
    seen: list[str] = []
    cdp.on("Network.requestWillBeSent", lambda event: seen.append(event["request"]["url"]))
    page.goto(f"http://127.0.0.1:{stack.port}/")
    page.locator("ivr-table tbody tr").first.wait_for()
    page.context.close()
    # Before, the page has led to the issuer: what counts begins where the browser comes back. A browser without a cache
    # asks for the icon again once the page has put its own address back.
    signed_in = seen[next(index for index, url in enumerate(seen) if "code=" in url) :]
    return {"console_requests": len(set(signed_in)), "console_gzip_bytes": gzip_bytes()}


def gzip_bytes() -> int:
    """Return how much all of the console's files are as they come over the wire."""
    files = console.published(ROOT / "console", {})
    return sum(len(file.packed or file.body) for path, file in files.items() if path)


def drawn(browser: Browser, stack: Stack) -> dict[str, Any]:
    """Time frames while scrolling, and answers until they are painted, beside the same rows in a plain table."""
    page, api = opened(browser, stack, rows=ROWS)
    scrolled = scroll(browser, page, api)
    page.evaluate("document.querySelector('ivr-table').scrollTop = 0")  # where a row that begins is seen
    page.get_by_role("button", name="Pause").click()  # from here on it asks when it is told to
    plain = page.context.new_page()
    both = report.in_turn(
        {
            "answer to paint, ms": lambda: painted(page, api),
            "plain table, ms": lambda: plainly(plain, api),
        },
        runs=PAINTS,
    )
    page.context.close()
    paint_ms, plain_ms = both["answer to paint, ms"], both["plain table, ms"]
    return {
        **scrolled,
        "console_paint_ms": round(paint_ms, 1),
        "console_paint_vs_plain_table": round(paint_ms / plain_ms, 3),
    }


def scroll(browser: Browser, page: Page, api: ScriptedList) -> dict[str, float]:
    """Time frames while it scrolls and lists come in, by the wall's clock and by that of the page's thread.

    It scrolls several times. A long frame in each is the console's; one in a single scroll may be the machine's.
    """
    idle = page.evaluate(IDLE, FRAMES)
    scrolls = [scrolled(browser, page, api) for _ in range(SCROLLS)]
    longest = [round(max(took)) for took, _ in scrolls]  # three frames are 50.1 ms at times, by the browser's clock
    return {
        "console_scroll_frame_max_ms": max(longest),
        "console_scroll_frame_max_best_ms": min(longest),
        "console_scroll_frame_p50_ms": round(statistics.median(frame for took, _ in scrolls for frame in took), 1),
        "console_idle_frame_max_ms": round(max(idle), 1),
        "console_scroll_task_cpu_max_ms": round(max(task_ms for _, task_ms in scrolls), 1),
    }


def scrolled(browser: Browser, page: Page, api: ScriptedList) -> tuple[list[float], float]:
    """Scroll from the top; return the frames and the longest task, all in ms."""
    page.evaluate("document.querySelector('ivr-table').scrollTop = 0")
    page.evaluate(ENCODE, [[[row(ROWS), *api.rows[:-5]], api.rows], FRAMES // 60 + 1])
    browser.start_tracing(page=page, categories=["toplevel"])
    took, answers = page.evaluate(SCROLL, FRAMES)
    trace = browser.stop_tracing()
    assert answers >= FRAMES // 60 - 1, f"only {answers} answers came while it scrolled"
    return took, longest_task_ms(trace)


def longest_task_ms(trace: bytes) -> float:
    """Return the most CPU that one task took in the page's thread: a frame waits for it on an idle machine, too."""
    events = json.loads(trace)["traceEvents"]
    pages = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks: list[float] = [
        event["tdur"] / 1000 for event in events if "tdur" in event and (event["pid"], event["tid"]) in pages
    ]
    return max(tasks)


def painted(page: Page, api: ScriptedList) -> float:
    """Return the ms from an answer in which each row has another place until it is painted."""
    page.bring_to_front()  # a page behind another one is painted once a second
    api.rows.insert(0, api.rows.pop())
    return float(page.evaluate(PAINTED))


def plainly(page: Page, api: ScriptedList) -> float:
    """Return the ms from the same rows as text until they are painted as one plain table."""
    page.bring_to_front()
    return float(page.evaluate(PLAIN, api.rows))


def polled(browser: Browser, stack: Stack) -> dict[str, Any]:
    """Measure the heap after a thousand polls over that before them."""
    page, _ = opened(browser, stack, rows=POLLED_ROWS)
    cdp = page.context.new_cdp_session(page)
    page.evaluate(POLL, WARM_UP_POLLS)
    before = heap_bytes(cdp)
    page.evaluate(POLL, POLLS)
    after = heap_bytes(cdp)
    page.context.close()
    return {"console_heap_after_1000_polls": round(after / before, 3), "console_heap_mib": round(after / 2**20, 1)}


def heap_bytes(cdp: CDPSession) -> float:
    """Return what the page's objects take once nothing more can be collected."""
    cdp.send("HeapProfiler.enable")
    cdp.send("HeapProfiler.collectGarbage")
    used: float = cdp.send("Runtime.getHeapUsage")["usedSize"]
    return used


def opened(browser: Browser, stack: Stack, *, rows: int) -> tuple[Page, ScriptedList]:
    """Return a page that is signed in and shows so many scripted rows."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    api = ScriptedList([row(number) for number in range(rows)])
    api.take(context)
    page = context.new_page()
    page.add_init_script(ANSWERED)
    sign_in(page, stack)
    page.locator("ivr-table tbody tr").first.wait_for()
    return page, api


if __name__ == "__main__":
    main()
