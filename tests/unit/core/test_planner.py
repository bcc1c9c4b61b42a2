"""Which read a query gets. That every one answers the same is shown in tests/property/test_list_plans.py."""

import json
from urllib.parse import quote

import pytest

from ivr_runtimes.identifiers import Site
from ivr_runtimes.listing.planner import MAX_AMONG, MAX_KEY_READS, plan
from ivr_runtimes.query import cursor, parse_list_query
from rows import DOMAIN, PLAYER

SITES = (Site("SITE1"), Site("SITE2"))


def planned(raw="", *, count=False, sites=SITES, **documents):
    pairs = [raw] if raw else []
    pairs += [f"{name}={quote(json.dumps(document))}" for name, document in documents.items()]
    return plan(parse_list_query("&".join(pairs)), domain=DOMAIN, sites=sites, count=count)


def compare(operator, name, constant):
    return [operator, ["property", name], constant]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("", "walk"),
        ("offset=3", "walk"),
        ("limit=50", "page"),
        ("limit=50&order=-starttime", "page"),
        ("limit=50&order=-starttime,-id", "page"),
        ("limit=50&order=-starttime,id", "sort"),
        ("limit=50&order=starttime,name", "sort"),
        ("limit=50&order=name", "sort"),
        ("limit=0", "nothing"),
        ('limit=50&filter={"name":"x"}', "page"),
        ('limit=50&filter={"site":"SITE1","code":["a","b"]}', "page+code+site"),
        ('filter={"starttime":"2019-11-05T08:36:40Z","node":"n@h"}&order=name', "sort+range+node"),
        ('filter={"id":"x"}', "keys"),
        ('filter={"ext.caller":"%2B12025550143","site":"SITE1"}', "walk+caller+site"),
        ('limit=50&filter={"ext.call_id":["a","b"],"ext.called":"c"}', "page+call_id+called"),
        ('filter={"domain":"other.example"}', "nothing"),
        ('filter={"domain":["other.example","test.rootdomain.ru"],"type":"ivr"}', "walk+type"),
    ],
)
def test_a_query_is_read(raw, name):
    assert planned(raw).name == name


@pytest.mark.parametrize("query", ["", "limit=5", "order=name", 'filter={"id":"x"}'])
def test_rows_have_numbers_only_if_the_query_names_one(query):
    assert not planned(query).numbers
    assert not planned(f"{query}&mask=ext,ext.lwt").numbers
    assert planned(f"{query}&mask=ext.called").numbers


def test_a_number_in_the_filter_or_the_order_has_numbers_read():
    assert planned("order=ext.caller").numbers
    assert planned(filter=["or", compare("==", "site", "a"), ["not", ["isnull", ["property", "ext.call_id"]]]]).numbers


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (["or", compare("==", "site", "SITE1"), compare("==", "code", "a")], "walk"),
        (["not", compare("==", "site", "SITE1")], "walk"),
        (["and", ["and", compare("==", "site", "SITE1")], compare("!=", "code", "a")], "walk+site"),
        (["and", compare("==", "site", "SITE1"), compare("==", "site", "SITE2")], "nothing"),
        (["!", compare("==", "domain", str(DOMAIN))], "nothing"),
        (
            [
                "and",
                compare("<", "starttime", "2019-11-05T08:00:00Z"),
                compare(">", "starttime", "2020-11-05T08:00:00Z"),
            ],
            "nothing",
        ),
        (compare("==", "starttime", "2019-11-05T08:00:00.5Z"), "nothing"),
        (compare("!=", "starttime", "2019-11-05T08:00:00Z"), "walk"),
        (compare(">", "starttime", "0000-01-01T00:00:00+23:59"), "walk"),
        (["like", ["property", "code"], "a%"], "walk"),
        (compare("==", "code", ""), "walk"),
        (["in", ["property", "code"], [f"c{n}" for n in range(MAX_AMONG + 1)]], "walk"),
        (["in", ["property", "code"], [f"c{n}" for n in range(MAX_AMONG)]], "walk+code"),
    ],
)
def test_only_what_must_hold_for_every_row_narrows_the_read(document, name):
    assert planned(filter=document).name == name


@pytest.mark.parametrize(
    ("operator", "constant", "low", "high"),
    [
        (">=", "2019-11-05T08:36:40Z", "2019-11-05T08:36:40Z", None),
        (">=", "2019-11-05T08:36:40.001Z", "2019-11-05T08:36:41Z", None),
        (">", "2019-11-05T08:36:40Z", "2019-11-05T08:36:41Z", None),
        (">", "2019-11-05T08:36:40.999Z", "2019-11-05T08:36:41Z", None),
        ("<=", "2019-11-05T11:36:40.5+03:00", None, "2019-11-05T08:36:40Z$"),
        ("<", "2019-11-05T08:36:40Z", None, "2019-11-05T08:36:39Z$"),
        ("<", "2019-11-05T08:36:40.1Z", None, "2019-11-05T08:36:40Z$"),
        ("==", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00Z$"),
    ],
)
def test_a_comparison_of_starttime_bounds_the_key(operator, constant, low, high):
    stretch = planned(filter=compare(operator, "starttime", constant)).stretch
    assert (stretch.low, stretch.high) == (low, high)


def test_several_instants_bound_the_key_by_the_first_and_the_last():
    stretch = planned(filter={"starttime": ["2019-11-05T08:36:40Z", "2019-11-04T00:00:00Z"]}).stretch
    assert (stretch.low, stretch.high) == ("2019-11-04T00:00:00Z", "2019-11-05T08:36:40Z$")


def test_a_cursor_bounds_the_key_unless_everything_is_counted():
    ahead, back = (cursor.encode(cursor.behind(PLAYER, descending=way)) for way in (False, True))
    assert planned(f"limit=5&after={ahead}").stretch.low == PLAYER.start_key
    assert planned(f"limit=5&order=-starttime&after={back}").stretch.high == PLAYER.start_key
    assert planned(f"limit=5&after={ahead}", count=True).name == "walk"
    assert planned(f"limit=5&after={ahead}", filter=compare("<", "starttime", "2019-11-05T00:00:00Z")).name == "nothing"


def test_ids_are_looked_up_at_the_sites_that_the_filter_leaves():
    found = planned(filter={"id": ["b", "a", ""], "site": ["SITE2", "X"]})
    assert (found.ids, found.sites) == (["a", "b"], ["SITE2"])


def test_too_many_keys_are_not_looked_up_one_by_one():
    ids = [f"{n:x}" for n in range(20)]
    many = [Site(f"S{n}") for n in range(MAX_KEY_READS // 20 + 1)]
    assert planned(filter={"id": ids}, sites=many).name == "walk"
    assert planned(filter={"id": ids}, sites=many[1:]).name == "keys"
