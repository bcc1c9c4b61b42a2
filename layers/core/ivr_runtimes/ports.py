"""What the use cases and the agent ask of the stores. Implemented by `dynamo`, `sqs` and `memory`.

Every method may raise `StoreUnavailableError`; the writing ones say which other `StoreError` they raise.
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
"""A stop reads one key per site, at once."""

MAX_MESSAGES: Final = 10
"""Messages received, deleted or delayed in one request (SQS API reference)."""


@dataclass(slots=True)
class Cost:
    """What a request has spent on reading so far: calls, DynamoDB's read units, rows looked at."""

    calls: int = 0
    read_units: float = 0.0
    rows_read: int = 0

    def add(self, *, calls: int = 1, read_units: float = 0.0, rows: int = 0) -> None:
        """Count what a store spent."""
        self.calls += calls
        self.read_units += read_units
        self.rows_read += rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a domain's rows in start order: those whose `start_key` lies from `low` to `high`, both included.

    `among` names values, by attribute, that rows must have.
    """

    low: str | None = None
    high: str | None = None
    descending: bool = False
    among: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a stretch, in its order, and where the next page begins: the store's own affair, None at the end."""

    rows: Sequence[Row]
    resume: object = None


class RuntimeIndex(Protocol):
    """Runtimes by domain, for the list."""

    def page(
        self, domain: Domain, stretch: Stretch, *, cost: Cost, resume: object = None, limit: int | None = None
    ) -> Page:
        """Read a page, live or dead rows alike, eventually consistent. Rows that cannot be read are left out.

        The store looks at `limit` rows at most, `among` aside, and may return none of them though more follow.
        """
        ...

    def of_ids(self, ids: Sequence[RuntimeId], sites: Sequence[Site], *, cost: Cost) -> Sequence[Row]:
        """Return the rows of those ids at those sites, of whatever domain, strongly consistent, in any order.

        Rows that `page` would leave out, this does, too.
        """
        ...


class NodeDirectory(Protocol):
    """Every node of every site, for the list."""

    def all_nodes(self, *, cost: Cost | None = None) -> Sequence[Node]:
        """Return all nodes' rows, strongly consistent. One that cannot be read is a dead node's."""
        ...


class RuntimeLookup(Protocol):
    """Runtimes by id, for the stop."""

    def find(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        """Return the rows of that id at the given sites, strongly consistent (two sites may claim the same id).

        Left out are rows that lack what a stop needs: domain, node and session. What a stop does not use is empty
        where it cannot be read.
        """
        ...


class NodeLookup(Protocol):
    """Nodes by name, for the stop and the agents."""

    def read(self, site: Site, node: NodeName) -> Node | None:
        """Return a node's row, strongly consistent; None where there is none, or none that names its session."""
        ...


class CommandQueue(Protocol):
    """The way to a site's agents."""

    def send(self, command: Command) -> None:
        """Put a command on the queue of its site. On an error it may or may not have been queued."""
        ...


@dataclass(frozen=True, slots=True)
class RowRef:
    """Enough of a runtime's row to tell whether it is still wanted."""

    id: RuntimeId
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBatch:
    """Rows to put and ids to delete in one request: together at most `MAX_WRITES`, no id twice."""

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
        """Write a batch; return the ids the table did not take (throttled), which are certainly unwritten.

        Raises `RefusedWriteError` when the table refuses the request as a whole (nothing is written) and
        `AmbiguousWriteError` when no answer tells what was written.
        """
        ...

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        """Yield what the table holds of one node, strongly consistent."""
        ...


class LeaseTable(NodeLookup, Protocol):
    """The agent's side of the table of nodes."""

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        """Write the node's row if it is free, of agent `dead`, ours and no later lease, or lapsed at `now_s`.

        `held` is the agent id under which we hold the lease already. Then only a row of that agent and no later lease,
        or a lapsed one, is written: a free row is the one we have handed over, and this a request that lands late.

        Lapsed without the readers' allowance for skew: the next agent has those seconds to take over unnoticed.
        Free is a row that is not there, whose `agent_id` is empty (the last agent handed it over), or that no agent can
        have written.

        Raises `LeaseHeldError` when another agent's lease holds, `AmbiguousWriteError` when no answer came.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A received message: its body, the receipt to handle it by, and how often it was handed out.

    `queue_s` is the latest time the queue itself tells of it, in epoch seconds: when it was first handed out, or else
    sent; None if it tells none. It is now, or was once: on the first receipt it is the queue's own clock.
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
        """Delete handled messages; return the receipts of those that were not (they come back)."""
        ...

    def set_visibility(self, receipts: Sequence[str], *, visibility_s: int) -> set[str]:
        """Hide messages for `visibility_s` from now (0 hands them back at once); return the receipts refused."""
        ...

    def dead_letter(self, message: Message) -> None:
        """Send the message's body to the dead-letter queue (the caller deletes the message afterwards)."""
        ...
