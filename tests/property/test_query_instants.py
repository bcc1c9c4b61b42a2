from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr_runtimes.query.instants import Instant, parse

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOUR_CENTURIES_S = 146_097 * 86_400

offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets)  # noqa: DTZ001  # Hypothesis wants bounds without a zone


def written(moment: datetime, *, separator: str, zulu: str | None) -> str:
    shifted = moment.astimezone(UTC).replace(tzinfo=None) if zulu else moment
    return shifted.isoformat(separator).rjust(19, "0") + (zulu or "")


@SETTINGS
@given(moment=moments, separator=st.sampled_from("Tt "), zulu=st.sampled_from([None, "Z", "z"]))
def test_an_instant_is_what_datetime_takes_it_for(moment: datetime, separator: str, zulu: str | None) -> None:
    since = moment - EPOCH
    expected = Instant(since // timedelta(seconds=1), f"{since.microseconds:06}".rstrip("0"))
    assert parse(written(moment, separator=separator, zulu=zulu)) == expected


@SETTINGS
@given(one=moments, two=moments | st.none(), digits=st.text("0123456789", max_size=30))
def test_instants_compare_as_moments_do(one: datetime, two: datetime | None, digits: str) -> None:
    other = one if two is None else two.astimezone(one.tzinfo)
    first, second = (parse(moment.replace(microsecond=0).isoformat()) for moment in (one, other))
    assert (first < second) == (one.replace(microsecond=0) < other.replace(microsecond=0))
    finer = parse(one.replace(microsecond=0).isoformat()[:19] + f".0{digits}1Z")
    coarser = parse(one.replace(microsecond=0).isoformat()[:19] + f".0{digits}Z")
    assert coarser < finer < coarser._replace(epoch_s=coarser.epoch_s + 1)


@SETTINGS
@given(year=st.integers(0, 9599), rest=st.datetimes(datetime(2001, 1, 1), datetime(2001, 12, 31)))  # noqa: DTZ001  # as above
def test_the_calendar_repeats_every_four_centuries_even_where_datetime_ends(year: int, rest: datetime) -> None:
    tail = rest.replace(microsecond=0).isoformat()[4:] + "+23:59"
    assert parse(f"{year + 400:04}{tail}").epoch_s - parse(f"{year:04}{tail}").epoch_s == FOUR_CENTURIES_S
