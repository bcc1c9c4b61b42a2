"""Rows that cannot be read, in real tables (moto), read by the codec and past it: no list, stop or agent fails for one.

A row of `{"site", "node"}` alone, which any site's policy allows, once made every list of every tenant a 500.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

import worlds
from emulators import STACK, clients, listing_client, provisioned
from ivr_runtimes.errors import NodeUnreachableError, RuntimeNotFoundError, StoreUnavailableError
from ivr_runtimes.http.caller import Caller
from ivr_runtimes.identifiers import NodeName, RuntimeId, Session, StopId
from ivr_runtimes.lease import is_alive
from ivr_runtimes.model import Verb
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.stopping.acceptance import RuntimeStop
from ivr_runtimes.stopping.request import StopRequest
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable, to_item, to_node_item
from ivr_runtimes.stores.items import to_node
from ivr_runtimes.stores.memory import MemoryQueue
from ivr_runtimes.unreadable import MAX_KEY, MAX_TOLD, Notices
from rows import PLAYER, WELCOME, node_of, numbered
from worlds import DOMAIN, NOW_S, SITES

Item = dict[str, Any]
GOOD = replace(PLAYER, stop_id=StopId("key-0"))
OTHER = replace(WELCOME, node=GOOD.node, session=GOOD.session)
ODD = numbered(replace(PLAYER, name="odd"), 0xABC)
"""The row that is spoiled. It stands between the other two in start order."""
NODE = node_of(GOOD, lease_until_s=NOW_S + 15)
TYPES: tuple[Item, ...] = (
    {"N": "1"},
    {"N": "-7.5E3"},
    {"BOOL": True},
    {"NULL": True},
    {"M": {"S": {"S": "x"}}},
    {"L": [{"S": "running"}]},
    {"SS": ["running"]},
    {"B": b"running"},
)
REQUIRED = ("type", "code", "name", "session", "node", "starttime", "state", "lwt")
OPTIONAL = ("stoptype", "stop_id", "rootcode", "rootname")
NUMBERS = ("caller", "called", "call_id")
KEYS = ("site", "id", "domain", "start_key")
"""Keys of the table and of its index, which DynamoDB takes as texts only."""


def spoiled(**changes: Item | None) -> Item:
    """The odd row's item with other attributes; None takes one away."""
    item = {**to_item(ODD), **changes}
    return {name: value for name, value in item.items() if value is not None}


UNREADABLE: dict[str, Item] = {
    **{f"no {name}": spoiled(**{name: None}) for name in (*REQUIRED, "start_key")},
    **{
        f"{name} {next(iter(of))}": spoiled(**{name: of})
        for name in REQUIRED
        for of in TYPES[:: 1 if name == "state" else 3]
    },
    **{f"{name} {next(iter(of))}": spoiled(**{name: of}) for name in OPTIONAL for of in TYPES[::4]},
    **{
        f"state {text!r}": spoiled(state={"S": text}) for text in ("paused", "", "Running", "running\n", "\uff52unning")
    },
    **{
        f"starttime {text!r}": spoiled(starttime={"S": text}, start_key={"S": f"{text}#{ODD.id}"})
        for text in (
            "yesterday",
            "2019-02-30T08:36:40Z",
            "2019-11-05T24:00:00Z",
            "2019-11-05 08:36:40Z",
            "2019-W45-2T08:36:40Z",
            "2019-11-05T08:36:40.5Z",
            "2019-11-05T08:36:40Z\n",
            "2019-11-05T08:36:4\u0660Z",
        )
    },
    "start_key of another start": spoiled(start_key={"S": f"2019-11-05T11:36:40Z#{ODD.id}"}),
    "start_key of another id": spoiled(start_key={"S": GOOD.start_key}),
    "start_key without a form": spoiled(start_key={"S": "z"}),
    **{
        f"id {text!r}": spoiled(id={"S": text}, start_key={"S": f"{ODD.starttime}#{text}"})
        for text in (
            "x",
            ODD.id + "\n",
            ODD.id[:-1] + "\u0660",
            ODD.id.replace("-", ""),
            ODD.id[:-1] + "g",
            ODD.id.upper(),
        )
    },
}
READABLE: dict[str, Item] = {
    "an attribute of a later version": spoiled(colour={"M": {"red": {"N": "1"}}}),
    "a stoptype of a later version": spoiled(stoptype={"S": "hangup"}),
    "a NULL for what need not be set": spoiled(stoptype={"NULL": True}, rootcode={"NULL": True}),
    "no expires_at": spoiled(expires_at=None),
    **{f"{name} {next(iter(of))}": spoiled(**{name: of}) for name in NUMBERS for of in TYPES},
    "empty texts": spoiled(type={"S": ""}, code={"S": ""}, name={"S": ""}),
    "a leap second": spoiled(
        starttime={"S": "2016-12-31T23:59:60Z"}, start_key={"S": f"2017-01-01T00:00:00Z#{ODD.id}"}
    ),
}


