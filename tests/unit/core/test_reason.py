"""The header `Stop-Reason`: what may stand in it, and what of it reaches a log."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_runtimes.command import REASON_LENGTH
from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.stopping.reason import reason_of


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, ""),
        ("caller asked for it", "caller asked for it"),
        ('a, b; c="d"', 'a, b; c="d"'),
        ("%D0%B7%D0%B2%D0%BE%D0%BD%D0%BE%D0%BA", "звонок"),
        ("50%25 done", "50% done"),
        ("%f0%9f%93%9e", "📞"),
        (" \t padded%20 ", "padded"),
        ("x" * REASON_LENGTH, "x" * REASON_LENGTH),
        (quote("ж" * REASON_LENGTH), "ж" * REASON_LENGTH),
        (quote("a\u00a0b\u2003c"), "a b c"),
        (quote("abc\u202egnp\u2066"), "abc\ufffdgnp\ufffd"),
        (quote("x\u2028y\ufeff\uffffz"), "x y\ufffd\ufffdz"),
    ],
)
def test_a_reason_is_read_as_text_that_a_log_can_show(value, reason):
    assert reason_of(value) == reason


@pytest.mark.parametrize("copies", [2, 3, 7])
@pytest.mark.parametrize("joint", [",", ", "])
def test_a_header_that_was_doubled_on_its_way_is_one_reason(copies, joint):
    """HTTP APIs join it by a comma: a reason that fits would have become one that is too long."""
    reason = "x" * 200 + ", it seems"
    assert reason_of(joint.join([reason] * copies)) == reason
    assert reason_of("no, yes,no, no") == "no, yes,no, no"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("%20%C2%A0", "is empty"),
        ("x" * (REASON_LENGTH + 1), f"has {REASON_LENGTH + 1} characters"),
        ("line%0Abreak", "has control characters"),
        ("%1b[31mred", "has control characters"),
        ("del%7f", "has control characters"),
        ("c1%C2%9B", "has control characters"),
        ("%00", "has control characters"),
        ("50% done", "is not ASCII with percent escapes"),
        ("%4", "is not ASCII with percent escapes"),
        ("звонок", "is not ASCII with percent escapes"),
        ("tab\tin it", "is not ASCII with percent escapes"),
        ("%ff", "has escapes that are not UTF-8"),
        ("%ed%a0%80", "has escapes that are not UTF-8"),
    ],
)
def test_what_is_no_reason_is_refused_with_place_and_remedy(value, wrong):
    with pytest.raises(InvalidRequestError) as refused:
        reason_of(value)
    (fault,) = refused.value.faults
    assert (fault.place, fault.message) == ("Stop-Reason", wrong)
    assert "1 to 256 characters" in fault.remedy
    assert "%25" in fault.remedy


@given(st.text(max_size=2 * REASON_LENGTH))
def test_whatever_is_sent_a_log_gets_printable_text_within_the_limit(text):
    try:
        reason = reason_of(quote(text.encode(errors="surrogatepass")))
    except InvalidRequestError:
        return
    assert 1 <= len(reason) <= REASON_LENGTH
    assert reason.isprintable()
