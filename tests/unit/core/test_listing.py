"""The list use case on the in-memory store."""

from dataclasses import replace

import pytest

from ivr_runtimes.errors import AmbiguousWriteError, ListUnavailableError, ResultTooLargeError
from ivr_runtimes.identifiers import Session, Site
from ivr_runtimes.listing.liveness import NODES_MAX_AGE_S
from ivr_runtimes.listing.reader import BUDGET_S, MAX_LIMIT, MAX_ROWS, RuntimeList
from ivr_runtimes.ports import Page, WriteBatch
from ivr_runtimes.query import cursor, parse_list_query
from ivr_runtimes.stores.memory import MemoryStore
from rows import DOMAIN, PLAYER, WELCOME, node_of, numbered

SITE1 = Site("SITE1")


class Nodes:
    """A node directory that counts its readings."""

    def __init__(self, store):
        self._store = store
        self.readings = 0

    def all_nodes(self, *, cost):
        self.readings += 1
        return self._store.all_nodes(cost=cost)


class World:
    def __init__(self, *sites):
        self.now_s = 1_800_000_000.0
        self.store = MemoryStore()
        self.nodes = Nodes(self.store)
        self.list = RuntimeList(
            runtimes=self.store,
            nodes=self.nodes,
            sites=sites or (SITE1, Site("SITE2")),
            clock=lambda: self.now_s,
            timer=lambda: self.now_s,
        )

    def vouch(self, row, **changes):
        self.store.renew(node_of(row, lease_until_s=self.now_s + 15, **changes), now_s=self.now_s)

    def ids(self, raw=""):
        return [row.id for row in self.select(raw).rows]

    def select(self, raw):
        return self.list.select(parse_list_query(raw), DOMAIN)


@pytest.fixture
def world():
    world = World()
    world.store.write(WriteBatch(site=SITE1, puts=[PLAYER, WELCOME]))
    world.vouch(PLAYER)
    world.vouch(WELCOME)
    return world


def test_the_nodes_are_read_once_a_second_however_many_lists_are_asked_for(world):
    for _ in range(5):
        assert world.ids() == [PLAYER.id, WELCOME.id]
    assert world.nodes.readings == 1
    world.now_s += NODES_MAX_AGE_S
    world.ids()
    assert world.nodes.readings == 2


def test_a_row_of_a_session_the_cache_does_not_know_is_looked_up_before_it_is_dropped(world):
    assert len(world.ids()) == 2
    reborn = replace(PLAYER, session=Session("next"))
    world.store.write(WriteBatch(site=SITE1, puts=[reborn]))
    world.vouch(reborn)
    assert world.ids() == [PLAYER.id, WELCOME.id]
    assert world.nodes.readings == 2


def test_a_dead_row_is_dropped_after_one_more_look(world):
    world.ids()
    world.store.write(WriteBatch(site=SITE1, puts=[replace(PLAYER, session=Session("dead"))]))
    assert world.ids() == [WELCOME.id]
    assert world.nodes.readings == 2


def test_a_crashed_nodes_runtimes_vanish_within_lease_and_skew(world):
    world.now_s += 16.9
    assert len(world.ids()) == 2
    world.now_s += 0.2
    assert world.ids() == []


def test_a_clock_that_steps_back_does_not_freeze_the_cache(world):
    world.ids()
    world.now_s -= 1
    world.ids()
    assert world.nodes.readings == 2


def test_the_window_counts_only_active_rows(world):
    """Dead rows before the window once shifted it: an offset must count what is listed, not what is stored."""
    dead = replace(PLAYER, id="0" * 8 + PLAYER.id[8:], session=Session("dead"), starttime="2019-01-01T00:00:00Z")
    world.store.write(WriteBatch(site=SITE1, puts=[dead]))
    assert world.ids("offset=1") == [WELCOME.id]
    assert world.ids("limit=1") == [PLAYER.id]


def test_site_nodes_counts_live_and_known_nodes_of_every_configured_site(world):
    world.now_s += 10
    world.vouch(PLAYER)
    world.now_s += 10
    listing = world.list.select(parse_list_query("limit=0"), DOMAIN)
    assert listing.rows == []
    assert listing.site_nodes == "SITE1=1/2, SITE2=0/0"


def test_a_store_without_an_answer_is_a_503_not_an_empty_list(world):
    def no_answer(_domain, _stretch, **_options):
        raise AmbiguousWriteError

    world.store.page = no_answer
    with pytest.raises(ListUnavailableError) as caught:
        world.ids()
    assert caught.value.retry_after_s == 1


def test_rows_of_a_site_that_was_taken_off_are_not_listed_by_any_plan(world):
    left = replace(PLAYER, site=Site("SITE9"))
    world.store.write(WriteBatch(site=left.site, puts=[left]))
    world.vouch(left)
    assert world.ids() == world.ids("order=id") == [PLAYER.id, WELCOME.id]
    assert world.ids(f'filter={{"id":"{PLAYER.id}"}}') == [PLAYER.id]


def test_a_window_waits_for_all_sites_that_claim_the_id_at_its_end():
    """The index keeps no order among rows of one key, and a page may end between them."""
    world = World(*map(Site, ("A", "B", "C")))
    claims = [replace(PLAYER, site=site) for site in ("C", "B", "A")]
    for row in claims:
        world.vouch(row)
    world.store.page = pages([claims[:2], claims[2:]])
    assert [row.site for row in world.select("limit=1").rows] == ["A"]
    world.store.page = pages([claims[:2], claims[2:]])
    assert [row.site for row in world.select("order=-starttime&limit=2").rows] == ["C", "B"]


