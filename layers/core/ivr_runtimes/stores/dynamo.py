"""The tables `runtimes` and `nodes` in DynamoDB (docs/architecture.md).

Owns the items' shape and the requests; decides nothing about liveness or the order of writes. `RuntimeTable` and
`NodeTable` implement `ports`; programs and functions use them with clients from `boto`.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ivr_runtimes.errors import ConditionFailedError, LeaseHeldError, StoreUnavailableError
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Node, Row, Runtime
from ivr_runtimes.ports import MAX_KEYS, Cost, Page, RowRef, Stretch, WriteBatch
from ivr_runtimes.stores import parser
from ivr_runtimes.stores.boto import OnServerTime, call, call_with_body, sends_own_bodies
from ivr_runtimes.stores.items import NOBODY, Item, to_node, to_runtime
from ivr_runtimes.unreadable import Notice, text_of, unheard, unread

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_DOMAIN: Final = "by_domain"
"""The index of runtimes by domain, in start order."""

RUNTIME_TTL_S: Final = 6 * 3600
"""How long after a write a runtime's row expires: for garbage collection only, never liveness."""

NODE_TTL_S: Final = 24 * 3600
"""How long after its last heartbeat a node is still known."""

UNPROCESSED_BUDGET_S: Final = 2.0
"""How long unprocessed keys of a BatchGetItem are retried before the read counts as failed."""

HELD: Final = "(agent_id = :us AND lease_until <= :until) OR lease_until < :lapsed"
"""When the holder may write its node's row. A lease never ends earlier than before: a late renewal is refused."""

FREE: Final = (
    "attribute_not_exists(#site) OR agent_id IN (:free, :dead)"
    " OR NOT attribute_type(agent_id, :text) OR NOT attribute_type(lease_until, :number)"
)
"""When anyone may write a node's row: also if it lacks agent or lease, as nobody could take it otherwise."""


