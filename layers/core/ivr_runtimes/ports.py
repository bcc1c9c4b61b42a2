"""Ports: what the use cases and the agent need from the stores. Implemented by `dynamo`, `sqs` and `memory`.

Every method may raise `StoreUnavailableError`. Those that write say which other `StoreError` they raise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ivr_runtimes.command import Command
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Node, Row, Runtime

MAX_WRITES: Final = 25
"""Rows put and deleted in one request (DynamoDB API reference, BatchWriteItem)."""

MAX_KEYS: Final = 100
"""Keys read in one request (DynamoDB API reference, BatchGetItem)."""

MAX_SITES: Final = MAX_KEYS
"""A stop reads one key per site, in one request."""

MAX_MESSAGES: Final = 10
"""Messages received, deleted or delayed in one request (SQS API reference)."""


@dataclass(slots=True)
class Cost:
    """What a request's reads have cost so far: calls, DynamoDB's read units, rows read."""

    calls: int = 0
    read_units: float = 0.0
    rows_read: int = 0

    def add(self, *, calls: int = 1, read_units: float = 0.0, rows: int = 0) -> None:
        """Add the cost of one or more calls."""
        self.calls += calls
        self.read_units += read_units
        self.rows_read += rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A key range of a domain's rows, in start order: `start_key` from `low` to `high`, both included.

    `among` holds, by attribute, the values that rows may have.
    """

    low: str | None = None
    high: str | None = None
    descending: bool = False
    among: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a stretch, in its order. `resume` is the store's own mark of where to go on, None at the end."""

    rows: Sequence[Row]
    resume: object = None


class RuntimeIndex(Protocol):
    """Runtimes by domain, for the list."""

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
        """Read a page, eventually consistent, rows of dead nodes included. Rows that cannot be read are left out.

        The store reads at most `limit` rows and returns those that fit `among`: perhaps none, though more follow.
        With `numbers` the rows are `NumberedRow`s. A number that cannot be read is None: it never hides its row, so
        that all queries show the same rows.
        """
        ...

    def of_ids(
        self, ids: Sequence[RuntimeId], sites: Sequence[Site], *, cost: Cost, numbers: bool = False
    ) -> Sequence[Row]:
        """Return the rows of those ids at those sites, of any domain, strongly consistent, in any order.

        Rows that cannot be read are left out, and `numbers` are read, as by `page`.
        """
        ...


class NodeDirectory(Protocol):
    """Every node of every site, for the list."""

    def all_nodes(self, *, cost: Cost | None = None) -> Sequence[Node]:
        """Return all nodes' rows, strongly consistent. A row that cannot be read counts as a dead node's."""
        ...


class RuntimeLookup(Protocol):
    """Runtimes by id, for the stop."""

    def find(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        """Return the rows of that id at the given sites, strongly consistent (two sites may claim the same id).

        Rows without what a stop needs (domain, node and session) are left out. Other attributes that cannot be read
        are empty.
        """
        ...

    def present(self, site: Site, runtime_id: RuntimeId) -> Runtime | None:
        """Return the row of that id at that site as it is now, strongly consistent; None if there is none.

        A row that is there but lacks what a stop needs raises `StoreUnavailableError`: it proves nothing.
        """
        ...


class NodeLookup(Protocol):
    """Nodes by name, for the stop and the agents."""

    def read(self, site: Site, node: NodeName) -> Node | None:
        """Return a node's row, strongly consistent; None if there is none, or if it names no session."""
        ...


class CommandQueue(Protocol):
    """The queues of the sites, read by their agents."""

    def send(self, command: Command) -> None:
        """Put a command on the queue of its site. On an error it may or may not have been queued."""
        ...


@dataclass(frozen=True, slots=True)
class RowRef:
    """The part of a runtime's row that tells whether the row is still needed."""

    id: RuntimeId
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBatch:
    """Rows to put and ids to delete in one request: at most `MAX_WRITES` together, no id twice."""

    site: Site
    puts: Sequence[Runtime] = ()
    deletes: Sequence[RuntimeId] = ()

    @property
    def ids(self) -> set[RuntimeId]:
        """Every id the batch writes."""
        return {row.id for row in self.puts} | set(self.deletes)


class RuntimeWriter(Protocol):
    """The agent's side of the table of runtimes."""

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        """Write a batch; return the ids that were certainly not written, because the table throttled them.

        Raises `RefusedWriteError` when the table refuses the whole request (nothing is written), and
        `AmbiguousWriteError` when no answer tells what was written.
        """
        ...

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        """Yield all rows of one node, strongly consistent."""
        ...


class LeaseTable(NodeLookup, Protocol):
    """The agent's side of the table of nodes."""

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        """Write the node's row, if one of these holds.

        * The row is free: it does not exist, its `agent_id` is empty (its agent handed the lease over), or no agent
          can have written it.
        * It belongs to agent `dead`.
        * It is ours, and its lease ends no later than the new one.
        * Its lease has lapsed at `now_s`. Readers allow for skew, this does not: so the next agent can take over
          before a list misses the node.

        `held` is the agent id under which we hold the lease already. Then only a row of that agent with no later lease,
        or a lapsed one, is replaced. A free row is then the one that we have handed over, and this request is late.

        Raises `LeaseHeldError` when another agent's lease holds, `AmbiguousWriteError` when no answer came.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A received message: its body, the receipt that names it in later calls, and how often it was received.

    `queue_s` is the latest time that the queue states for it, in epoch seconds: when it was first received, or else
    when it was sent; None if it states none. On the first receipt it is the present time by the queue's clock.
    """

    body: str
    receipt: str
    message_id: str
    receive_count: int
    queue_s: float | None = None


class CommandInbox(Protocol):
    """The agent's side of its site's queue."""

    def receive(self, *, wait_s: int) -> list[Message]:
        """Long-poll for at most 10 messages."""
        ...

    def delete(self, receipts: Sequence[str]) -> set[str]:
        """Delete messages; return the receipts of those that were not deleted (they come again)."""
        ...

    def set_visibility(self, receipts: Sequence[str], *, visibility_s: int) -> set[str]:
        """Hide messages for `visibility_s` from now (0: show them again at once); return the receipts refused."""
        ...

    def dead_letter(self, message: Message) -> None:
        """Send the message's body to the dead-letter queue. The caller deletes the message afterwards."""
        ...
