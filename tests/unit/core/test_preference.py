"""The header `Prefer`, whatever a client or a proxy makes of it (RFC 7240)."""

import pytest

from ivr_runtimes.http import preferred


@pytest.mark.parametrize(
    ("prefer", "value"),
    [
        ("wait=5", "5"),
        ("WAIT=5", "5"),
        ("respond-async, wait=10", "10"),
        (' wait = "5" ; x="a,b", wait=7', "5"),
        ("wait=5,wait=5", "5"),
        ("wait=x, wait=5", "x"),
        ('handling="wait=1, wait=2", wait=3', "3"),
        ('wait="a\\"b;c"', 'a"b;c'),
        ("wait", ""),
        ("wait;x=1", ""),
        ("wait=", ""),
        ("await=5", None),
        ("x;wait=5", None),
        ('"wait=5', "5"),
        ("", None),
        (None, None),
        (",,;;==", None),
    ],
)
def test_a_preference_is_found_by_its_name_the_first_of_them(prefer, value):
    assert preferred(prefer, "wait") == value
