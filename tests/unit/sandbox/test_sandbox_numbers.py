import re
from random import Random

from ivr_sandbox.numbers import WITHHELD, Numbers, draw

FICTION = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}|\+447700900[0-9]{3}|\+448081570[0-9]{3}")
"""NANPA's 555-0100 to 555-0199; Ofcom's mobiles and freephone numbers for drama."""


def calls(count: int, *, seed: int = 1, code: str = "player") -> list[Numbers]:
    rng = Random(seed)  # noqa: S311  # callers, not secrets
    return [draw(rng, domain="test.rootdomain.ru", code=code) for _ in range(count)]


def test_every_number_is_one_that_nobody_has() -> None:
    for call in calls(2_000):
        assert call.caller is None or FICTION.fullmatch(call.caller)
        assert FICTION.fullmatch(call.called)
        assert re.fullmatch(r"[0-9a-f]{16}@sandbox\.invalid", call.call_id)


def test_the_same_seed_brings_the_same_numbers_and_each_call_an_id_of_its_own() -> None:
    assert calls(100) == calls(100)
    assert calls(100) != calls(100, seed=2)
    assert len({call.call_id for call in calls(2_000)}) == 2_000


def test_some_callers_withhold_their_number() -> None:
    withheld = sum(call.caller is None for call in calls(2_000))
    assert 0.5 * WITHHELD < withheld / 2_000 < 2 * WITHHELD


def test_calls_for_one_script_go_to_one_number() -> None:
    assert len({call.called for call in calls(50)}) == 1
    assert calls(1)[0].called != calls(1, code="welcome")[0].called


def test_the_text_form_of_a_calls_numbers_shows_none() -> None:
    assert repr(calls(1)[0]) == "Numbers()"
