"""The headers of pages."""

from urllib.parse import urljoin, urlsplit

import pytest

from ivr_runtimes.listing.paging import next_link, wants_count
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
        ("count=exact,count=exact", True),
        ("wait=5,count=exact", True),
        ("count=exact,count=planned", True),
        ("count=planned,count=exact", False),
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
        ("limit=2&mask=id?/..//#x", "limit=2&mask=id?/..//%23x&"),
        ('limit=2&filter={"name":"> ü"}', "limit=2&filter=%7B%22name%22:%22%3E%20%C3%BC%22%7D&"),
    ],
)
def test_the_link_keeps_the_request_and_moves_its_place(raw, kept):
    assert next_link(raw, PLACE) == f'<?{kept}{AFTER}>; rel="next"'


BASES = [
    "https://api.example/rest/list",
    "https://api.example/ivr/rest/list?limit=1",
    "http://h:3000/prod/rest/list?a=/b",
]


@pytest.mark.parametrize("asked", BASES)
@pytest.mark.parametrize("raw", ["limit=2", 'limit=2&filter={"name":"//x?y"}', "limit=2&mask=id/../.."])
def test_the_link_keeps_the_path_that_the_caller_asked_whatever_lies_before_ours(asked, raw):
    """Behind a custom domain with the base path /ivr it named a path without it, and the next page was a 404."""
    link = next_link(raw, PLACE)[1:].partition(">")[0]
    there, here = urlsplit(urljoin(asked, link)), urlsplit(asked)
    assert (there.scheme, there.netloc, there.path) == (here.scheme, here.netloc, here.path)
    assert there.query.endswith(AFTER)


def test_what_the_link_leads_to_asks_for_what_follows():
    url = next_link('limit=2&filter={"name":"ü"}', PLACE)[1:].partition(">")[0]
    query = parse_list_query(url.partition("?")[2])
    assert (query.limit, query.after) == (2, PLACE)
    assert query.filter == parse_list_query('filter={"name":"ü"}').filter
