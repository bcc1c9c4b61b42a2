"""What callers rely on from the tables, whichever store stands behind the ports."""

from dataclasses import replace

import pytest

from ivr_runtimes.errors import LeaseHeldError
from ivr_runtimes.identifiers import Domain, RuntimeId, Session, Site, StopId
from ivr_runtimes.model import State, StopType
from ivr_runtimes.ports import Cost, RowRef, Stretch, WriteBatch
from rows import DOMAIN, PLAYER, WELCOME, node_of, numbered

SITE1, SITE2 = Site("SITE1"), Site("SITE2")
NOW_S = 1_800_000_000.0


def listed(tables, domain):
    """The domain's rows in the index's order, each whole."""
    page = tables.runtimes.page(domain, Stretch(), cost=Cost())
    assert page.resume is None
    return [row for shown in page.rows for row in tables.runtimes.find(shown.id, [shown.site])]


def test_rows_come_back_as_they_were_written(tables):
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
    assert tables.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, nested])) == set()
    assert listed(tables, DOMAIN) == [PLAYER, nested]


NUMBERED = replace(PLAYER, caller="+12025550143", called="sip:Ж📞@pbx.example", call_id="")


def numbers_of(rows):
    return {row.id: (row.caller, row.called, row.call_id) for row in rows}


def test_numbers_are_read_only_where_they_are_asked_for(tables):
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[NUMBERED, WELCOME]))
    ids = [NUMBERED.id, WELCOME.id]
    for read in (
        lambda **asked: tables.runtimes.page(DOMAIN, Stretch(), cost=Cost(), **asked).rows,
        lambda **asked: tables.runtimes.of_ids(ids, [SITE1, SITE2], cost=Cost(), **asked),
    ):
        told = ("+12025550143", "sip:Ж📞@pbx.example", "")
        assert numbers_of(read(numbers=True)) == {NUMBERED.id: told, WELCOME.id: (None, None, None)}
        assert {row.id: getattr(row, "caller", None) for row in read()} == dict.fromkeys(ids)
    assert [row.caller for row in tables.runtimes.find(NUMBERED.id, [SITE1])] == [None], "a stop needs none"


def test_a_page_may_be_of_one_caller(tables):
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[NUMBERED, WELCOME]))
    among = {"caller": frozenset({"+12025550143", "x"})}
    assert [row.id for row in page(tables, Stretch(among=among), numbers=True).rows] == [NUMBERED.id]
    assert not page(tables, Stretch(among={"called": frozenset({"x"})}), numbers=True).rows


def test_a_domain_sees_only_its_rows_in_start_order_then_id(tables):
    early = numbered(PLAYER, 1, starttime="2019-11-05T08:00:00Z")
    twins = [numbered(PLAYER, n) for n in (3, 2)]
    foreign = numbered(PLAYER, 9, domain=Domain("other.example"))
    elsewhere = numbered(PLAYER, 4, site=SITE2, starttime="2020-01-01T00:00:00Z")
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[*twins, early, foreign]))
    tables.runtimes.write(WriteBatch(site=SITE2, puts=[elsewhere]))
    assert listed(tables, DOMAIN) == [early, twins[1], twins[0], elsewhere]
    assert listed(tables, Domain("nobody.example")) == []


def test_a_second_write_replaces_and_a_delete_removes(tables):
    changed = replace(PLAYER, code="other")
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, WELCOME]))
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[changed], deletes=[WELCOME.id]))
    assert listed(tables, DOMAIN) == [changed]


def test_deleting_what_is_not_there_changes_nothing(tables):
    assert tables.runtimes.write(WriteBatch(site=SITE1, deletes=[PLAYER.id])) == set()
    assert listed(tables, DOMAIN) == []


def test_a_full_batch_of_25_is_written_at_once(tables):
    rows = [numbered(PLAYER, n) for n in range(25)]
    assert tables.runtimes.write(WriteBatch(site=SITE1, puts=rows)) == set()
    assert listed(tables, DOMAIN) == rows


def test_an_id_is_found_at_whatever_sites_hold_it(tables):
    twin = replace(PLAYER, site=SITE2, domain=Domain("other.example"))
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER]))
    tables.runtimes.write(WriteBatch(site=SITE2, puts=[twin]))

    def by_site(row):
        return row.site

    assert sorted(tables.runtimes.find(PLAYER.id, [SITE1, SITE2]), key=by_site) == [PLAYER, twin]
    assert tables.runtimes.find(PLAYER.id, [SITE2]) == [twin]
    assert [tables.runtimes.present(site, PLAYER.id) for site in (SITE1, SITE2)] == [PLAYER, twin]
    assert tables.runtimes.present(SITE1, RuntimeId("00000000-0000-0000-0000-000000000000")) is None
    assert tables.runtimes.find(RuntimeId("00000000-0000-0000-0000-000000000000"), [SITE1, SITE2]) == []


def test_the_rows_of_a_node_are_told_with_their_sessions(tables):
    old = numbered(PLAYER, 1, session=Session("old"))
    tables.runtimes.write(WriteBatch(site=SITE1, puts=[PLAYER, WELCOME, old]))
    found = set(tables.runtimes.rows_of_node(SITE1, PLAYER.node))
    assert found == {RowRef(PLAYER.id, PLAYER.session), RowRef(old.id, Session("old"))}
    assert list(tables.runtimes.rows_of_node(SITE2, PLAYER.node)) == []


def test_a_node_is_read_as_it_was_written(tables):
    node = node_of(PLAYER, lease_until_s=NOW_S + 15.125)
    tables.nodes.renew(node, now_s=NOW_S)
    assert tables.nodes.read(node.site, node.node) == node
    assert list(tables.nodes.all_nodes()) == [node]
    assert tables.nodes.read(SITE2, node.node) is None