def pages(contents):
    """An index that has just those pages."""

    def page(_domain, _stretch, *, cost, resume=None, limit=None, numbers=False):  # a port's signature
        cost.add()
        at = resume or 0
        return Page(contents[at], at + 1 if at + 1 < len(contents) else None)

    return page


def test_a_page_looks_again_at_the_nodes_once_however_many_dead_rows_it_meets(world):
    dead = [numbered(PLAYER, n, session=Session(f"dead-{n}"), starttime="2019-01-01T00:00:00Z") for n in range(50)]
    world.store.write(WriteBatch(site=SITE1, puts=dead))
    world.ids()
    world.nodes.readings = 0
    found = world.select("limit=1")
    assert [row.id for row in found.rows] == [PLAYER.id]
    assert world.nodes.readings == 1
    assert found.cost.calls == 3, "12 rows, then 40, and the nodes"


def test_a_page_costs_what_its_window_costs_however_large_the_domain(world):
    world.store.write(WriteBatch(site=SITE1, puts=[numbered(PLAYER, n) for n in range(500)]))
    for raw in (
        "limit=50",
        "limit=50&order=-starttime",
        "limit=50&after=" + cursor.encode(cursor.behind(numbered(PLAYER, 250), descending=False)),
    ):
        world.now_s += 2
        world.vouch(PLAYER)
        world.vouch(WELCOME)
        found = world.select(raw)
        assert (len(found.rows), found.plan.partition("+")[0]) == (50, "page")
        assert found.cost.calls == 2
        assert found.cost.rows_read <= 61


def test_an_id_costs_one_call_however_large_the_domain(world):
    found = world.select(f'filter={{"id":"{WELCOME.id}"}}')
    assert (found.plan, found.cost.calls, found.cost.rows_read) == ("keys", 2, 1)


def test_what_cannot_match_reads_no_runtimes(world):
    found = world.select('filter={"domain":"other.example"}')
    assert (found.rows, found.plan, found.cost.rows_read) == ([], "nothing", 0)
    assert found.site_nodes == "SITE1=2/2, SITE2=0/0"


def test_a_page_tells_what_follows_and_the_last_one_that_nothing_does(world):
    first = world.select("limit=1")
    assert first.following == cursor.behind(PLAYER, descending=False)
    last = world.select("limit=1&after=" + cursor.encode(first.following))
    assert ([row.id for row in last.rows], last.following) == ([WELCOME.id], None)
    assert world.select("limit=0").following is None
    assert world.select("limit=1&order=name").following is None


def test_a_count_is_of_all_that_match_whatever_the_window(world):
    after = cursor.encode(cursor.behind(PLAYER, descending=False))
    found = world.list.select(parse_list_query(f"limit=1&after={after}"), DOMAIN, count=True)
    assert (found.total, [row.id for row in found.rows]) == (2, [WELCOME.id])
    assert world.select("").total is None


class Endless:
    """An index of as many copies of one row as asked for, with so many on a page of 1 MB."""

    def __init__(self, row, total, *, page_rows, each_page=lambda: None):
        self._row = row
        self._total = total
        self._page_rows = page_rows
        self._each_page = each_page
        self.limits = []

    def __call__(self, _domain, _stretch, *, cost, resume=None, limit=None, numbers=False):  # noqa: ARG002  # a port's
        self._each_page()
        self.limits.append(limit)
        begin = resume or 0
        end = min(self._total, begin + min(limit or self._page_rows, self._page_rows))
        cost.add(rows=end - begin)
        return Page([self._row] * (end - begin), end if end < self._total else None)


@pytest.mark.parametrize("raw", ['limit=50&filter={"name":"rare"}', "limit=1000000", "limit=9990", "limit=9989"])
def test_however_long_the_search_for_a_page_the_table_is_never_asked_for_more_rows_than_it_takes(world, raw):
    """The limit once grew fourfold with every page, beyond the 32 bits that DynamoDB reads."""
    index = world.store.page = Endless(PLAYER, 40_000, page_rows=2_723)
    world.select(raw)
    assert all(limit is None or 1 <= limit < MAX_LIMIT for limit in index.limits)


@pytest.mark.parametrize("raw", ["", "order=name&limit=1", "order=name", 'filter={"type":"ivr"}'])
def test_more_rows_than_memory_holds_are_refused_with_a_remedy(world, raw):
    world.store.page = Endless(PLAYER, MAX_ROWS + 1, page_rows=MAX_ROWS // 2)
    assert len(world.select("limit=3").rows) == 3
    world.select(raw)
    world.store.page = Endless(PLAYER, 2 * MAX_ROWS, page_rows=MAX_ROWS // 2 + 1)
    with pytest.raises(ResultTooLargeError, match="Ask for pages under the order by starttime"):
        world.select(raw)


def test_a_list_that_takes_too_long_to_read_is_refused_in_time(world):
    def second():
        world.now_s += 1.0

    world.store.page = Endless(PLAYER, int(BUDGET_S), page_rows=1, each_page=second)
    assert len(world.select("").rows) == int(BUDGET_S)
    world.store.page = Endless(PLAYER, 1_000, page_rows=1, each_page=second)
    world.vouch(PLAYER)
    with pytest.raises(ResultTooLargeError, match="11 rows were read"):
        world.select("")


def test_rows_of_a_session_that_ends_between_two_pages_do_not_stand_beside_those_of_the_next(world):
    """The nodes in the cache vouch for the old session's rows; a row of the new one shows that the cache is stale."""
    old, new = numbered(PLAYER, 1), numbered(PLAYER, 2, session=Session("next"))
    world.ids()
    world.vouch(new)
    world.store.page = pages([[old], [new]])
    assert world.ids() == [new.id]
