"""The tables `runtimes` and `nodes` in DynamoDB (DESIGN section 4).

Owns the items' shape and the requests; decides nothing about liveness or order of work. `RuntimeTable` and
`NodeTable` implement the ports of `ports`; both programs and functions use them with clients from `boto`.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from ivr_runtimes.boto import OnServerTime, call, call_with_body, sends_own_bodies
from ivr_runtimes.errors import ConditionFailedError, LeaseHeldError, StoreUnavailableError
from ivr_runtimes.lease import CLOCK_SKEW_S
from ivr_runtimes.model import Node, Runtime, State, StopType
from ivr_runtimes.names import Domain, NodeName, RuntimeId, Session, Site, StopId
from ivr_runtimes.ports import RowRef, WriteBatch

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_DOMAIN: Final = "by_domain"
"""The index of runtimes by domain, in start order."""

MAX_BATCH: Final = 25
"""BatchWriteItem takes at most 25 requests (DynamoDB API reference)."""

MAX_SITES: Final = 100
"""BatchGetItem takes at most 100 keys (DynamoDB API reference), and a stop reads one per site."""

RUNTIME_TTL_S: Final = 6 * 3600
"""How far ahead `expires_at` of a runtime lies: garbage collection only, never liveness."""

NODE_TTL_S: Final = 24 * 3600
"""How long after its last heartbeat a node is still known."""

UNPROCESSED_BUDGET_S: Final = 2.0
"""How long unprocessed keys of a BatchGetItem are asked for again before the read counts as failed."""

Item = Mapping[str, Any]


class RuntimeTable:
    """Table `runtimes`: implements `RuntimeIndex`, `RuntimeLookup` and `RuntimeWriter`.

    `clock` (epoch seconds) dates `expires_at`; `on_server_time` hears the `Date` of every answer.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        clock: Callable[[], float] = time.time,
        on_server_time: OnServerTime | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._on_server_time = on_server_time
        sends_own_bodies(client, "BatchWriteItem")

    def of_domain(self, domain: Domain) -> Iterator[Runtime]:
        """Yield the domain's rows in start order; empty pages with a continuation key are walked through."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": BY_DOMAIN,
            "KeyConditionExpression": "#domain = :domain",
            "ExpressionAttributeNames": {"#domain": "domain"},
            "ExpressionAttributeValues": {":domain": {"S": domain}},
        }
        for item in self._pages(self._client.query, request):
            yield to_runtime(item)

    def find(self, runtime_id: RuntimeId, sites: Sequence[Site]) -> list[Runtime]:
        """Read the id's row at every site in one strongly consistent BatchGetItem, unprocessed keys drained."""
        keys: Any = {"Keys": [{"site": {"S": s}, "id": {"S": runtime_id}} for s in sites], "ConsistentRead": True}
        wanted = {self._table: keys}
        found: list[Runtime] = []
        until, pause_s = time.monotonic() + UNPROCESSED_BUDGET_S, 0.02
        while True:
            answer = self._call(self._client.batch_get_item, RequestItems=wanted)
            found += [to_runtime(item) for item in answer["Responses"].get(self._table, [])]
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
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
        return {_id_of(request) for request in answer.get("UnprocessedItems", {}).get(self._table, [])}

    def rows_of_node(self, site: Site, node: NodeName) -> Iterator[RowRef]:
        """Read the site's partition and yield the node's rows: as dear as the site is large, so done once a start."""
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
            yield RowRef(RuntimeId(item["id"]["S"]), Session(item["session"]["S"]))

    def _pages(self, method: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
        return _pages(self._call, method, request)

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        return call(method, self._on_server_time, **request)


class NodeTable:
    """Table `nodes`: implements `NodeDirectory`, `NodeLookup` and `LeaseTable`."""

    def __init__(self, client: "DynamoDBClient", table: str, *, on_server_time: OnServerTime | None = None) -> None:
        self._client = client
        self._table = table
        self._on_server_time = on_server_time

    def all_nodes(self) -> list[Node]:
        """Scan the table: one small row per node."""
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        return [to_node(item) for item in _pages(self._call, self._client.scan, request)]

    def read(self, site: Site, node: NodeName) -> Node | None:
        """Read one node's row, strongly consistent."""
        key = {"site": {"S": site}, "node": {"S": node}}
        item = self._call(self._client.get_item, TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return to_node(item) if item else None

    def renew(self, node: Node, *, now_s: float) -> None:
        """Put the node's row on condition that it is free, ours, or lapsed at `now_s` by more than the skew."""
        item = {**to_node_item(node), "expires_at": {"N": str(int(now_s) + NODE_TTL_S)}}
        values = {
            ":us": {"S": node.agent_id},
            ":free": {"S": ""},
            ":lapsed": {"N": f"{now_s - CLOCK_SKEW_S:.3f}"},
        }
        try:
            self._call(
                self._client.put_item,
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#site) OR agent_id IN (:us, :free) OR lease_until < :lapsed",
                ExpressionAttributeNames={"#site": "site"},
                ExpressionAttributeValues=values,
            )
        except ConditionFailedError as error:
            raise LeaseHeldError(f"another agent holds the lease of {node.node} at {node.site}") from error

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        return call(method, self._on_server_time, **request)


def to_item(row: Runtime) -> dict[str, Any]:
    """Return a runtime as an item, without `expires_at`; attributes that are not set are absent."""
    values = {name: getattr(row, name) for name in _RUNTIME_ATTRIBUTES}
    return {name: {"S": str(value)} for name, value in values.items() if value is not None}


def to_runtime(item: Item) -> Runtime:
    """Read an item of table `runtimes`."""

    def text(name: str) -> str | None:
        value: str | None = item[name]["S"] if name in item else None
        return value

    stoptype, stop_id = text("stoptype"), text("stop_id")
    return Runtime(
        id=RuntimeId(item["id"]["S"]),
        site=Site(item["site"]["S"]),
        node=NodeName(item["node"]["S"]),
        domain=Domain(item["domain"]["S"]),
        session=Session(item["session"]["S"]),
        type=item["type"]["S"],
        code=item["code"]["S"],
        name=item["name"]["S"],
        starttime=item["starttime"]["S"],
        state=State(item["state"]["S"]),
        stoptype=StopType(stoptype) if stoptype else None,
        stop_id=StopId(stop_id) if stop_id else None,
        rootcode=text("rootcode"),
        rootname=text("rootname"),
        lwt=item["lwt"]["S"],
    )


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


def to_node(item: Item) -> Node:
    """Read an item of table `nodes`."""
    return Node(
        site=Site(item["site"]["S"]),
        node=NodeName(item["node"]["S"]),
        session=Session(item["session"]["S"]),
        lease_until_s=float(item["lease_until"]["N"]),
        agent_id=item["agent_id"]["S"],
        control_port=int(item["control_port"]["N"]),
        agent_version=item["agent_version"]["S"],
        started_at=item["started_at"]["S"],
    )


_RUNTIME_ATTRIBUTES: Final = (*(field.name for field in fields(Runtime)), "start_key")


def _pages(send: Callable[..., Any], method: Callable[..., Any], request: dict[str, Any]) -> Iterator[Item]:
    while True:
        answer = send(method, **request)
        yield from answer["Items"]
        if not answer.get("LastEvaluatedKey"):
            return
        request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _id_of(request: Mapping[str, Any]) -> RuntimeId:
    key = request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]
    return RuntimeId(key["id"]["S"])
