"""The headers of pages."""

import pytest

from ivr_runtimes.paging import next_link, wants_count
from ivr_runtimes.query import cursor, parse_list_query
from rows import PLAYER

PLACE = cursor.behind(PLAYER, descending=False)
AFTER = "after=" + cursor.encode(PLACE)


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        ("count=exact", True),
        ('respond-async, Count = "exact" ; x=1, wait=10', True),
        ("count=estimated", False),
        ("count=planned, count=exact", False),
        ('handling="lenient, count=exact"', False),
        ("count", False),
        ("discount=exact", False),
        ("", False),
        (None, False),
    ],
)
def test_an_exact_count_is_preferred_by_name_and_value_the_first_of_them(prefer, wanted):
    assert wants_count(prefer) is wanted


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("limit=2", "limit=2&"),
        ("offset=4&limit=2&mask=id,code", "limit=2&mask=id,code&"),
        ("limit=2&%61fter=x&after=y&", "limit=2&"),
        ("filter=%7B%22site%22%3A%22A+B%22%7D&limit=2", "filter=%7B%22site%22%3A%22A+B%22%7D&limit=2&"),
        ('limit=2&filter={"name":"> ü"}', "limit=2&filter=%7B%22name%22:%22%3E%20%C3%BC%22%7D&"),
    ],
)
def test_the_link_keeps_the_request_and_moves_its_place(raw, kept):
    assert next_link("/rest/list", raw, PLACE) == f'</rest/list?{kept}{AFTER}>; rel="next"'


def test_what_the_link_leads_to_asks_for_what_follows():
    url = next_link("/l", 'limit=2&filter={"name":"ü"}', PLACE)[1:].partition(">")[0]
    query = parse_list_query(url.partition("?")[2])
    assert (query.limit, query.after) == (2, PLACE)
    assert query.filter == parse_list_query('filter={"name":"ü"}').filter