class Tables:
    """The tables, what reads them, and what was noticed."""

    def __init__(self, client: Any) -> None:
        self.client, self._plain = client, clients()[0]
        self.told: list[tuple[str, str, str]] = []
        self.counted: Counter[str] = Counter()
        self.queue = MemoryQueue()
        self.start_anew()

    def start_anew(self) -> None:
        """Read the tables as a new process does, to which nothing has been told."""
        self.told.clear()
        self.counted.clear()
        notices = Notices(
            tell=lambda table, row: self.told.append((table, row.site, row.key)),
            count=lambda table, rows: self.counted.update({table: rows}),
            sites=SITES,
        )
        self.runtimes = RuntimeTable(self.client, f"{STACK}-runtimes", notice=notices)
        self.nodes = NodeTable(self.client, f"{STACK}-nodes", notice=notices)

    def put(self, kind: str, *items: Item) -> None:
        for item in items:
            self._plain.put_item(TableName=f"{STACK}-{kind}", Item=item)

    def clear(self) -> None:
        self.start_anew()
        for kind, keys in (("runtimes", ("site", "id")), ("nodes", ("site", "node"))):
            for item in self._plain.scan(TableName=f"{STACK}-{kind}")["Items"]:
                self._plain.delete_item(TableName=f"{STACK}-{kind}", Key={name: item[name] for name in keys})

    def ids(self, raw: str) -> list[str]:
        found = worlds.listing(self.runtimes, self.nodes).select(parse_list_query(raw), DOMAIN)
        rendered: list[Item] = json.loads(parse_list_query(raw).render(found.rows))
        return [row["id"] for row in rendered]

    def stop(self, row: Any, key: str = "key-1") -> Verb | None:
        stop = RuntimeStop(runtimes=self.runtimes, nodes=self.nodes, queue=self.queue, sites=SITES, clock=lambda: NOW_S)
        return stop.accept(StopRequest(row.id, StopId(key)), Caller(DOMAIN, "operator")).verb


@pytest.fixture(scope="module", params=["codec", "botocore"])
def real(request: pytest.FixtureRequest) -> Iterator[Tables]:
    with mock_aws():
        provisioned()
        yield Tables(listing_client() if request.param == "codec" else clients()[0])


@pytest.fixture
def tables(real: Tables) -> Tables:
    real.clear()
    real.put("runtimes", to_item(GOOD), to_item(OTHER))
    real.put("nodes", to_node_item(NODE))
    return real


def queries(*odd: Item) -> dict[str, str]:
    """One query for every plan, each of which the odd rows pass as far as they can be read."""
    ids = [GOOD.id, OTHER.id, *(item["id"]["S"] for item in odd)]
    return {
        "walk": "",
        "page": "limit=100",
        "page backwards": "limit=100&order=-starttime",
        "sort": "order=site,starttime",
        "keys": "filter=" + quote(json.dumps({"id": ids})),
        "narrow mask": "mask=id",
        "wide mask": "mask=id,ext&flat=true",
        "numbers": "mask=id,ext.caller,ext.called&order=ext.call_id",
        "numbers, keys": "mask=id,ext.caller&filter=" + quote(json.dumps({"id": ids})),
        "pushed down": "filter=" + quote(json.dumps({"site": GOOD.site})),
        "range": "filter=" + quote(json.dumps([">", ["property", "starttime"], "0001-01-01T00:00:00Z"])),
    }


def each_its_own(items: dict[str, Item]) -> dict[str, Item]:
    """The items with an id of its own each, where the id is not what is wrong with it."""
    return {kind: renamed(item, numbered(ODD, 0xABC000 + n).id) for n, (kind, item) in enumerate(items.items())}


