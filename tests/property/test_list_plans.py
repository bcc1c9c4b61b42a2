"""Every plan of the list against brute force, on the in-memory store: 5,000 cases, or what `make fuzz CASES=` says."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from hypothesis import event, given, settings
from hypothesis import strategies as st

import oracle
import worlds
from ivr_runtimes.identifiers import RuntimeId, Session
from ivr_runtimes.listing.paging import next_link
from ivr_runtimes.listing.reader import MAX_LIMIT, Listing
from ivr_runtimes.model import Node, Runtime
from ivr_runtimes.ports import Page, WriteBatch
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.stores.memory import MemoryStore
from worlds import DOMAIN, World

CASES = int(os.environ.get("LIST_CASES", "5000"))
AT_RANDOM = "LIST_CASES" in os.environ
"""The gate tries the same cases every time; a fuzz run new ones."""


def cases(share: float) -> Any:
    return settings(max_examples=max(1, int(CASES * share)), deadline=None, derandomize=not AT_RANDOM, database=None)


class Table:
    """The in-memory store as DynamoDB is at its worst: tiny pages, some of them empty, and a world that moves."""

    def __init__(self, world: World, *, page_rows: int, empty: bool = False) -> None:
        self.runtimes = self.nodes = MemoryStore()
        worlds.put(world, self)
        self._page_rows = page_rows
        self._empty = empty
        self.changes: list[Any] = []

    def page(
        self,
        domain: Any,
        stretch: Any,
        *,
        cost: Any,
        resume: Any = None,
        limit: int | None = None,
        numbers: bool = False,
    ) -> Page:
        assert limit is None or 1 <= limit < MAX_LIMIT
        if self.changes:
            self.changes.pop(0)(self.runtimes)
        if self._empty and not isinstance(resume, Again):
            cost.add()
            return Page((), Again(resume))
        resume = resume.resume if isinstance(resume, Again) else resume
        rows = min(limit or self._page_rows, self._page_rows)
        return self.runtimes.page(domain, stretch, cost=cost, resume=resume, limit=rows, numbers=numbers)

    def of_ids(self, ids: Any, sites: Any, *, cost: Any, numbers: bool = False) -> Any:
        return self.runtimes.of_ids(ids, sites, cost=cost, numbers=numbers)


class Again:
    """The continuation key of an empty page."""

    def __init__(self, resume: Any) -> None:
        self.resume = resume


def ask(table: Table, raw: str, *, count: bool = False) -> Listing:
    return worlds.listing(table, table.nodes).select(parse_list_query(raw), DOMAIN, count=count)


def sessions(rows: Iterable[Any]) -> set[tuple[str, str, str]]:
    return {(row.site, row.node, row.session) for row in rows}


counting = st.sampled_from([False, False, False, True])
tables = st.fixed_dictionaries({"page_rows": st.integers(1, 20), "empty": st.booleans()})


@cases(0.6)
@given(data=st.data(), world=worlds.worlds(), asked=worlds.queries, shape=tables, count=counting)
def test_every_plan_answers_what_brute_force_answers(
    data: st.DataObject, world: World, asked: dict[str, Any], shape: dict[str, Any], count: bool
) -> None:
    raw = data.draw(oracle.written(asked))
    found = ask(Table(world, **shape), raw, count=count)
    matching = worlds.expected(world, asked)
    window = oracle.window(matching, asked)
    event(f"{found.plan.partition('+')[0]}, {'some' if window else 'no'} rows")

    shown = [oracle.shown(row, asked) for row in window]
    assert json.dumps(json.loads(parse_list_query(raw).render(found.rows))) == json.dumps(shown)
    assert found.total == (len(matching) if count else None)
    keys = asked.get("order", [("starttime", False)])
    way = keys[0][1]
    in_start_order = keys in ([("starttime", way)], [("starttime", way), ("id", way)])
    more = bool(window) and len(matching) > asked.get("offset", 0) + len(window)
    assert (found.following is not None) == (in_start_order and "limit" in asked and more)


@cases(0.1)
@given(data=st.data(), world=worlds.worlds(), asked=worlds.walks, shape=tables, count=counting)
def test_the_links_lead_through_the_whole_list(
    data: st.DataObject, world: World, asked: dict[str, Any], shape: dict[str, Any], count: bool
) -> None:
    table, matching = Table(world, **shape), worlds.expected(world, asked)
    pages = list(walked(table, data.draw(oracle.written(asked)), count=count))
    assert [(row.site, row.id) for page in pages for row in page.rows] == [(row.site, row.id) for row in matching]
    assert all(len(page.rows) == asked["limit"] for page in pages[:-1])
    assert {page.total for page in pages} == {len(matching) if count else None}


@cases(0.2)
@given(data=st.data(), world=worlds.worlds(most=20), asked=worlds.walks, shape=tables)
def test_while_rows_come_and_go_those_that_stay_are_shown_once_and_others_at_most_once(
    data: st.DataObject, world: World, asked: dict[str, Any], shape: dict[str, Any]
) -> None:
    some = st.lists(st.sampled_from(world.rows), max_size=8) if world.rows else st.just([])
    coming, going = ({(row.site, row.id) for row in data.draw(some)} for _ in range(2))
    start = World([row for row in world.rows if (row.site, row.id) not in coming], world.nodes)
    table = Table(start, **shape)
    moving = [row for row in world.rows if (row.site, row.id) in coming | going]
    for row in data.draw(st.permutations(moving)):
        table.changes.append(put(row) if (row.site, row.id) in coming else drop(row))
        table.changes.extend([lambda _: None] * data.draw(st.integers(0, 2)))

    seen = [row for page in walked(table, data.draw(oracle.written(asked))) for row in page.rows]
    times = Counter((row.site, row.id) for row in seen)
    staying = [row for row in worlds.expected(world, asked) if (row.site, row.id) not in coming | going]
    event(f"{len(staying)} stay, {len(seen) - len(staying)} of the others seen")
    assert all(times[row.site, row.id] == 1 for row in staying)
    assert all(count == 1 for count in times.values())
    assert {(row.site, row.id) for row in seen} <= {(row.site, row.id) for row in worlds.expected(world, asked)}


@cases(0.1)
@given(data=st.data(), world=worlds.worlds(most=20), asked=worlds.walks, shape=tables)
def test_while_a_node_starts_anew_no_answer_holds_rows_of_two_of_its_sessions(
    data: st.DataObject, world: World, asked: dict[str, Any], shape: dict[str, Any]
) -> None:
    table = Table(world, **shape)
    others = worlds.expected(world, asked)
    if world.nodes:
        node = data.draw(st.sampled_from(world.nodes))
        table.changes = [lambda _: None] * data.draw(st.integers(1, 4)) + [restart(node, world.rows)]
        others = [row for row in others if (row.site, row.node) != (node.site, node.node)]
    pages = list(walked(table, data.draw(oracle.written(asked))))

    seen = Counter((row.site, row.id) for page in pages for row in page.rows)
    assert all(seen[row.site, row.id] == 1 for row in others)
    assert all(count == 1 for count in seen.values())
    for page in pages:
        nodes = Counter((site, name) for site, name, _ in sessions(page.rows))
        assert all(count == 1 for count in nodes.values())


def walked(table: Table, raw: str, *, count: bool = False) -> Any:
    """Yield page after page by the links, as a client follows them; the function remembers its nodes meanwhile."""
    listing = worlds.listing(table, table.nodes)
    while True:
        page = listing.select(parse_list_query(raw), DOMAIN, count=count)
        yield page
        if page.following is None:
            return
        link = next_link(raw, page.following)
        assert link.endswith('>; rel="next"')
        raw = urlsplit(link[1 : link.index(">")]).query


def put(row: Runtime) -> Any:
    return lambda store: store.write(WriteBatch(site=row.site, puts=[row]))


def drop(row: Runtime) -> Any:
    return lambda store: store.write(WriteBatch(site=row.site, deletes=[row.id]))


def restart(node: Node, rows: list[Runtime]) -> Any:
    """A new life of a node's engine: other runtimes, while the old life's rows are still to be swept."""
    reborn = [
        replace(row, id=RuntimeId("f" + row.id[1:]), session=Session("new"))
        for row in rows
        if (row.site, row.node) == (node.site, node.node)
    ]

    def begin(store: MemoryStore) -> None:
        store.renew(replace(node, session=Session("new"), lease_until_s=worlds.NOW_S + 15), now_s=worlds.NOW_S + 9999)
        store.write(WriteBatch(site=node.site, puts=reborn))

    return begin
