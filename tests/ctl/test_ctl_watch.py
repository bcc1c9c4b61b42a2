"""`ivrctl watch`: the screen driven by keys, without an API, and once in a real terminal with one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.widgets import Button, DataTable, Input, Static

from ivrctl.api import Page
from ivrctl.api.coverage import Coverage
from ivrctl.errors import UnavailableError
from ivrctl.stopping import Result
from ivrctl.watching import WatchApp, view
from scripted_api import ScriptedApi
from terminals import terminal

WHOLE = Coverage({"SITE1": (2, 2)})


class World:
    """What is listed, and what was stopped."""

    def __init__(self, *ids: str) -> None:
        self.rows = [self.row(each) for each in ids]
        self.coverage = WHOLE
        self.away = False
        self.stopped: list[str] = []

    @staticmethod
    def row(runtime_id: str, code: str = "player") -> dict[str, Any]:
        number = sum(map(ord, runtime_id)) % 60
        return {
            "id": runtime_id,
            "site": "SITE1",
            "node": "n@h",
            "code": code,
            "name": code.upper(),
            "ext.state": "running",
            "starttime": f"2026-11-26T07:{number:02}:00Z",
        }

    def read(self) -> Page:
        if self.away:
            raise UnavailableError("the API does not answer")
        return Page(list(self.rows), self.coverage, datetime(2026, 11, 26, 8, 0, 0, tzinfo=UTC))

    def stop(self, runtime_id: str) -> Result:
        self.stopped.append(runtime_id)
        return Result(runtime_id, "ended")

    def app(self) -> WatchApp:
        return WatchApp(self.read, self.stop, interval_s=3600, told="here")


def shown(app: WatchApp) -> list[str]:
    return [str(each.key.value) for each in app.query_one("#table", DataTable).ordered_rows]


async def settled(pilot: Any) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def looked(pilot: Any) -> None:
    """Have the screen look at the list anew."""
    pilot.app._refresh()
    await settled(pilot)


async def test_the_selection_is_by_id_and_survives_refresh_sort_and_ends() -> None:
    world = World("b", "c", "d")
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("down", "down")
        chosen = app.selected
        assert chosen == "d"
        world.rows = [world.row("a"), world.row("d"), world.row("e", "welcome")]
        await looked(pilot)
        assert app.selected == chosen
        for _ in range(4):
            await pilot.press("s")
            await pilot.pause()
            assert app.selected == chosen
            assert shown(app) == [row["id"] for row in view.chosen(world.rows, typed="", sort=app.sort)]


async def test_only_cells_that_changed_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("a", "b")
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        table, drawn = app.query_one("#table", DataTable), []
        before = table.update_cell
        monkeypatch.setattr(table, "update_cell", lambda *args, **more: (drawn.append(args[:2]), before(*args, **more)))
        world.rows[1] = {**world.rows[1], "code": "welcome"}
        await looked(pilot)
        assert drawn == [("b", "code")]


async def test_stop_asks_with_cancel_as_the_default() -> None:
    world = World("a", "b")
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("K")
        await pilot.pause()
        assert isinstance(app.focused, Button)
        assert app.focused.id == "cancel"
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("K", "escape")
        await settled(pilot)
        assert world.stopped == []
        await pilot.press("k", "j", "l", "enter")
        await settled(pilot)
        assert world.stopped == [], "no key near it stops anything"


async def test_what_was_selected_when_it_was_asked_is_stopped() -> None:
    world = World("b", "c")
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("down", "K")
        await pilot.pause()
        world.rows = [world.row("a"), world.row("b"), world.row("c")]
        app.take(world.read())
        await pilot.press("tab", "enter")
        await settled(pilot)
        assert world.stopped == ["c"]


async def test_a_filter_is_typed_and_dropped() -> None:
    world = World("a", "b")
    world.rows.append(world.row("w", "welcome"))
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"welc")
        await pilot.pause()
        assert shown(app) == ["w"]
        await pilot.press("enter")
        assert isinstance(app.focused, DataTable)
        await pilot.press("slash", "escape")
        await pilot.pause()
        assert app.query_one("#filter", Input).value == ""
        assert sorted(shown(app)) == ["a", "b", "w"]


async def test_while_paused_nothing_changes() -> None:
    world = World("a")
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("p")
        world.rows = []
        await looked(pilot)
        assert shown(app) == ["a"]
        await pilot.press("p")
        await settled(pilot)
        assert shown(app) == []


async def test_trouble_is_told_and_what_was_known_stays() -> None:
    world = World("a")
    app = world.app()
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        world.away = True
        await looked(pilot)
        assert "the API does not answer" in str(app.query_one("#head", Static).render())
        assert shown(app) == ["a"]
        world.away, world.coverage, world.rows = False, Coverage({"SITE1": (1, 2)}), []
        await looked(pilot)
        assert "SITE1: 1 of 2 nodes answer" in str(app.query_one("#head", Static).render())
        assert shown(app) == ["a"], "nobody knows whether it has ended"


async def test_text_from_callers_is_text_and_no_markup() -> None:
    world = World()
    world.rows = [{**world.row("a"), "name": "[bold red]x[/] \x1b]0;owned\x07", "code": "[link=x]"}]
    app = world.app()
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        assert str(app.query_one("#table", DataTable).get_cell("a", "name")) == "[bold red]x[/] \\x1b]0;owned\\x07"


def test_it_lives_in_a_terminal_and_stops_what_is_selected(api: ScriptedApi, environment: dict[str, str]) -> None:
    (first,) = api.runs(1, age_s=100)
    with terminal(["ivrctl", "watch", "--interval", "0.5s"], environment, columns=140) as screen:
        screen.until(first)
        (second,) = api.runs(1, code="welcome")
        screen.until(second)
        screen.type("K")
        screen.until("Stop it")
        screen.type("\t\r")
        screen.until("ended")
        screen.type("q")
        assert screen.ended() == 0
    assert (api.found(first), bool(api.found(second))) == (None, True)


def test_without_a_terminal_it_refuses(ctl: Callable[..., Any]) -> None:
    assert ctl("watch").code == 2
    assert ctl("watch", "--interval", "0.1s").code == 2
