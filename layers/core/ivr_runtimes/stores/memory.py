"""The stores in memory: the same ports without AWS, for tests and for anyone who embeds the core.

Behaves as the real ones wherever callers can tell: start order, conditional renewal, visibility timeouts, receipts
that expire. One contract suite checks all stores (tests/contract). Thread-safe. Only its ports write rows, so none is
unreadable.
"""

import itertools
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from ivr_runtimes.command import Command
from ivr_runtimes.errors import LeaseHeldError
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Site
from ivr_runtimes.model import Node, Runtime
from ivr_runtimes.ports import Cost, Message, Page, RowRef, Stretch, WriteBatch


class MemoryStore:
    """Both tables. Implements every port of the tables."""

    def __init__(self) -> None:
        self._runtimes: dict[tuple[Site, RuntimeId], Runtime] = {}
        self._nodes: dict[tuple[Site, NodeName], Node] = {}
        self._lock = threading.Lock()

    def of_domain(self, domain: Domain) -> Iterator[Runtime]:
        """Yield the domain's rows in start order, as of now."""
        with self._lock:
            rows = [row for row in self._runtimes.values() if row.domain == domain]
        return iter(sorted(rows, key=_place))

    def page(
        self,
        domain: Domain,
        stretch: Stretch,
        *,
        cost: Cost,
        resume: object = None,
        limit: int | None = None,
        numbers: bool = False,
    ) -> Page:
        """Return a page as of now; a row that comes or goes between pages may be seen or missed."""
        rows = sorted(self.of_domain(domain), key=_place, reverse=stretch.descending)
        following = [row for row in rows if _within(row, stretch)]
        if resume is not None:
            place = cast("tuple[str, int]", resume)
            following = [row for row in following if _follows(row, place, descending=stretch.descending)]
        looked_at = following[:limit]
        cost.add(rows=len(looked_at))
        wanted = [row for row in looked_at if all(getattr(row, n) in values for n, values in stretch.among.items())]
        shown = wanted if numbers else [_unnumbered(row) for row in wanted]
        return Page(shown, _place(looked_at[-1]) if len(looked_at) < len(following) else None)

    def of_ids(
        self, ids: Sequence[RuntimeId], sites: Sequence[Site], *, cost: Cost, numbers: bool = False
    ) -> list[Runtime]:
        """Return the ids' rows at the given sites."""
        found = [row for runtime_id in ids for row in self._found(runtime_id, sites)]
        cost.add(rows=len(found))
        return found if numbers else [_unnumbered(row) for row in found]

    def find(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        """Return the id's rows at the given sites."""
        return [_unnumbered(row) for row in self._found(runtime_id, sites)]

    def _found(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        with self._lock:
            return [row for site in sites if (row := self._runtimes.get((site, runtime_id)))]

    def present(self, site: Site, runtime_id: RuntimeId) -> Runtime | None:
        """Return the id's row at that site."""
        return next(iter(self.find(runtime_id, [site])), None)

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        """Apply the batch; memory never throttles."""
        with self._lock:
            self._runtimes.update({(row.site, row.id): row for row in batch.puts})
            for runtime_id in batch.deletes:
                self._runtimes.pop((batch.site, runtime_id), None)
        return set()

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        """Yield the node's rows, as of now."""
        with self._lock:
            rows = [row for row in self._runtimes.values() if (row.site, row.node) == (site, node)]
        return iter([RowRef(row.id, row.session) for row in rows])

    def all_nodes(self, *, cost: Cost | None = None) -> list[Node]:
        """Return all nodes."""
        if cost is not None:
            cost.add()
        with self._lock:
            return list(self._nodes.values())

    def read(self, site: Site, node: NodeName) -> Node | None:
        """Return one node's row."""
        with self._lock:
            return self._nodes.get((site, node))

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        """Write the node's row if it is free, lapsed at `now_s`, the `dead` agent's, or ours and ends no later."""
        with self._lock:
            row = self._nodes.get((node.site, node.node))
            free = not held and (row is None or row.agent_id in {"", dead})
            if not free and not _is_held(row, node, held or node.agent_id, now_s):
                raise LeaseHeldError(f"another agent holds the lease of {node.node} at {node.site}")
            self._nodes[node.site, node.node] = node


def _place(row: Runtime) -> tuple[str, int]:
    """Order rows as the index does. Rows of one key (two sites) have no order that callers may rely on."""
    return row.start_key, zlib.crc32(row.site.encode())


def _unnumbered(row: Runtime) -> Runtime:
    """Return a row as it is read for a query that names no number: without them, as from the real table."""
    unset = row.caller is row.called is row.call_id is None
    return row if unset else replace(row, caller=None, called=None, call_id=None)


def _within(row: Runtime, stretch: Stretch) -> bool:
    key = row.start_key
    return (stretch.low is None or stretch.low <= key) and (stretch.high is None or key <= stretch.high)


def _follows(row: Runtime, place: tuple[str, int], *, descending: bool) -> bool:
    return _place(row) < place if descending else _place(row) > place


def _is_held(row: Node | None, by: Node, agent_id: str, now_s: float) -> bool:
    if row is None:
        return False
    return (row.agent_id == agent_id and row.lease_until_s <= by.lease_until_s) or row.lease_until_s < now_s


@dataclass(slots=True)
class _Held:
    body: str
    message_id: str
    visible_at_s: float = 0.0
    receipt: str = ""
    receive_count: int = 0
    first_received_s: float | None = None


class MemoryQueue:
    """One site's stop queue and its dead letters. Implements `CommandQueue` and `CommandInbox`.

    `clock` is monotonic seconds, `wall` epoch seconds; `dead_letters` holds the bodies sent there.
    """

    def __init__(
        self,
        *,
        visibility_s: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._visibility_s = visibility_s
        self._clock = clock
        self._wall = wall
        self._messages: dict[str, _Held] = {}
        self._ids = itertools.count(1)
        self._arrived = threading.Condition()
        self.dead_letters: list[str] = []

    def __len__(self) -> int:
        """How many messages are queued, visible or not."""
        return len(self._messages)

    def send(self, command: Command) -> None:
        """Queue a command."""
        self.put(command.to_body())

    def put(self, body: str) -> None:
        """Queue any body, also one that is not a command."""
        with self._arrived:
            message_id = f"m{next(self._ids)}"
            self._messages[message_id] = _Held(body, message_id)
            self._arrived.notify_all()

    def receive(self, *, wait_s: int) -> list[Message]:
        """Return up to 10 visible messages; waits up to `wait_s` (of real time) for the first."""
        with self._arrived:
            taken = self._take()
            if not taken and wait_s:
                self._arrived.wait(wait_s)
                taken = self._take()
            return taken

    def delete(self, receipts: Sequence[str]) -> set[str]:
        """Delete messages by receipt; a stale receipt is refused."""
        with self._arrived:
            held = self._by_receipt()
            for receipt in receipts:
                if receipt in held:
                    del self._messages[held[receipt].message_id]
            return {receipt for receipt in receipts if receipt not in held}

    def set_visibility(self, receipts: Sequence[str], *, visibility_s: int) -> set[str]:
        """Hide messages for `visibility_s` from now."""
        with self._arrived:
            held = self._by_receipt()
            for receipt in receipts:
                if receipt in held:
                    held[receipt].visible_at_s = self._clock() + visibility_s
            self._arrived.notify_all()
            return {receipt for receipt in receipts if receipt not in held}

    def dead_letter(self, message: Message) -> None:
        """Add the body to the dead letters."""
        with self._arrived:
            self.dead_letters.append(message.body)

    def _take(self) -> list[Message]:
        now = self._clock()
        visible = [held for held in self._messages.values() if held.visible_at_s <= now][:10]
        for held in visible:
            held.receive_count += 1
            held.first_received_s = held.first_received_s or self._wall()
            held.visible_at_s = now + self._visibility_s
            held.receipt = f"{held.message_id}.{held.receive_count}"
        return [
            Message(
                body=held.body,
                receipt=held.receipt,
                message_id=held.message_id,
                receive_count=held.receive_count,
                queue_s=held.first_received_s,
            )
            for held in visible
        ]

    def _by_receipt(self) -> dict[str, _Held]:
        return {held.receipt: held for held in self._messages.values() if held.receipt}
