from collections.abc import Callable
from dataclasses import replace

import pytest

from ivr_runtimes.errors import Fault
from ivr_runtimes.identifiers import Domain, RuntimeId, Site
from ivr_runtimes.model import Runtime
from ivr_runtimes.query import cursor, parse_list_query
from ivr_runtimes.query.cursor import Cursor
from rows import PLAYER, WELCOME

FaultOf = Callable[[str], Fault]
TEXT = cursor.encode(cursor.behind(PLAYER, descending=False))


@pytest.mark.parametrize("descending", [False, True])
def test_a_cursor_survives_its_journey(descending: bool) -> None:
    place = cursor.behind(PLAYER, descending=descending)
    assert cursor.parse(cursor.encode(place)) == place


def test_a_cursor_says_nothing_of_the_domain() -> None:
    elsewhere = replace(PLAYER, domain=Domain("other.example"))
    assert cursor.encode(cursor.behind(elsewhere, descending=False)) == TEXT


def test_what_follows_is_later_or_of_a_site_that_comes_after() -> None:
    twin = replace(PLAYER, site=Site("SITE2"))
    ahead, back = (cursor.behind(PLAYER, descending=way) for way in (False, True))
    assert [ahead.precedes(row) for row in (PLAYER, twin, WELCOME)] == [False, True, True]
    assert [back.precedes(row) for row in (PLAYER, twin, WELCOME)] == [False, False, False]


def test_no_single_character_of_a_cursor_can_be_altered(fault_of: FaultOf) -> None:
    for at, was in enumerate(TEXT):
        for other in "A_z9"[:: 1 if at % 2 else -1][:2]:
            if other != was:
                assert fault_of(f"after={TEXT[:at]}{other}{TEXT[at + 1 :]}").place == "after"


@pytest.mark.parametrize("text", [TEXT[:-1], TEXT + "A", TEXT + "%3D", TEXT[:-4], "A" * 300, "%C3%BC", "AAAA", "1"])
def test_what_is_cut_or_lengthened_is_no_cursor(fault_of: FaultOf, text: str) -> None:
    assert "is no cursor of ours" in fault_of(f"after={text}").message


@pytest.mark.parametrize(
    "row", [replace(PLAYER, id=RuntimeId("x")), replace(PLAYER, starttime="soon"), replace(PLAYER, site=Site("1"))]
)
def test_a_forged_cursor_that_names_no_possible_row_is_refused(fault_of: FaultOf, row: Runtime) -> None:
    forged = cursor.encode(cursor.behind(row, descending=False))
    assert fault_of(f"after={forged}").place == "after"


def test_a_cursor_of_another_version_is_told_apart(fault_of: FaultOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "VERSION", "2")
    newer = cursor.encode(cursor.behind(PLAYER, descending=False))
    monkeypatch.undo()
    assert fault_of(f"after={newer}").message == "was made by another version of this service"


def test_a_cursor_goes_with_any_limit_filter_and_mask() -> None:
    assert parse_list_query(f"after={TEXT}&mask=id").after == Cursor(PLAYER.start_key, "SITE1")
