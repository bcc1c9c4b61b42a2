"""What callers rely on from the tables, whichever store stands behind the ports."""

from dataclasses import replace

import pytest

from ivr_runtimes.errors import LeaseHeldError
from ivr_runtimes.model import State, StopType
from ivr_runtimes.names import Domain, RuntimeId, Session, Site, StopId
from ivr_runtimes.ports import RowRef, WriteBatch
from rows import DOMAIN, PLAYER, WELCOME, node_of, numbered

SITE1, SITE2 = Site("SITE1"), Site("SITE2")
NOW_S = 1_800_000_000.0


def test_rows_come_back_as_they_were_written(stores):
    nested = replace(
        WELCOME,
        code="news",
        name="Новости 📰",
        state=State.POST_PROCESSING,
        stoptype=StopType.STOP,
        stop_id=StopId("key-1"),
        rootcode="welcome",
        rootname="Main scenario",
    )
    assert stores.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, nested])) == set()
    assert list(stores.runtimes.of_domain(DOMAIN)) == [PLAYER, nested]


def test_a_domain_sees_only_its_rows_in_start_order_then_id(stores):
    early = numbered(PLAYER, 1, starttime="2019-11-05T08:00:00Z")
    twins = [numbered(PLAYER, n) for n in (3, 2)]
    foreign = numbered(PLAYER, 9, domain=Domain("other.example"))
    elsewhere = numbered(PLAYER, 4, site=SITE2, starttime="2020-01-01T00:00:00Z")
    stores.runtimes.write(WriteBatch(site=SITE1, puts=[*twins, early, foreign]))
    stores.runtimes.write(WriteBatch(site=SITE2, puts=[elsewhere]))
    assert list(stores.runtimes.of_domain(DOMAIN)) == [early, twins[1], twins[0], elsewhere]
    assert list(stores.runtimes.of_domain(Domain("nobody.example"))) == []


def test_a_second_write_replaces_and_a_delete_removes(stores):
    changed = replace(PLAYER, code="other")
    stores.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, WELCOME]))
    stores.runtimes.write(WriteBatch(site=SITE1, puts=[changed], deletes=[WELCOME.id]))
    assert list(stores.runtimes.of_domain(DOMAIN)) == [changed]


def test_deleting_what_is_not_there_changes_nothing(stores):
    assert stores.runtimes.write(WriteBatch(site=SITE1, deletes=[PLAYER.id])) == set()
    assert list(stores.runtimes.of_domain(DOMAIN)) == []


def test_a_full_batch_of_25_is_written_at_once(stores):
    rows = [numbered(PLAYER, n) for n in range(25)]
    assert stores.runtimes.write(WriteBatch(site=SITE1, puts=rows)) == set()
    assert list(stores.runtimes.of_domain(DOMAIN)) == rows


def test_an_id_is_found_at_whatever_sites_hold_it(stores):
    twin = replace(PLAYER, site=SITE2, domain=Domain("other.example"))
    stores.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER]))
    stores.runtimes.write(WriteBatch(site=SITE2, puts=[twin]))

    def by_site(row):
        return row.site

    assert sorted(stores.runtimes.find(PLAYER.id, [SITE1, SITE2]), key=by_site) == [PLAYER, twin]
    assert stores.runtimes.find(PLAYER.id, [SITE2]) == [twin]
    assert stores.runtimes.find(RuntimeId("00000000-0000-0000-0000-000000000000"), [SITE1, SITE2]) == []


def test_the_rows_of_a_node_are_told_with_their_sessions(stores):
    old = numbered(PLAYER, 1, session=Session("old"))
    stores.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, WELCOME, old]))
    found = set(stores.runtimes.rows_of_node(SITE1, PLAYER.node))
    assert found == {RowRef(PLAYER.id, PLAYER.session), RowRef(old.id, Session("old"))}
    assert list(stores.runtimes.rows_of_node(SITE2, PLAYER.node)) == []


def test_a_node_is_read_as_it_was_written(stores):
    node = node_of(PLAYER, lease_until_s=NOW_S + 15.125)
    stores.nodes.renew(node, now_s=NOW_S)
    assert stores.nodes.read(node.site, node.node) == node
    assert list(stores.nodes.all_nodes()) == [node]
    assert stores.nodes.read(SITE2, node.node) is None


def test_an_agent_renews_its_own_lease(stores):
    node = node_of(PLAYER, lease_until_s=NOW_S + 15)
    stores.nodes.renew(node, now_s=NOW_S)
    renewed = replace(node, lease_until_s=NOW_S + 20, session=Session("next"))
    stores.nodes.renew(renewed, now_s=NOW_S + 5)
    assert stores.nodes.read(node.site, node.node) == renewed


def test_a_second_agent_is_refused_while_the_first_ones_lease_holds(stores):
    first = node_of(PLAYER, lease_until_s=NOW_S + 15)
    stores.nodes.renew(first, now_s=NOW_S)
    second = replace(first, agent_id="agent-2", lease_until_s=NOW_S + 30)
    with pytest.raises(LeaseHeldError):
        stores.nodes.renew(second, now_s=NOW_S + 14.9)
    assert stores.nodes.read(first.site, first.node) == first
    stores.nodes.renew(second, now_s=NOW_S + 15.1)
    assert stores.nodes.read(first.site, first.node) == second


def test_a_lease_handed_over_is_free_at_once(stores):
    left = node_of(PLAYER, lease_until_s=NOW_S + 60, agent_id="")
    stores.nodes.renew(left, now_s=NOW_S)
    taken = replace(left, agent_id="agent-2", lease_until_s=NOW_S + 16)
    stores.nodes.renew(taken, now_s=NOW_S + 1)
    assert stores.nodes.read(left.site, left.node) == taken