def renamed(item: Item, own: str) -> Item:
    """The item with another id wherever the odd row's stands."""
    return {
        name: {"S": value["S"].replace(ODD.id, own)} if name in {"id", "start_key"} else value
        for name, value in item.items()
    }


def test_a_runtimes_row_that_cannot_be_read_is_left_out_by_every_plan_and_told_once(tables: Tables) -> None:
    odd = each_its_own(UNREADABLE)
    tables.put("runtimes", *odd.values())
    for plan, raw in queries(*odd.values()).items():
        assert sorted(tables.ids(raw)) == sorted([GOOD.id, OTHER.id]), plan
    keys = Counter(item["id"]["S"] for item in odd.values())
    assert Counter(key for _, _, key in tables.told) == keys
    assert tables.counted["runtimes"] > len(odd), "each reading of them"


def test_what_a_later_version_adds_or_leaves_unset_hides_no_row(tables: Tables) -> None:
    odd = each_its_own(READABLE)
    tables.put("runtimes", *odd.values())
    ids = [item["id"]["S"] for item in odd.values()]
    for plan, raw in queries(*odd.values()).items():
        assert sorted(tables.ids(raw)) == sorted([GOOD.id, OTHER.id, *ids]), plan
    assert not tables.told


def test_a_walk_leads_past_rows_that_cannot_be_read(tables: Tables) -> None:
    tables.put("runtimes", *(spoiled(id={"S": f"x{n}"}, start_key={"S": f"{ODD.starttime}#x{n}"}) for n in range(12)))
    assert tables.ids("limit=2") == [GOOD.id, OTHER.id]


@pytest.mark.parametrize("used", ["domain", "node", "session"])
def test_a_stop_of_a_row_without_what_it_uses_finds_no_runtime(tables: Tables, used: str) -> None:
    tables.put("runtimes", {name: value for name, value in to_item(ODD).items() if name != used})
    with pytest.raises(RuntimeNotFoundError):
        tables.stop(ODD)
    assert ("runtimes", ODD.site, ODD.id) in tables.told


@pytest.mark.parametrize("used", ["domain", "node", "session"])
def test_a_row_that_cannot_be_read_does_not_prove_that_a_stop_has_ended_its_runtime(tables: Tables, used: str) -> None:
    """Left out like one that is gone, it would have told a caller that waits that its script had ended."""
    tables.put("runtimes", {name: value for name, value in to_item(ODD).items() if name != used})
    with pytest.raises(StoreUnavailableError, match="cannot be read"):
        tables.runtimes.present(ODD.site, ODD.id)
    assert ("runtimes", ODD.site, ODD.id) in tables.told


def test_a_stop_does_not_fail_for_what_it_does_not_use(tables: Tables) -> None:
    unused = sorted({*REQUIRED, *OPTIONAL} - {"node", "session"})
    for name, value in itertools.product(unused, [None, *TYPES[::4]]):
        tables.put("runtimes", spoiled(**{name: value}))
        assert tables.stop(ODD) is Verb.EXTERNAL_STOP, (name, value)
    tables.put("runtimes", spoiled(start_key=None))
    assert tables.stop(ODD) is Verb.EXTERNAL_STOP
    assert not tables.told, "nothing that this reader uses is wrong"


def test_a_state_that_nobody_knows_is_no_leave_to_kill_a_goodbye(tables: Tables) -> None:
    tables.put("runtimes", spoiled(state={"S": "paused"}, stoptype={"S": "stop"}))
    assert tables.stop(ODD) is Verb.EXTERNAL_STOP


def test_a_stop_finds_the_callers_row_behind_one_of_the_same_id_that_cannot_be_read(tables: Tables) -> None:
    tables.put("runtimes", {"site": {"S": SITES[1]}, "id": {"S": GOOD.id}})
    assert tables.stop(GOOD) is Verb.EXTERNAL_STOP


_COUNTER = itertools.count()


def beside(**changes: Item | None) -> Item:
    """The row of a node beside the good one, with other attributes; None takes one away."""
    item = {**to_node_item(replace(NODE, node=NodeName(f"odd{next(_COUNTER)}@127.0.0.1"))), **changes}
    return {name: value for name, value in item.items() if value is not None}


