"""The filter's shorthand, judged by the API's own parser and by what its filter lets through."""

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_runtimes.query import parse_list_query
from ivr_runtimes.query.evaluate import compiled
from ivr_runtimes.query.evaluate import passing as passing_rows
from ivr_runtimes.query.filter import MAX_BYTES
from ivrctl.api.client import IDS_AT_ONCE
from ivrctl.errors import UsageError
from ivrctl.where import expression, names, of_ids
from rows import PLAYER, WELCOME

NOW = datetime(2019, 11, 5, 12, 0, 0, tzinfo=UTC)


def passing(*terms: str, full: str | None = None) -> list[str]:
    """The codes of the two sample rows that the API would return."""
    asked = expression(list(terms), full, zone="utc", now=NOW)
    query = parse_list_query("" if asked is None else f"filter={quote(asked)}")
    return [row.code for row in passing_rows(compiled(query.filter), (PLAYER, WELCOME))]


@pytest.mark.parametrize(
    ("terms", "codes"),
    [
        ([], ["player", "welcome"]),
        (["code=player"], ["player"]),
        (["code = player"], ["player"]),
        (["code!=player"], ["welcome"]),
        (["code=player,welcome"], ["player", "welcome"]),
        (["code!=player,welcome"], []),
        (["code=const,player"], ["player"]),
        (["name~Main%"], ["welcome"]),
        (["name!~Main%"], ["player"]),
        (["site=SITE1", "code=welcome"], ["welcome"]),
        (["state=running"], ["player", "welcome"]),
        (["ext.state=running"], ["player", "welcome"]),
        (["starttime<2019-11-05T08:36:41Z"], ["player"]),
        (["starttime<=2019-11-05T08:36:40Z"], ["player"]),
        (["starttime=2019-11-05T11:36:40+03:00"], ["player"]),
        (["starttime>2019-11-05T10:00Z"], ["welcome"]),
        (["starttime>2019-11-05"], ["player", "welcome"]),
        (["age>1h"], ["player"]),
        (["age>=28m26s"], ["player", "welcome"]),
        (["age<1h"], ["welcome"]),
        (["age<=3h23m20s"], ["player", "welcome"]),
    ],
)
def test_terms_mean_what_they_say(terms: list[str], codes: list[str]) -> None:
    assert passing(*terms) == codes


@pytest.mark.parametrize(
    ("full", "terms", "codes"),
    [
        ('{"code": "player"}', [], ["player"]),
        ('{"code": ["player", "welcome"], "site": "SITE1"}', ["name~Main%"], ["welcome"]),
        ('["like", ["property", "name"], "TEST%"]', ["site=SITE1"], ["player"]),
        ("{}", ["code=player"], ["player"]),
        ("{}", [], ["player", "welcome"]),
    ],
)
def test_the_full_language_and_the_terms_hold_together(full: str, terms: list[str], codes: list[str]) -> None:
    assert passing(*terms, full=full) == codes


@given(
    st.sampled_from([name for name in names() if name not in ("age", "starttime", "lwt", "ext.lwt")]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text == text.lstrip()),
)
def test_any_value_is_compared_as_it_stands(name: str, value: str) -> None:
    """What a person types after the sign reaches the API as that very text; commas by their escape."""
    text = expression([f"{name}={value.replace(',', chr(92) + ',')}"], None, zone="utc")
    assert text is not None
    operator, place, constant = json.loads(text)
    assert (operator, place[1].rpartition(".")[2]) == ("==", name.rpartition(".")[2])
    assert constant == value


@pytest.mark.parametrize(
    "term", ["", "site", "=x", "age=1h", "age~1h", "age>", "age>x", "nosuch=1", "code=a,", "starttime=now"]
)
def test_a_term_that_makes_no_sense_is_refused_with_a_remedy(term: str) -> None:
    with pytest.raises(UsageError):
        expression([term], None, zone="utc", now=NOW)


def test_a_filter_by_ids_fits_the_api_at_its_most() -> None:
    assert len(of_ids([PLAYER.id] * IDS_AT_ONCE).encode()) <= MAX_BYTES
