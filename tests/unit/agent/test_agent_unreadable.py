"""What an agent tells of table rows that cannot be read, and what it concludes from its own: nothing."""

import logging

import pytest

from ivr_agent.lease.predecessor import at_home
from ivr_agent.metrics import Metrics, notices
from ivr_runtimes.stores.items import UNKNOWN_PORT
from ivr_runtimes.unreadable import Unreadable
from rows import PLAYER, node_of


def test_rows_that_cannot_be_read_are_counted_each_time_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    notice = notices(metrics)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            notice("nodes", [Unreadable("SITE1", "x@127.0.0.1", "session: missing")])
    assert b'ivr_agent_table_rows_unreadable_total{table="nodes"} 3.0' in metrics.text()
    assert [record.getMessage() for record in caplog.records] == ["table_row_unreadable"]


async def test_a_row_that_names_no_port_proves_nobody_gone() -> None:
    """Port 0 refuses every connection, as a port does whose agent has died."""
    row = node_of(PLAYER, lease_until_s=1.0, control_port=UNKNOWN_PORT)
    assert not await at_home("127.0.0.1", 7001)(row)