DEAD: dict[str, Item] = {
    "nothing but its key": {"site": {"S": GOOD.site}, "node": {"S": "x@127.0.0.1"}},
    **{f"no {name}": beside(**{name: None}) for name in ("session", "lease_until")},
    **{f"session {next(iter(of))}": beside(session=of) for of in TYPES},
    **{f"session {text!r}": beside(session={"S": text}) for text in ("", "s\n", "s 1", "\u0661", "s" * 65)},
    **{f"lease_until {next(iter(of))}": beside(lease_until=of) for of in TYPES if "N" not in of},
    "lease_until a text": beside(lease_until={"S": str(NOW_S + 15)}),
    **{f"node {text!r}": beside(node={"S": text}) for text in ("x", "n\u0153ud@h", "x@127.0.0.1\n", "a b@h", "x@")},
}
ALIVE: dict[str, Item] = {
    **{f"no {name}": beside(**{name: None}) for name in ("agent_id", "control_port", "agent_version", "started_at")},
    **{f"control_port {n}": beside(control_port={"N": n}) for n in ("-1", "70000", "7001.5", "9" * 38)},
    **{f"control_port {next(iter(of))}": beside(control_port=of) for of in TYPES},
    "an attribute of a later version": beside(colour={"M": {}}),
}


def test_a_nodes_row_that_cannot_be_read_counts_as_dead_and_harms_no_list(tables: Tables) -> None:
    tables.put("nodes", *DEAD.values())
    found = worlds.listing(tables.runtimes, tables.nodes).select(parse_list_query(""), DOMAIN)
    assert [row.id for row in found.rows] == [GOOD.id, OTHER.id]
    assert found.site_nodes.split(", ")[0] == f"SITE1=1/{1 + len(DEAD)}"
    tables.ids("")
    assert sorted(tables.told) == sorted(("nodes", GOOD.site, item["node"]["S"]) for item in DEAD.values())
    assert tables.counted == {"nodes": 2 * len(DEAD)}
    assert tables.stop(GOOD) is Verb.EXTERNAL_STOP


def test_what_says_nothing_of_a_nodes_life_does_not_end_it(tables: Tables) -> None:
    tables.put("nodes", *ALIVE.values())
    found = worlds.listing(tables.runtimes, tables.nodes).select(parse_list_query(""), DOMAIN)
    alive = 1 + len(ALIVE)
    assert found.site_nodes.split(", ")[0] == f"SITE1={alive}/{alive}"
    assert not tables.told


def test_a_site_that_is_not_configured_is_not_even_told_of(tables: Tables) -> None:
    """What a site left behind when it was taken off the configuration can be unreadable without harm."""
    tables.put("nodes", {"site": {"S": "OLDSITE"}, "node": {"S": "x@127.0.0.1"}})
    tables.put("runtimes", {**to_item(ODD), "site": {"S": "OLDSITE"}, "state": {"S": "paused"}})
    assert tables.ids("") == [GOOD.id, OTHER.id]
    assert (tables.told, tables.counted) == ([], {})


@pytest.mark.parametrize("lacking", ["lease_until", "session"])
def test_a_stop_to_a_node_whose_row_cannot_be_read_is_refused_not_failed(tables: Tables, lacking: str) -> None:
    """Without a lease it is a dead node's, 503; without a session no runtime can be of it, 404."""
    tables.put("nodes", {name: value for name, value in to_node_item(NODE).items() if name != lacking})
    with pytest.raises(NodeUnreachableError if lacking == "lease_until" else RuntimeNotFoundError):
        tables.stop(GOOD)
    assert tables.told == [("nodes", GOOD.site, GOOD.node)]


@pytest.mark.parametrize("lacking", ["lease_until", "agent_id", "session", "control_port"])
def test_the_nodes_own_agent_takes_its_row_back(tables: Tables, lacking: str) -> None:
    """A row without lease or agent was nobody's: no agent could ever take it, and each ended for another's sake."""
    own = {name: value for name, value in to_node_item(NODE).items() if name != lacking}
    tables.put("nodes", {**own, "agent_id": {"S": ""}} if lacking in {"session", "control_port"} else own)
    ours = replace(NODE, agent_id="agent-2")
    tables.nodes.renew(ours, now_s=NOW_S)
    assert tables.nodes.read(NODE.site, NODE.node) == ours


