"""The screen of `ivrctl watch`: the table, the counts, what happened, and the keys.

Owns the layout and the keys. It reads by `read` and stops by `stop`, both in threads of their own, so that it answers
at any time. Only cells whose text changed are drawn anew; the selection is by id and stays through every refresh.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from ivrctl.api import Page
from ivrctl.errors import CliError
from ivrctl.neutral import neutral
from ivrctl.stopping import Result
from ivrctl.watching import view
from ivrctl.watching.board import Board, Change
from ivrctl.watching.confirm import Confirm

STYLES: Final = {"running": "green", "post_processing": "yellow", "not seen": "red"}
MARKS: Final = {"started": "+", "ended": "-", "script": "~", "state": "~", "unseen": "?"}

LOG_LINES: Final = 500


class WatchApp(App[int]):
    """The program. `read` returns the whole list or raises `CliError`; `stop` stops an id and tells what came of it."""

    TITLE = "ivrctl watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 1; background: $panel; padding: 0 1; }
    #side { width: 34; border-left: solid $panel; padding: 0 1; }
    #counts { height: auto; max-height: 60%; }
    #filter { display: none; }
    #filter.open { display: block; }
    """
    # K stands alone: no key around it on a keyboard does anything, and it takes Shift.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("s", "sort", "Sort"),
        Binding("p", "pause", "Pause"),
        Binding("q", "quit", "Quit"),
        Binding("K", "stop", "Stop the selected"),
    ]

    def __init__(
        self, read: Callable[[], Page], stop: Callable[[str], Result], *, interval_s: float, told: str
    ) -> None:
        super().__init__()
        self._read = read
        self._stop = stop
        self._interval_s = interval_s
        self._told = told
        self.board = Board()
        self.paused = False
        self.sort = "oldest"
        self.typed = ""
        self._page: Page | None = None
        self._trouble = ""
        self._looking = False
        self._drawn: dict[str, dict[str, str]] = {}

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="head", markup=False)
        yield Input(placeholder="words that a row must have; Enter keeps them, Escape drops them", id="filter")
        with Horizontal():
            yield DataTable(id="table", cursor_type="row", zebra_stripes=True)
            with Vertical(id="side"):
                yield Static(id="counts", markup=False)
                yield RichLog(id="log", max_lines=LOG_LINES, min_width=20, markup=False, wrap=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        table = self._table()
        for name in view.COLUMNS:
            table.add_column(name.upper(), key=name)
        table.focus()
        self._refresh()
        self.set_interval(self._interval_s, self._refresh)

    def _refresh(self) -> None:
        if not self.paused and not self._looking:  # one look at a time: they share a connection
            self._looking = True
            self.run_worker(self._look, thread=True, group="look")

    def _look(self) -> None:
        try:
            page = self._read()
        except CliError as error:
            self.call_from_thread(self._missed, error.detail)
        else:
            self.call_from_thread(self.take, page)
        finally:
            self._looking = False

    def _missed(self, why: str) -> None:
        self._trouble = why
        self._show_head()

    def take(self, page: Page) -> None:
        """Take a list and draw what it changed."""
        if self.paused:
            return
        self._page, self._trouble = page, "; ".join(page.coverage.gaps())
        for change in self.board.take(page):
            self._tell(change, page.at)
        self._draw()

    def _draw(self) -> None:
        if self._page is None:
            return
        rows = view.chosen(self.board.rows.values(), typed=self.typed, sort=self.sort)
        self._show_rows({str(row.get("id")): row for row in rows}, self._page.at)
        self._show_head(shown=len(rows))
        by_site, by_code = self.board.counts("site"), self.board.counts("code")
        self.query_one("#counts", Static).update(
            "\n".join(["BY SITE", *_told(by_site), "", "BY SCRIPT", *_told(by_code), ""])
        )

    def _show_rows(self, rows: dict[str, view.Row], now: datetime) -> None:
        """Bring the table to these rows, in their order, cell by cell."""
        table, selected = self._table(), self.selected
        for runtime_id in self._drawn.keys() - rows.keys():
            table.remove_row(runtime_id)
            del self._drawn[runtime_id]
        for runtime_id, row in rows.items():
            texts = view.texts(row, now, unseen=runtime_id in self.board.unseen)
            before = self._drawn.get(runtime_id)
            if before is None:
                table.add_row(*(_cell(name, text) for name, text in texts.items()), key=runtime_id)
            else:
                for name, text in texts.items():
                    if before[name] != text:
                        table.update_cell(runtime_id, name, _cell(name, text))
            self._drawn[runtime_id] = texts
        order = {runtime_id: place for place, runtime_id in enumerate(rows)}
        if [str(each.key.value) for each in table.ordered_rows] != list(order):
            table.sort("id", key=lambda cell: order[str(cell)])
        if selected in rows:
            table.move_cursor(row=table.get_row_index(selected), animate=False)

    @property
    def selected(self) -> str | None:
        """The id of the selected row."""
        table = self._table()
        if not table.row_count or not table.is_valid_row_index(table.cursor_row):
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        return str(key.value)

    def _show_head(self, *, shown: int | None = None) -> None:
        parts = [self._told, f"{len(self.board.rows)} running"]
        parts += [f"{shown} shown"] if shown is not None and self.typed else []
        parts += [f"sort: {self.sort}", f"at {self._page.at:%H:%M:%S}Z" if self._page else "asking"]
        parts += ["PAUSED"] if self.paused else []
        parts += [f"! {self._trouble}"] if self._trouble else []
        self.query_one("#head", Static).update(neutral("   ".join(parts)))

    def _tell(self, change: Change, at: datetime) -> None:
        name = f"{change.row.get('site')} {change.row.get('code')}"
        line = f"{at:%H:%M:%S} {MARKS[change.what]} {change.what} {name} {change.told} {str(change.row.get('id'))[:8]}"
        self.query_one("#log", RichLog).write(Text(neutral(" ".join(line.split()))))

    def action_sort(self) -> None:
        """Sort by the next order."""
        names = list(view.SORTS)
        self.sort = names[(names.index(self.sort) + 1) % len(names)]
        self._draw()

    def action_pause(self) -> None:
        """Pause, or go on."""
        self.paused = not self.paused
        self._show_head()
        self._refresh()

    def action_filter(self) -> None:
        """Open the line for the filter."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while somebody types."""
        self.typed = event.value
        self._draw()

    def on_input_submitted(self) -> None:
        """Go back to the table."""
        self._table().focus()

    def on_key(self, event: Any) -> None:
        """Drop the filter at Escape."""
        field = self.query_one("#filter", Input)
        if event.key == "escape" and field.has_class("open"):
            field.value = ""
            field.remove_class("open")
            self._table().focus()

    def action_stop(self) -> None:
        """Ask, then stop the row that is selected now, whatever is selected later."""
        runtime_id = self.selected
        row = self.board.rows.get(runtime_id or "")
        if runtime_id is None or row is None:
            return
        told = f"Stop {row.get('code')} ({row.get('name')}) on {row.get('node')}?\n\n{runtime_id}"

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(lambda: self._stopped(runtime_id), thread=True, group="stop")

        self.push_screen(Confirm(neutral(told).replace("\\x0a", "\n")), answered)

    def _stopped(self, runtime_id: str) -> None:
        result = self._stop(runtime_id)
        severity = "information" if result.done else "error"
        text = " ".join([runtime_id[:8], result.outcome, neutral(result.detail)])
        self.call_from_thread(self.notify, text, severity=severity, markup=False)

    def _table(self) -> DataTable[Any]:
        return self.query_one("#table", DataTable)


def _cell(name: str, text: str) -> Text:
    return Text(text, style=STYLES.get(text, "") if name == "state" else "")


def _told(counts: list[tuple[str, int]]) -> list[str]:
    return [f"{count:>6}  {neutral(name)}" for name, count in counts]
