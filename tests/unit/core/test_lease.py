"""When a runtime counts as active."""

from dataclasses import replace

import pytest

from ivr_runtimes.lease import by_key, is_active, is_alive
from ivr_runtimes.names import Session, Site
from rows import PLAYER, node_of

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("ahead_s", "alive"),
    [(15.0, True), (0.0, True), (-1.999, True), (-2.0, False), (-15.0, False), (62.0, True), (62.001, False)],
)
def test_a_lease_holds_until_it_lapsed_by_more_than_the_skew_and_never_from_the_future(ahead_s, alive):
    node = node_of(PLAYER, lease_until_s=NOW_S + ahead_s)
    assert is_alive(node, now_s=NOW_S) is alive


def test_a_row_is_active_only_in_its_nodes_present_session():
    nodes = by_key([node_of(PLAYER, lease_until_s=NOW_S + 15)])
    assert is_active(PLAYER, nodes, now_s=NOW_S)
    assert not is_active(replace(PLAYER, session=Session("earlier")), nodes, now_s=NOW_S)


def test_a_row_of_an_unknown_node_or_of_a_namesake_at_another_site_is_not_active():
    nodes = by_key([node_of(PLAYER, lease_until_s=NOW_S + 15)])
    assert not is_active(PLAYER, {}, now_s=NOW_S)
    assert not is_active(replace(PLAYER, site=Site("SITE2")), nodes, now_s=NOW_S)
