"""Worlds for the list to be tried in: rows of several sites and domains, living, dead and reborn nodes, and queries.

`expected` is the brute-force answer, by the interpreter of `oracle`; it shares no code with the planner.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

import oracle
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site, StopId
from ivr_runtimes.listing.reader import RuntimeList
from ivr_runtimes.model import Node, Runtime, State, StopType
from ivr_runtimes.ports import WriteBatch

NOW_S: Final = 1_800_000_000.0
DOMAIN: Final = Domain("test.rootdomain.ru")
SITES: Final = (Site("SITE1"), Site("SITE2"), Site("S3"))
"""The configured sites. A fourth, taken off, may have left rows and nodes behind."""

GONE: Final = Site("GONE")
LEASES_S: Final = (15.0, 0.0, -1.5, -2.5, -3600.0, 61.0, 3600.0)
"""Ahead of now: good, within the skew, lapsed, handed over, and from an impossible future."""

NODES: Final = tuple(map(NodeName, ("n1@10.0.0.1", "n2@10.0.0.1", "n3@[::1]")))
SESSIONS: Final = tuple(map(Session, ("s1", "s2")))
IDS: Final = tuple(RuntimeId(f"{n:08x}-0624-e639-8061-a8000000000{n % 3}") for n in range(12))


@dataclass(frozen=True)
class World:
    """What the tables hold."""

    rows: list[Runtime]
    nodes: list[Node]

    def alive(self) -> list[Runtime]:
        """The caller's active rows, by the letter of the design: same session, a lease neither over nor absurd."""
        return [row for row in self.rows if row.domain == DOMAIN and row.site in SITES and self._vouched(row)]

    def _vouched(self, row: Runtime) -> bool:
        for node in self.nodes:
            if (node.site, node.node, node.session) == (row.site, row.node, row.session):
                return -2.0 < node.lease_until_s - NOW_S <= 62.0
        return False


def node(site: Site, name: NodeName, session: Session, ahead_s: float) -> Node:
    return Node(
        site=site,
        node=name,
        session=session,
        lease_until_s=NOW_S + ahead_s,
        agent_id="a",
        control_port=7001,
        agent_version="0.1.0",
        started_at="2019-11-05T00:00:00Z",
    )


@st.composite
def worlds(draw: st.DrawFn, *, texts: Sequence[str] = oracle.WORDS, most: int = 20) -> World:
    """A world of up to `most` rows, made by chance alone: most of it alive, because the dead test little."""
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311  # no secret
    everywhere = [(site, name) for site in (*SITES, GONE) for name in NODES]
    nodes = [_node(chance, site, name) for site, name in everywhere if chance.random() < 0.9]
    rows = [_row(chance, texts) for _ in range(draw(st.integers(0, most)))]
    return World(list({(row.site, row.id): row for row in rows}.values()), nodes)


def _node(chance: random.Random, site: Site, name: NodeName) -> Node:
    ahead_s = chance.choice([15.0] * 12 + [*LEASES_S])
    return node(site, name, chance.choice([SESSIONS[0]] * 6 + [SESSIONS[1]]), ahead_s)


def _row(chance: random.Random, texts: Sequence[str]) -> Runtime:
    number = chance.randrange(len(IDS))
    # Where two sites claim one id, they mostly agree on its start, so that the index has two rows of one key.
    starttime = oracle.SECONDS[number % len(oracle.SECONDS)] if chance.random() < 0.7 else chance.choice(oracle.SECONDS)
    return Runtime(
        id=IDS[number],
        site=chance.choice([*SITES * 6, GONE]),
        node=chance.choice(NODES),
        domain=chance.choice([DOMAIN] * 9 + [Domain("other.example")]),
        session=chance.choice([SESSIONS[0]] * 8 + [SESSIONS[1]]),
        type=chance.choice(texts[:3]),
        code=chance.choice(texts[:5]),
        name=chance.choice(texts),
        starttime=starttime,
        state=chance.choice([*State]),
        stoptype=chance.choice([None, *StopType]),
        stop_id=chance.choice([None, *map(StopId, texts[:3])]),
        rootcode=chance.choice([None, *texts[:4]]),
        rootname=chance.choice([None, *texts[:4]]),
        caller=chance.choice([None, *texts[:4]]),
        called=chance.choice([None, *texts[:4]]),
        call_id=chance.choice([None, *texts[:4]]),
        lwt=chance.choice(oracle.SECONDS),
    )


