"""`Date` of AWS's answers sets the agent's clock: what leaves no doubt counts, whatever the host's time zone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_runtimes.stores.boto import call
from ivr_runtimes.stores.dates import epoch_s

FIXDATE = "Tue, 05 Nov 2019 08:36:40 GMT"
AT_S = 1572943000.0


@pytest.fixture(params=["UTC", "America/New_York", "Europe/Moscow", "Pacific/Chatham"])
def _zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    "date", [FIXDATE, f"{FIXDATE}, {FIXDATE}", f"{FIXDATE}, {FIXDATE}, {FIXDATE}", f"{FIXDATE},{FIXDATE}"]
)
def test_the_one_form_that_may_be_sent_is_read_wherever_the_host_stands(date):
    assert epoch_s(date) == AT_S


@pytest.mark.parametrize(
    ("date", "expected_s"),
    [
        ("Fri, 31 Dec 1999 23:59:59 GMT", 946684799.0),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228799.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799.0),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800.0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", -62135596800.0),
    ],
)
def test_leap_days_leap_seconds_and_the_ends_of_time_are_read(date, expected_s):
    assert epoch_s(date) == expected_s


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    "date",
    [
        "Tue, 05 Nov 2019 08:36:40",
        "Tue, 05 Nov 2019 08:36:40 +0300",
        "Tue, 05 Nov 2019 03:36:40 -0500",
        "Tue, 05 Nov 2019 08:36:40 +0000",
        "Tue, 05 Nov 2019 08:36:40 UTC",
        "Tue, 05 Nov 2019 03:36:40 EST",
        "Tue, 05 Nov 2019 08:36:40 MSK",
        "Tue, 05 Nov 2019 08:36:40 gmt",
        "Tuesday, 05-Nov-19 08:36:40 GMT",
        "Tue, 05 Nov 19 08:36:40 GMT",
        "Tue Nov  5 08:36:40 2019",
        "Mon, 05 Nov 2019 08:36:40 GMT",
        "Tue, 5 Nov 2019 08:36:40 GMT",
        "Sat, 31 Feb 2026 08:36:40 GMT",
        "Tue, 05 Nov 2019 24:36:40 GMT",
        "Tue, 05 Nov 2019 08:60:40 GMT",
        "Tue, 05 Nov 2019 08:36:61 GMT",
        "Sat, 00 Jan 0000 00:00:00 GMT",
        "Tue, 05 Nov 2019 08:36:40 GMT, Tue, 05 Nov 2019 08:36:41 GMT",
        "Tue, 05 Nov 2019 08:36:40 GMT,",
        f" {FIXDATE}",
        f"{FIXDATE}\n",
        "Tue, \u0660\u0665 Nov 2019 08:36:40 GMT",
        "2019-11-05T08:36:40Z",
        "1572943000",
        "",
        "soon",
        None,
        [FIXDATE],
        b"Tue, 05 Nov 2019 08:36:40 GMT",
    ],
)
def test_what_leaves_any_doubt_is_no_date(date):
    assert epoch_s(date) is None


@given(st.text())
def test_no_text_is_too_odd(date):
    assert epoch_s(date) is None or len(date) >= len(FIXDATE)


@pytest.mark.parametrize("date", ["soon", f"{FIXDATE}, Tue, 05 Nov 2019 11:36:40 GMT", None])
def test_an_unreadable_date_spoils_no_answer(date):
    """The answer was there, but its `Date` raised on the way back: the write counted as failed, the loop as broken."""
    heard: list[float] = []
    headers = {} if date is None else {"date": date}
    answer = {"Item": {}, "ResponseMetadata": {"HTTPHeaders": headers}}
    assert call(lambda: answer, heard.append) == answer
    assert heard == []
