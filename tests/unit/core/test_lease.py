"""When a runtime counts as active."""

import pytest

from ivr_runtimes.lease import is_alive, live_sessions
from rows import PLAYER, WELCOME, node_of

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("ahead_s", "alive"),
    [(15.0, True), (0.0, True), (-1.999, True), (-2.0, False), (-15.0, False), (62.0, True), (62.001, False)],
)
def test_a_lease_holds_until_it_lapsed_by_more_than_the_skew_and_never_from_the_future(ahead_s, alive):
    node = node_of(PLAYER, lease_until_s=NOW_S + ahead_s)
    assert is_alive(node, now_s=NOW_S) is alive


def test_a_node_vouches_for_its_present_session_only():
    living, dead = node_of(PLAYER, lease_until_s=NOW_S + 15), node_of(WELCOME, lease_until_s=NOW_S - 15)
    assert live_sessions([living, dead], now_s=NOW_S) == {(PLAYER.site, PLAYER.node, PLAYER.session)}
