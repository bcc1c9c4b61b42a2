from itertools import pairwise

import pytest

from ivr_runtimes.query.instants import Instant, parse, read


@pytest.mark.parametrize(
    "text",
    [
        "2019-11-05T08:36:40Z",
        "2019-11-05t08:36:40z",
        "2019-11-05 08:36:40Z",
        "2019-11-05T08:36:40.000Z",
        "2019-11-05T08:36:40+00:00",
        "2019-11-05T08:36:40-00:00",
        "2019-11-05T11:36:40+03:00",
        "2019-11-05T04:06:40-04:30",
        "2019-11-06T08:35:40+23:59",
    ],
)
def test_every_form_of_an_instant_is_the_same_instant(text: str) -> None:
    assert parse(text) == Instant(1_572_943_000)
    assert hash(parse(text)) == hash(Instant(1_572_943_000))


def test_fractions_compare_exactly_to_any_digit() -> None:
    texts = ["40", "40." + "0" * 999 + "1", "40.1", "40.10" + "0" * 999 + "1", "40.2", "40.9", "40." + "9" * 1000, "41"]
    instants = [parse(f"2019-11-05T08:36:{text}Z") for text in texts]
    assert all(earlier < later for earlier, later in pairwise(instants))
    assert parse("2019-11-05T08:36:40.1Z") == parse("2019-11-05T08:36:40.100Z")


def test_a_leap_second_is_the_next_seconds_start() -> None:
    assert parse("2016-12-31T23:59:60Z") == parse("2017-01-01T00:00:00Z")
    assert parse("2016-12-31T15:59:60.5-08:00") == parse("2017-01-01T00:00:00.5Z")


def test_years_run_from_0000_to_9999_and_offsets_may_carry_beyond() -> None:
    texts = [
        "0000-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00Z",
        "0000-02-29T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59-23:59",
    ]
    instants = [parse(text) for text in texts]
    assert all(earlier < later for earlier, later in pairwise(instants))
    assert instants[4] == Instant(0)


@pytest.mark.parametrize("text", ["2000-02-29", "2024-02-29", "0400-02-29", "2019-01-31", "2019-12-31"])
def test_days_that_exist_are_accepted(text: str) -> None:
    assert parse(f"{text}T00:00:00Z").epoch_s % 86_400 == 0


@pytest.mark.parametrize(
    "text",
    ["2019-02-29", "2019-02-30", "1900-02-29", "2019-04-31", "2019-13-01", "2019-00-01", "2019-01-00", "2019-01-32"],
)
def test_days_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"date that does not exist: {text}"):
        parse(f"{text}T00:00:00Z")


@pytest.mark.parametrize(
    ("day", "next_day"),
    [
        ("2019-12-31", "2020-01-01"),
        ("2020-01-31", "2020-02-01"),
        ("2020-02-28", "2020-02-29"),
        ("2020-02-29", "2020-03-01"),
        ("2020-12-31", "2021-01-01"),
        ("1900-02-28", "1900-03-01"),
        ("0000-02-29", "0000-03-01"),
        ("0000-12-31", "0001-01-01"),
    ],
)
def test_every_day_is_as_long_as_the_last(day: str, next_day: str) -> None:
    assert parse(f"{next_day}T00:00:00Z").epoch_s - parse(f"{day}T00:00:00Z").epoch_s == 86_400


@pytest.mark.parametrize("text", ["24:00:00", "23:60:00", "23:59:61", "99:99:99"])
def test_times_of_day_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"time of day that does not exist: {text}"):
        parse(f"2019-11-05T{text}Z")


@pytest.mark.parametrize("text", ["+24:00", "-24:00", "+00:60", "-99:99"])
def test_offsets_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="offset that does not exist"):
        parse(f"2019-11-05T08:36:40{text}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2019-11-05",
        "2019-11-05T08:36:40",
        "2019-11-05T08:36Z",
        "2019-11-05T08:36:40.Z",
        "2019-11-05T08:36:40,5Z",
        "2019-11-05T08:36:40+0300",
        "2019-11-05T08:36:40+03",
        "2019-11-05T08:36:40 03:00",
        "2019-11-05T08:36:40ZZ",
        "2019-11-05T08:36:40Z\n",
        " 2019-11-05T08:36:40Z",
        "2019-11-05_08:36:40Z",
        "20191105T083640Z",
        "2019-W45-2T08:36:40Z",
        "-2019-11-05T08:36:40Z",
        "٢٠١٩-11-05T08:36:40Z",  # digits that are not ASCII
    ],
)
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an RFC 3339 date-time"):
        parse(text)


def test_a_rows_unreadable_time_counts_as_none() -> None:
    assert read("2019-11-05T08:36:40Z") == Instant(1_572_943_000)
    assert read("soon") is None
