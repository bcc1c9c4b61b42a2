import time

import pytest

from ivr_runtimes.query.like import matcher, parse


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("", ""),
        ("%", ""),
        ("%", "anything\nat all"),
        ("%%%", ""),
        ("_", "x"),
        ("_", "\n"),
        ("_", "\U0001f600"),
        ("TEST%", "TEST PLAY"),
        ("%PLAY", "TEST PLAY"),
        ("%ST PL%", "TEST PLAY"),
        ("T%T%Y", "TEST PLAY"),
        ("T__T%", "TEST"),
        ("%_", "x"),
        ("_%_", "xy"),
        ("%b_d%", "abcdbxd"),
        ("%a_%_c%", "xaabbc"),
        ("%ab%ab%", "abab"),
        ("%aab", "aaaab"),
        (r"100\%", "100%"),
        (r"a\_b", "a_b"),
        (r"a\\b", r"a\b"),
        (r"\a\b", "ab"),
        (r"%\%%", "50% off"),
        ("%_a_%", "xxaxx"),
        ("%_a_b%", "aaaab_xacb"),
    ],
)
def test_a_pattern_fits_the_whole_value(pattern: str, value: str) -> None:
    assert matcher(pattern)(value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("", "x"),
        ("_", ""),
        ("_", "xy"),
        ("__", "\U0001f600"),
        ("TEST", "TEST PLAY"),
        ("PLAY", "TEST PLAY"),
        ("test%", "TEST"),
        ("%ab%ab%", "aba"),
        ("ab%ab", "ab"),
        ("aba%aba", "aba"),
        ("%ab%b", "ab"),
        ("a%a%", "a"),
        ("_%a_%", "a_"),
        ("%_", ""),
        ("_%_", "x"),
        (r"100\%", "100 per cent"),
        (r"a\_b", "axb"),
        ("%a__b%", "aab"),
        (".*", "anything"),
        ("[a-z]", "a"),
    ],
)
def test_a_pattern_that_fits_a_part_only_does_not_match(pattern: str, value: str) -> None:
    assert not matcher(pattern)(value)


@pytest.mark.parametrize("pattern", ["\\", "abc\\", "\\\\\\", "%\\"])
def test_a_backslash_that_escapes_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="escapes nothing"):
        parse(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "%a" * 2000 + "%b",
        "%_" * 2000 + "b",
        "%" + "a" * 2000 + "b%",
        "%" + "_a" * 1000 + "b%",
        "%" + "a_" * 1000 + "b%" + "a_" * 500 + "%c",
    ],
)
def test_hostile_patterns_stay_cheap_on_long_values(pattern: str) -> None:
    matches, value = matcher(pattern), "a" * 50_000
    before_s = time.process_time()
    assert not matches(value)
    assert time.process_time() - before_s < 1
