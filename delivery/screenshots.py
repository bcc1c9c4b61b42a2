"""Renders docs/images/: `ivrctl list`, `watch`, and a stop in progress, as SVG.

Owns what the pictures show: made-up calls in an API of this process. The programs are the real ones, in a terminal of
their own. Run by `make screenshots`.
"""

import argparse
import asyncio
import io
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from ivrctl.access import Tokens
from ivrctl.api import Api, Query
from ivrctl.commands.watch import MASK
from ivrctl.profiles import resolve
from ivrctl.stopping import Result
from ivrctl.watching import WatchApp
from scripted_api import SITES, Answer, Asked, ScriptedApi, serving
from terminals import Terminal, terminal

COLUMNS: Final = 124
LINES: Final = 30

SCRIPTS: Final = (
    ("player", "TEST PLAY"),
    ("welcome", "Main scenario"),
    ("survey", "Customer survey"),
    ("callback", "Order a call back"),
)

ROWS: Final = 12
"""Of the preview, so many rows are in the picture."""

STOPPED: Final = 19
"""How many of the stops have ended in the picture."""

_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts of another server: a picture must not ask for them."""


def main() -> None:
    """Render all three."""
    parser = argparse.ArgumentParser(description="Render the pictures of the command line.")
    parser.add_argument("folder", type=Path, help="where the pictures are written")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with made_up() as (api, environment):
        write(folder / "list.svg", listed(environment), title="ivrctl list")
        (folder / "watch.svg").write_text(_FONT.sub("", asyncio.run(watched(api, environment))), encoding="utf-8")
        write(folder / "stop.svg", stopping(api, environment), title="ivrctl stop")


@contextmanager
def made_up() -> Iterator[tuple[ScriptedApi, dict[str, str]]]:
    """Serve made-up calls; yield the API and the environment of its user."""
    chance = random.Random(14)  # noqa: S311  # the same pictures each time
    with serving(ScriptedApi()) as api, tempfile.TemporaryDirectory() as home:
        for _ in range(24):
            code, name = chance.choice(SCRIPTS)
            api.runs(1, code=code, name=name, site=chance.choice(SITES), age_s=chance.randrange(5, 5400))
        yield api, {"PATH": os.environ["PATH"], "HOME": home, "IVRCTL_URL": api.url}


def write(file: Path, shown: str, *, title: str) -> None:
    """Draw what a terminal showed."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(shown), overflow="crop", no_wrap=True)
    file.write_text(_FONT.sub("", console.export_svg(title=title)), encoding="utf-8")


def listed(environment: dict[str, str]) -> str:
    """Show a list."""
    with terminal(["ivrctl", "list", "age>1m"], environment, columns=COLUMNS, lines=LINES) as shown:
        shown.ended()
    return f"$ ivrctl list 'age>1m'\n{lines(shown)}"


async def watched(api: ScriptedApi, environment: dict[str, str]) -> str:
    """Show the live view a moment after some calls have come and gone."""
    profile = resolve({}, environment | {"IVRCTL_CACHE": environment["HOME"]})
    asked = Api(profile, Tokens(profile))
    app = WatchApp(
        lambda: asked.rows(Query(mask=MASK, flat=True)),
        lambda runtime_id: Result(runtime_id, "ended"),
        interval_s=3600,
        told="https://api.example.com",
    )
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        await app.workers.wait_for_complete()
        api.ends(next(iter(app.board.rows)))
        api.runs(2, code="welcome", name="Main scenario", age_s=1)
        app.take(await asyncio.to_thread(asked.rows, Query(mask=MASK, flat=True)))
        await pilot.press("down", "down", "down")
        await pilot.pause()
        drawn = app.export_screenshot(title="ivrctl watch")
    asked.close()
    return drawn


def stopping(api: ScriptedApi, environment: dict[str, str]) -> str:
    """Show a stop in progress."""
    api.runs(40)
    door, reached = threading.Semaphore(STOPPED), f"{STOPPED} of "

    def slowly(asked: Asked) -> Answer | None:
        if asked.method == "DELETE":
            door.acquire(timeout=20)
            time.sleep(0.02)
        return None

    api.fault = slowly
    command = ["ivrctl", "stop", "--where", "code=player", "age<2m", "--parallel", "1"]
    with terminal(command, environment, columns=COLUMNS, lines=LINES) as shown:
        shown.until("[y/N]")
        shown.type("y\r")
        shown.until(reached)
    api.fault = lambda _: None
    door.release(1000)
    head, *rows, asked_for, bar = lines(shown).split("\n")
    latest = bar.rpartition("\r")[2].replace("\x1b[K", "")
    return "\n".join(["$ ivrctl stop --where code=player 'age<2m'", head, *rows[:ROWS], "…", asked_for, latest])


def lines(shown: Terminal) -> str:
    """Return what a terminal showed, with plain line ends."""
    return shown.raw.replace("\r\n", "\n")


if __name__ == "__main__":
    main()
