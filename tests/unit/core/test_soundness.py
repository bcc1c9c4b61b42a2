"""A page is judged by columns at once, and each row by itself: both judge alike."""

import pytest

from ivr_runtimes.stores import soundness
from rows import PLAYER, WELCOME


class Stored:
    """A row as the table has it, its place in the index of its own."""

    def __init__(self, *, starttime, id, start_key=None):  # noqa: A002  # the row's attribute
        self.starttime, self.id = starttime, id
        self.start_key = f"{starttime}#{id}" if start_key is None else start_key


WELL = Stored(starttime=WELCOME.starttime, id=WELCOME.id)
TIME, ID = PLAYER.starttime, PLAYER.id
SPELLINGS = [TIME[:at] + letter + TIME[at + 1 :] for at in (0, 3, 5, 9, 11, 18) for letter in "aF\u0663 -"]


def test_rows_that_are_well_are_well_together() -> None:
    assert soundness.fault_of(WELL) is None
    assert soundness.all_sound([WELL, Stored(starttime=TIME, id=ID.upper())])
    assert soundness.all_sound([])


@pytest.mark.parametrize(
    "row",
    [
        *(Stored(starttime=spelling, id=ID) for spelling in SPELLINGS),
        Stored(starttime="2019-02-30T00:00:00Z", id=ID),
        Stored(starttime="2019-11-05T24:00:00Z", id=ID),
        Stored(starttime=TIME, id=ID[:-1] + "g"),
        Stored(starttime=TIME, id=ID[:-1]),
        Stored(starttime=TIME, id=f"{ID}\n{TIME}#{ID}"),
        Stored(starttime=f"{TIME}#", id=ID[1:]),
        Stored(starttime=TIME, id=ID, start_key=WELL.start_key),
        Stored(starttime=TIME, id=ID, start_key=f"{TIME}#{ID}\n"),
    ],
    ids=lambda row: f"{row.start_key!r}",
)
def test_one_row_that_is_not_well_is_found_among_others(row) -> None:
    """The shape of a page lets the letters a to f stand for digits; the dates do not."""
    assert soundness.fault_of(row)
    assert not soundness.all_sound([WELL, row, WELL])