def page(tables, stretch, **options):
    return tables.runtimes.page(DOMAIN, stretch, cost=Cost(), **options)


def read_through(tables, stretch, **options):
    """Read page after page; return the ids of each."""
    pages = [page(tables, stretch, **options)]
    while pages[-1].resume is not None:
        pages.append(page(tables, stretch, resume=pages[-1].resume, **options))
    return [[row.id for row in each.rows] for each in pages]


@pytest.fixture
def five(tables):
    """Five rows a second apart, alternately at two sites."""
    rows = [
        numbered(PLAYER, n, starttime=f"2019-11-05T08:00:0{n}Z", site=SITE2 if n % 2 else SITE1, code=f"c{n}")
        for n in range(5)
    ]
    for site in (SITE1, SITE2):
        tables.runtimes.write(WriteBatch(site=site, puts=[row for row in rows if row.site == site]))
    return rows


def ids(rows):
    return [row.id for row in rows]


def flat(pages):
    return [each for page in pages for each in page]


def test_a_page_holds_as_many_rows_as_are_looked_at_and_says_where_the_next_begins(tables, five):
    for stretch, expected in ((Stretch(), ids(five)), (Stretch(descending=True), ids(five)[::-1])):
        pages = read_through(tables, stretch, limit=2)
        assert [len(each) for each in pages[:2]] == [2, 2]
        assert flat(pages) == expected


def test_a_stretch_includes_both_its_ends(tables, five):
    low, high = five[1].start_key, five[3].start_key
    assert read_through(tables, Stretch(low=low, high=high)) == [ids(five[1:4])]
    assert read_through(tables, Stretch(low=low, descending=True)) == [ids(five[1:])[::-1]]
    assert read_through(tables, Stretch(high=high)) == [ids(five[:4])]
    assert read_through(tables, Stretch(low=five[3].starttime, high=five[3].starttime + "$")) == [ids(five[3:4])]


def test_rows_left_out_by_their_values_count_as_looked_at(tables, five):
    cost = Cost()
    first = tables.runtimes.page(DOMAIN, Stretch(among={"site": frozenset({"SITE2"})}), cost=cost, limit=1)
    assert first.rows == []
    assert first.resume is not None
    assert (cost.calls, cost.rows_read) == (1, 1)
    both = Stretch(among={"site": frozenset({"SITE2"}), "code": frozenset({"c1", "c2", "ü"})})
    assert flat(read_through(tables, both, limit=1)) == ids(five[1:2])


def test_ids_are_read_at_all_sites_however_many_keys_that_takes(tables, five):
    cost = Cost()
    unknown = [RuntimeId(f"00000000-0000-0000-0000-{n:012x}") for n in range(60)]
    found = tables.runtimes.of_ids([*ids(five), *unknown], [SITE1, SITE2], cost=cost)
    assert sorted((row.id, row.site, row.name) for row in found) == sorted((r.id, r.site, r.name) for r in five)
    assert tables.runtimes.of_ids(ids(five), [SITE2], cost=Cost()) != []
    assert cost.rows_read == 5


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


def test_a_renewal_that_lands_after_a_later_one_is_void(stores):
    """A heartbeat held up on its way landed late and put the session of a dead engine back into the node's row.

    Peers then took commands for the living session for moot and deleted them.
    """
    late = node_of(PLAYER, lease_until_s=NOW_S + 15)
    stores.nodes.renew(late, now_s=NOW_S)
    current = replace(late, lease_until_s=NOW_S + 20, session=Session("next"))
    stores.nodes.renew(current, now_s=NOW_S + 5)
    with pytest.raises(LeaseHeldError):
        stores.nodes.renew(late, now_s=NOW_S)
    assert stores.nodes.read(late.site, late.node) == current


def test_a_lease_handed_over_is_free_at_once(stores):
    left = node_of(PLAYER, lease_until_s=NOW_S + 60, agent_id="")
    stores.nodes.renew(left, now_s=NOW_S)
    taken = replace(left, agent_id="agent-2", lease_until_s=NOW_S + 16)
    stores.nodes.renew(taken, now_s=NOW_S + 1)
    assert stores.nodes.read(left.site, left.node) == taken


def test_a_heartbeat_that_lands_after_its_agent_has_handed_over_is_void(stores):
    """A renewal without an answer landed after the hand-over: the row was free, so it took the lease back."""
    held = node_of(PLAYER, lease_until_s=NOW_S + 15)
    stores.nodes.renew(held, now_s=NOW_S)
    left = replace(held, lease_until_s=NOW_S + 62, agent_id="")
    stores.nodes.renew(left, now_s=NOW_S + 2, held=held.agent_id)
    late = replace(held, lease_until_s=NOW_S + 16)
    with pytest.raises(LeaseHeldError):
        stores.nodes.renew(late, now_s=NOW_S + 1, held=held.agent_id)
    assert stores.nodes.read(left.site, left.node) == left


def test_a_lease_is_held_only_as_long_as_the_row_says_so(stores):
    first = node_of(PLAYER, lease_until_s=NOW_S + 15)
    with pytest.raises(LeaseHeldError):
        stores.nodes.renew(first, now_s=NOW_S, held=first.agent_id)
    stores.nodes.renew(first, now_s=NOW_S)
    later = replace(first, lease_until_s=NOW_S + 20)
    stores.nodes.renew(later, now_s=NOW_S + 5, held=first.agent_id)
    left = replace(first, lease_until_s=NOW_S + 65, agent_id="")
    with pytest.raises(LeaseHeldError):
        stores.nodes.renew(left, now_s=NOW_S + 5, held="another")
    stores.nodes.renew(left, now_s=NOW_S + 20.1, held="another")
    assert stores.nodes.read(first.site, first.node) == left