class RuntimeTable:
    """Table `runtimes`: implements `RuntimeIndex`, `RuntimeLookup` and `RuntimeWriter`.

    `clock` (epoch seconds) sets `expires_at`; `on_server_time` gets the `Date` of every answer, `notice` the unreadable
    rows.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        clock: Callable[[], float] = time.time,
        on_server_time: OnServerTime | None = None,
        notice: Notice = unheard,
    ) -> None:
        self._client = client
        self._table = table
        self._tell = partial(notice, "runtimes")
        self._clock = clock
        self._on_server_time = on_server_time
        sends_own_bodies(client, "BatchWriteItem")

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
        """Read a page of the index by one Query, decoded by `parser` if the client has it."""
        request = _query(self._table, domain, stretch, numbers=numbers)
        if resume is not None:
            request["ExclusiveStartKey"] = resume
        if limit is not None:
            request["Limit"] = limit
        answer = self._call(self._client.query, ReturnConsumedCapacity="TOTAL", **request)
        body = parser.body_of(answer)
        page = parser.read_page(answer, numbers=numbers) if body is None else parser.decode(body, numbers=numbers)
        cost.add(read_units=page.read_units, rows=page.scanned)
        self._tell(page.unreadable)
        return Page(page.rows, page.resume)

    def of_ids(
        self, ids: Sequence[RuntimeId], sites: Sequence[Site], *, cost: Cost, numbers: bool = False
    ) -> list[Row]:
        """Read the ids' rows at every site by strongly consistent BatchGetItems of at most 100 keys.

        As strict as `page`, so that every plan shows the same rows.
        """
        keys = [{"site": {"S": site}, "id": {"S": runtime_id}} for runtime_id in ids for site in sites]
        batches = [keys[at : at + MAX_KEYS] for at in range(0, len(keys), MAX_KEYS)]
        items = (item for batch in batches for item in self._get(batch, cost))
        rows, unreadable = parser.read_rows(items, numbers=numbers)
        self._tell(unreadable)
        return rows

    def find(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        """Read the id's row at every site by a strongly consistent BatchGetItem; unprocessed keys are retried."""
        return [runtime for runtime in self._rows(runtime_id, sites) if runtime is not None]

    def present(self, site: Site, runtime_id: RuntimeId) -> Runtime | None:
        """Read one key by a strongly consistent BatchGetItem: the only read of rows that the stop's role permits."""
        read = self._rows(runtime_id, [site])
        if None in read:
            raise StoreUnavailableError(f"the row of {runtime_id} cannot be read")
        return read[0] if read else None

    def _rows(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime | None]:
        """Read the id's rows; one that cannot be read is None."""
        keys = [{"site": {"S": site}, "id": {"S": runtime_id}} for site in sites]
        read = [(item, *to_runtime(item)) for item in self._get(keys, Cost())]
        self._tell([unread(item, "id", fault) for item, _, fault in read if fault])
        return [runtime for _, runtime, _ in read]

    def _get(self, keys: list[dict[str, Any]], cost: Cost) -> list[Item]:
        wanted: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        found: list[Item] = []
        until, pause_s = time.monotonic() + UNPROCESSED_BUDGET_S, 0.02
        while True:
            answer = self._call(self._client.batch_get_item, RequestItems=wanted, ReturnConsumedCapacity="TOTAL")
            items = answer["Responses"].get(self._table, [])
            cost.add(read_units=sum(map(_units, answer.get("ConsumedCapacity", []))), rows=len(items))
            found += items
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted.get(self._table, {}).get("Keys"):
                return found
            if time.monotonic() >= until:
                raise StoreUnavailableError(f"keys stayed unprocessed for {UNPROCESSED_BUDGET_S} s")
            time.sleep(pause_s)
            pause_s *= 2

    def write(self, batch: WriteBatch) -> set[RuntimeId]:
        """Put and delete rows in one BatchWriteItem; return the ids DynamoDB left unprocessed."""
        expires_at = int(self._clock()) + RUNTIME_TTL_S
        requests: list[dict[str, Any]] = [
            {"PutRequest": {"Item": {**to_item(row), "expires_at": {"N": str(expires_at)}}}} for row in batch.puts
        ]
        requests += [{"DeleteRequest": {"Key": {"site": {"S": batch.site}, "id": {"S": id_}}}} for id_ in batch.deletes]
        answer = call_with_body(
            self._client.batch_write_item,
            json.dumps({"RequestItems": {self._table: requests}}).encode(),
            self._on_server_time,
            RequestItems={self._table: requests[:1]},
        )
        return {_id_of(request) for request in (answer.get("UnprocessedItems") or {}).get(self._table, [])}

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        """Yield the node's rows. Reads the whole partition of the site, so done only twice per start."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#site = :site",
            "FilterExpression": "#node = :node",
            "ProjectionExpression": "#id, #session",
            "ExpressionAttributeNames": {"#site": "site", "#node": "node", "#id": "id", "#session": "session"},
            "ExpressionAttributeValues": {":site": {"S": site}, ":node": {"S": node}},
            "ConsistentRead": True,
        }
        for item in self._pages(self._client.query, request):
            yield RowRef(RuntimeId(item["id"]["S"]), Session(text_of(item, "session") or ""))

    def _pages(self, method: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
        return _pages(self._call, method, request)

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        return call(method, self._on_server_time, **request)


class NodeTable:
    """Table `nodes`: implements `NodeDirectory`, `NodeLookup` and `LeaseTable`; `notice` as in `RuntimeTable`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        on_server_time: OnServerTime | None = None,
        notice: Notice = unheard,
    ) -> None:
        self._client = client
        self._table = table
        self._tell = partial(notice, "nodes")
        self._on_server_time = on_server_time

    def all_nodes(self, *, cost: Cost | None = None) -> list[Node]:
        """Scan the table: one small row per node. An unreadable row counts as a dead node."""
        request = {"TableName": self._table, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
        return self._nodes(_pages(self._call, self._client.scan, request, cost))

    def read(self, site: Site, node: NodeName) -> Node | None:
        """Read one node's row, strongly consistent; None also if it names no valid session."""
        key = {"site": {"S": site}, "node": {"S": node}}
        item = self._call(self._client.get_item, TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return next((found for found in self._nodes([item] if item else []) if found.session != NOBODY), None)

    def _nodes(self, items: Iterable[Item]) -> list[Node]:
        read = [(item, *to_node(item)) for item in items]
        self._tell([unread(item, "node", fault) for item, _, fault in read if fault])
        return [node for _, node, _ in read]

    def renew(self, node: Node, *, now_s: float, dead: str = "", held: str = "") -> None:
        """Put the node's row if the stored one is free, lapsed, the `dead` agent's, or ours and ends no later."""
        item = {**to_node_item(node), "expires_at": {"N": str(int(now_s) + NODE_TTL_S)}}
        request: dict[str, Any] = {
            "ConditionExpression": HELD if held else f"{FREE} OR {HELD}",
            "ExpressionAttributeValues": {
                ":us": {"S": held or node.agent_id},
                ":until": item["lease_until"],
                ":lapsed": {"N": f"{now_s:.3f}"},
            },
        }
        if not held:
            request["ExpressionAttributeNames"] = {"#site": "site"}
            request["ExpressionAttributeValues"] |= {
                ":free": {"S": ""},
                ":dead": {"S": dead},
                ":text": {"S": "S"},
                ":number": {"S": "N"},
            }
        try:
            self._call(self._client.put_item, TableName=self._table, Item=item, **request)
        except ConditionFailedError as error:
            raise LeaseHeldError(f"another agent holds the lease of {node.node} at {node.site}") from error

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        return call(method, self._on_server_time, **request)


def to_item(row: Runtime) -> dict[str, Any]:
    """Return a runtime as an item, without `expires_at`; attributes that are not set are absent."""
    values = {name: getattr(row, name) for name in _RUNTIME_ATTRIBUTES}
    return {name: {"S": str(value)} for name, value in values.items() if value is not None}


def to_node_item(node: Node) -> dict[str, Any]:
    """Return a node as an item, without `expires_at`."""
    return {
        "site": {"S": node.site},
        "node": {"S": node.node},
        "session": {"S": node.session},
        "lease_until": {"N": f"{node.lease_until_s:.3f}"},
        "agent_id": {"S": node.agent_id},
        "control_port": {"N": str(node.control_port)},
        "agent_version": {"S": node.agent_version},
        "started_at": {"S": node.started_at},
    }


_RUNTIME_ATTRIBUTES: Final = (*(field.name for field in fields(Runtime)), "start_key")


def _pages(
    send: Callable[..., Any], method: Callable[..., Any], request: dict[str, Any], cost: Cost | None = None
) -> Iterator[Item]:
    while True:
        answer = parser.parsed(send(method, **request))
        if cost is not None:
            cost.add(read_units=_units(answer.get("ConsumedCapacity")))
        yield from answer["Items"]
        if not answer.get("LastEvaluatedKey"):
            return
        request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _units(capacity: Mapping[str, Any] | None) -> float:
    return float((capacity or {}).get("CapacityUnits", 0.0))


def _query(table: str, domain: Domain, stretch: Stretch, *, numbers: bool) -> dict[str, Any]:
    """Make the request for a stretch; numbers stay in the table unless they are asked for.

    All names are aliased, as many are DynamoDB's reserved words.
    """
    names = {"#domain": "domain"}
    values: dict[str, dict[str, str]] = {":domain": {"S": domain}}
    request: dict[str, Any] = {
        "TableName": table,
        "IndexName": BY_DOMAIN,
        "KeyConditionExpression": _key_condition(stretch, names, values),
        "ScanIndexForward": not stretch.descending,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if stretch.among:
        tests = [_membership(name, stretch.among[name], names, values) for name in sorted(stretch.among)]
        request["FilterExpression"] = " AND ".join(tests)
    shown = parser.ROW_ATTRIBUTES | parser.NUMBERS if numbers else parser.ROW_ATTRIBUTES
    names |= {f"#{name}": name for name in shown}
    request["ProjectionExpression"] = ",".join(f"#{name}" for name in sorted(shown))
    return request


def _key_condition(stretch: Stretch, names: dict[str, str], values: dict[str, dict[str, str]]) -> str:
    bounds = {":low": stretch.low, ":high": stretch.high}
    values |= {name: {"S": bound} for name, bound in bounds.items() if bound is not None}
    if stretch.low is None and stretch.high is None:
        return "#domain = :domain"
    names["#start_key"] = "start_key"
    if stretch.high is None:
        return "#domain = :domain AND #start_key >= :low"
    if stretch.low is None:
        return "#domain = :domain AND #start_key <= :high"
    return "#domain = :domain AND #start_key BETWEEN :low AND :high"


def _membership(name: str, among: frozenset[str], names: dict[str, str], values: dict[str, dict[str, str]]) -> str:
    names[f"#{name}"] = name
    constants = {f":{name}{number}": {"S": value} for number, value in enumerate(sorted(among))}
    values |= constants
    return f"#{name} IN ({','.join(constants)})"


def _id_of(request: Mapping[str, Any]) -> RuntimeId:
    key = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return RuntimeId(key["id"]["S"])
