"""Tables for people: one line for each runtime.

Owns the columns and their widths. Only on a terminal are cells cut, the widest first and an id never; what is piped is
whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ivrctl import times
from ivrctl.neutral import cut, neutral, padded, width
from ivrctl.terminal import Terminal

Row = Mapping[str, Any]

LEAST_COLUMNS: Final = 8
"""A cell is not cut to less."""

GAP: Final = "  "

STATE_COLOURS: Final = {"running": "green", "post_processing": "yellow"}


class Column(NamedTuple):
    """A column: its heading, what it shows of a row, whether it may be cut, and the colour of a text."""

    heading: str
    text: Callable[[Row], str]
    may_be_cut: bool = True
    colour: Callable[[str], str | None] = lambda _: None


def columns_for(*, wide: bool, now: datetime, zone: str) -> list[Column]:
    """Return the columns of a list; `now` is what ages are counted to."""
    columns = [
        Column("ID", _field("id"), may_be_cut=False),
        Column("SITE", _field("site")),
        Column("NODE", _field("node")),
        Column("CODE", _field("code")),
        Column("NAME", _field("name")),
        Column("STATE", _field("ext.state"), may_be_cut=False, colour=STATE_COLOURS.get),
        Column("AGE", lambda row: times.age(str(row.get("starttime")), now), may_be_cut=False),
    ]
    if not wide:
        return columns
    return [
        *columns,
        Column(f"STARTED ({zone.upper()})", lambda row: times.shown(str(row.get("starttime")), zone), may_be_cut=False),
        Column("TYPE", _field("type")),
        Column("STOPTYPE", _field("ext.stoptype")),
        Column("ROOT", _field("ext.rootcode")),
    ]


def of_fields(fields: Iterable[str], *, zone: str) -> list[Column]:
    """Return a column for each field of a mask."""
    return [_column(name, zone) for name in fields]


def draw(rows: Sequence[Row], columns: Sequence[Column], terminal: Terminal) -> None:
    """Print the table; without rows nothing, not even headings."""
    if not rows:
        return
    texts = [_neutral([column.text(row) for row in rows]) for column in columns]
    widths = [max(len(column.heading), *map(width, set(each))) for column, each in zip(columns, texts, strict=True)]
    room = terminal.width()
    if room is not None:
        widths = _fitted(widths, columns, room)
    terminal.print(
        terminal.coloured(GAP.join(map(padded, (each.heading for each in columns), widths)).rstrip(), "bold")
    )
    drawn = [_cells(*each, terminal) for each in zip(texts, widths, columns, strict=True)]
    for cells in zip(*drawn, strict=True):
        terminal.print(GAP.join(cells).rstrip())


def _neutral(texts: list[str]) -> list[str]:
    """Return a column's texts neutralised; nearly all columns need nothing, which one look at the whole tells."""
    whole = "".join(texts)
    return texts if whole.isascii() and whole.isprintable() else [neutral(text) for text in texts]


def _column(name: str, zone: str) -> Column:
    if name in ("starttime", "ext.lwt"):
        return Column(f"{name.upper()} ({zone.upper()})", lambda row: times.shown(str(row.get(name)), zone))
    colour = STATE_COLOURS.get if name == "ext.state" else (lambda _: None)
    return Column(name.upper(), _field(name), may_be_cut=name != "id", colour=colour)


def _field(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row.get(name)
        return "-" if value is None else str(value)

    return text


def _cells(texts: Sequence[str], columns: int, column: Column, terminal: Terminal) -> list[str]:
    """Return a column's cells: cut, padded, coloured. Equal texts are drawn once."""
    drawn: dict[str, str] = {}
    for text in texts:
        if text not in drawn:
            shown, colour = padded(cut(text, columns), columns), column.colour(text)
            drawn[text] = terminal.coloured(shown, colour) if colour else shown
    return [drawn[text] for text in texts]


def _fitted(widths: Sequence[int], columns: Sequence[Column], room: int) -> list[int]:
    """Return widths that fit the room where they can, by cutting the widest first."""
    fitted = list(widths)
    over = sum(fitted) + len(GAP) * (len(fitted) - 1) - room
    while over > 0:
        able = [at for at, column in enumerate(columns) if column.may_be_cut and fitted[at] > LEAST_COLUMNS]
        if not able:
            return fitted
        fitted[max(able, key=fitted.__getitem__)] -= 1
        over -= 1
    return fitted