def values(name: str) -> st.SearchStrategy[str]:
    """Constants of a field, most of them some row's."""
    own: dict[str, Iterable[str]] = {
        "id": (*IDS, IDS[10].upper(), IDS[11].title(), "0000000c-0624-e639-8061-a80000000002", ""),
        "site": (*SITES, *SITES, GONE, "X"),
        "node": NODES,
        "domain": (DOMAIN, DOMAIN, DOMAIN, "other.example"),
        "ext.session": SESSIONS,
    }
    return st.sampled_from(tuple(own[name])) if name in own else oracle.constants(name)


@st.composite
def conjuncts(draw: st.DrawFn) -> list[Any]:
    """A test that a plan can make use of."""
    name = draw(
        st.sampled_from(
            ["id", "id", "site", "node", "code", "type", "domain", "starttime", "starttime", "ext.state", "ext.caller"]
        )
    )
    if name == "starttime" and draw(st.booleans()):
        sides = [["property", name], draw(values(name))]
        operator = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
        return [operator, *(sides if draw(st.booleans()) else reversed(sides))]
    several = draw(st.lists(values(name), min_size=1, max_size=6 if name == "id" else 4))
    if draw(st.booleans()):
        return ["in", ["property", name], ["const", several]]
    return [draw(st.sampled_from(["==", "==", "!="])), ["property", name], several[0]]


@st.composite
def narrowing(draw: st.DrawFn) -> Any:
    """A filter that a plan can make use of, in either notation, sometimes beside a part that it cannot."""
    parts: list[Any] = draw(st.lists(conjuncts(), min_size=1, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        parts.append(draw(oracle.expressions))
    if draw(st.integers(0, 3)) == 0:
        names = draw(st.lists(st.sampled_from(["id", "site", "code", "domain", "starttime"]), unique=True, max_size=3))
        return {name: draw(values(name) | st.lists(values(name), min_size=1, max_size=3)) for name in names}
    return parts[0] if len(parts) == 1 else [draw(st.sampled_from(["and", "&&"])), *parts]


start_orders = st.booleans().map(lambda descending: [("starttime", descending)])
windows = st.integers(0, 12)
anything: dict[str, st.SearchStrategy[Any]] = {
    "filter": narrowing() | narrowing() | oracle.filters,
    "order": start_orders | start_orders | oracle.orders,
    "mask": oracle.masks,
    "flat": st.booleans(),
    "offset": st.integers(0, 5),
    "limit": windows,
}
pages = st.fixed_dictionaries({"limit": windows}, optional={"filter": anything["filter"], "order": start_orders})
queries = st.fixed_dictionaries({}, optional=anything) | pages | pages
walks = st.fixed_dictionaries(
    {"limit": st.integers(1, 4)}, optional={"filter": narrowing() | oracle.filters, "order": start_orders}
)


def expected(world: World, asked: dict[str, Any]) -> list[Runtime]:
    """Every row that the query matches, in its order; the window is the caller's to cut."""
    return oracle.matching(asked, world.alive())


def put(world: World, store: Any) -> None:
    """Write a world into a store."""
    for site in (*SITES, GONE):
        rows = [row for row in world.rows if row.site == site]
        if rows:
            store.runtimes.write(WriteBatch(site=site, puts=rows))
    for each in world.nodes:
        store.nodes.renew(each, now_s=NOW_S)


def listing(runtimes: Any, nodes: Any, *, clock: Callable[[], float] = lambda: NOW_S) -> RuntimeList:
    return RuntimeList(runtimes=runtimes, nodes=nodes, sites=SITES, clock=clock)