def test_an_agent_sees_rows_of_its_node_that_name_no_session(tables: Tables) -> None:
    """The sweep clears them away, as it does those of dead sessions."""
    tables.put("runtimes", spoiled(session=None), spoiled(id={"S": "x"}, session={"N": "1"}))
    found = {row.id: row.session for row in tables.runtimes.rows_of_node(ODD.site, ODD.node)}
    assert found == {GOOD.id: GOOD.session, OTHER.id: OTHER.session, ODD.id: Session(""), RuntimeId("x"): Session("")}


def test_a_flood_of_rows_that_cannot_be_read_is_counted_and_some_are_told(tables: Tables) -> None:
    count = MAX_TOLD + 20
    tables.put("nodes", *({"site": {"S": "SITE1"}, "node": {"S": f"n{n}"}} for n in range(count)))
    for _ in range(2):
        tables.ids("")
    assert (len(tables.told), tables.counted) == (MAX_TOLD, {"nodes": 2 * count})


attributes = st.sampled_from(sorted({*to_item(GOOD), *to_node_item(NODE), "stoptype", "rootname", "caller", "colour"}))
numbers = st.sampled_from(["0", "-1", "1.5", "1E125", "9" * 38, str(NOW_S + 15)])
attribute_values = st.one_of(
    st.sampled_from(TYPES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(lambda text: {"S": text}),
    st.sampled_from(["running", "stop", PLAYER.starttime, PLAYER.id, PLAYER.start_key]).map(lambda text: {"S": text}),
    numbers.map(lambda number: {"N": number}),
)
mutations = st.dictionaries(attributes, st.none() | attribute_values, min_size=1, max_size=3)


def mutated(item: Item, changes: dict[str, Item | None], keys: tuple[str, ...]) -> Item:
    """The item as changed, as far as DynamoDB takes it: a key is a text, and not an empty one."""
    taken = {k: v for k, v in changes.items() if k not in keys or (k in {"domain", "start_key"} and (v or {}).get("S"))}
    return {name: value for name, value in {**item, **taken}.items() if value is not None}


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(row=mutations, node=mutations)
def test_whatever_a_row_holds_every_plan_lists_the_same_and_stops_of_others_work(
    real: Tables, row: dict[str, Item | None], node: dict[str, Item | None]
) -> None:
    real.clear()
    real.put("runtimes", to_item(GOOD), to_item(OTHER), mutated(to_item(ODD), row, KEYS))
    other_node = to_node_item(replace(NODE, node=NodeName("odd@127.0.0.1")))
    real.put("nodes", to_node_item(NODE), mutated(other_node, node, ("site", "node")))
    listed = {plan: sorted(real.ids(raw)) for plan, raw in queries({"id": {"S": ODD.id}}).items()}
    assert {GOOD.id, OTHER.id} <= set(listed["walk"]) <= {GOOD.id, OTHER.id, ODD.id}
    assert all(ids == listed["walk"] for ids in listed.values()), listed
    assert real.stop(GOOD) is Verb.EXTERNAL_STOP
    try:
        real.stop(ODD)
    except (RuntimeNotFoundError, NodeUnreachableError):
        assert ODD.id not in listed["walk"], "what is listed can be stopped"
    assert {node.node for node in real.nodes.all_nodes()} == {NODE.node, "odd@127.0.0.1"}


@pytest.mark.parametrize(
    "number", ["NaN", "nan", "Infinity", "-Infinity", "1E400", "", "ten", "\u0661", "1_0", None, 5]
)
def test_a_lease_that_is_no_number_of_a_clock_is_over(number: Any) -> None:
    """DynamoDB takes no such number, but not every emulator is DynamoDB."""
    node, fault = to_node({**to_node_item(NODE), "lease_until": {"N": number}})
    assert (node.lease_until_s, fault) == (0.0, "lease_until: missing, or not of its type")
    assert not is_alive(node, now_s=NOW_S)


@pytest.mark.parametrize("item", [{}, {"site": None}, {"site": "SITE1", "node": []}, {"node": {"S": {}}}])
def test_an_item_of_any_form_is_read_as_a_dead_node(item: Item) -> None:
    node, fault = to_node(item)
    assert fault
    assert not is_alive(node, now_s=NOW_S)


def test_of_a_long_key_a_part_is_told(tables: Tables) -> None:
    tables.put("nodes", {"site": {"S": "SITE1"}, "node": {"S": "x" * 1000}})
    tables.ids("")
    assert tables.told == [("nodes", "SITE1", "x" * MAX_KEY)]
