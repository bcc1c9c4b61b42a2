"""The list use case on the in-memory store."""

from dataclasses import replace

import pytest

from ivr_runtimes.errors import AmbiguousWriteError, ListUnavailableError
from ivr_runtimes.listing import RuntimeList
from ivr_runtimes.memory import MemoryStore
from ivr_runtimes.names import Session, Site
from ivr_runtimes.ports import WriteBatch
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.roster import NODES_MAX_AGE_S
from rows import DOMAIN, PLAYER, WELCOME, node_of

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
    def __init__(self):
        self.now_s = 1_800_000_000.0
        self.store = MemoryStore()
        self.nodes = Nodes(self.store)
        self.list = RuntimeList(
            runtimes=self.store, nodes=self.nodes, sites=(SITE1, Site("SITE2")), clock=lambda: self.now_s
        )

    def vouch(self, row, **changes):
        self.store.renew(node_of(row, lease_until_s=self.now_s + 15, **changes), now_s=self.now_s)

    def ids(self, raw=""):
        return [row.id for row in self.list.select(parse_list_query(raw), DOMAIN).rows]


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
