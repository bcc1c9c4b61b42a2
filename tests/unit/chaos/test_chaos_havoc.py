"""Kills and restarts, on nodes that only remember what was done to them."""

import asyncio
from dataclasses import dataclass, field

import aiohttp
import pytest

from chaos.doors import Doors
from chaos.havoc import Havoc
from chaos.schedule import Blow, Profile, draw
from ivr_local.nodes import Part

A, B = "a@127.0.0.1", "b@127.0.0.1"


@dataclass(frozen=True)
class Spec:
    name: str
    control_port: int


@dataclass
class Child:
    pid: int
    name: str
    log: list
    alive: bool = True

    def kill(self):
        self.alive = False
        self.log.append(f"kill {self.name}")

    async def wait(self):
        return -9


@dataclass
class Node:
    spec: Spec
    children: dict = field(default_factory=dict)
    started: list = field(default_factory=list)
    log: list = field(default_factory=list)

    async def start(self, *parts):
        for part in parts:
            name = f"{part} {self.spec.name}"
            self.log.append(f"start {name}")
            self.children[part] = Child(1000 * self.spec.control_port + len(self.started), name, self.log)
            self.started.append((part, self.spec.control_port))

    async def missing(self, _):
        return []


@pytest.fixture
async def nodes():
    log: list = []
    made = {A: Node(Spec(A, 1), log=log), B: Node(Spec(B, 2), log=log)}
    for node in made.values():
        await node.start(Part.ENGINE, Part.AGENT)
    log.clear()
    return made


def doors():
    return {
        A: Doors(engine_port=11, agent_port=12, token="a"),
        B: Doors(engine_port=21, agent_port=22, token="b"),
    }


async def rage(nodes, *blows):
    schedule = draw(1, duration_s=1, nodes=(A, B), swapping=(A, B), profile=Profile(victims=()))
    object.__setattr__(schedule, "blows", blows)
    async with aiohttp.ClientSession() as http:
        havoc = Havoc(nodes=nodes, doors=doors(), schedule=schedule, http=http)
        await havoc.rage()
        await havoc.mend()
    return havoc


async def test_a_killed_engine_is_remembered_with_its_pid_and_comes_back(nodes):
    old = nodes[A].children[Part.ENGINE]
    havoc = await rage(nodes, Blow(0.0, (A,), ("engine",), 0.01))
    assert not old.alive
    assert nodes[A].children[Part.ENGINE].alive
    assert list(havoc.killed) == [old.pid]
    assert (havoc.kills, [(trouble.node, trouble.what) for trouble in havoc.troubles]) == (1, [(A, "process")])


async def test_a_killed_agent_is_no_dead_engine(nodes):
    havoc = await rage(nodes, Blow(0.0, (A,), ("agent",), 0.0))
    assert (havoc.kills, havoc.killed) == (1, {})


async def test_two_agents_come_back_on_each_others_ports(nodes):
    havoc = await rage(nodes, Blow(0.0, (A, B), ("agent",), 0.0))
    assert [nodes[name].started[-1] for name in (A, B)] == [(Part.AGENT, 2), (Part.AGENT, 1)]
    assert (havoc.kills, havoc.swaps) == (2, {"agents": 1})
    assert havoc.doors == doors()


async def test_two_nodes_come_back_on_each_others_ports_with_their_own_tokens(nodes):
    havoc = await rage(nodes, Blow(0.0, (A, B), ("engine", "agent"), 0.0))
    assert havoc.doors == {
        A: Doors(engine_port=21, agent_port=22, token="a"),
        B: Doors(engine_port=11, agent_port=12, token="b"),
    }
    assert [node.spec.control_port for node in nodes.values()] == [2, 1]
    assert (havoc.kills, len(havoc.killed), havoc.swaps) == (4, 2, {"engines and agents": 1})


async def test_their_engines_change_places_while_the_agents_still_ask_at_the_old_ones(nodes):
    await rage(nodes, Blow(0.0, (A, B), ("engine", "agent"), 0.0))
    assert nodes[A].log == [
        f"{what} {part} {node}"
        for part in ("engine", "agent")
        for what in ("kill", "start")
        for node in (A, B)
    ]  # fmt: skip


async def test_a_swap_waits_until_both_nodes_run(nodes):
    havoc = await rage(nodes, Blow(0.0, (A,), ("agent",), 0.2), Blow(0.05, (A, B), ("agent",), 0.0))
    assert (havoc.kills, havoc.swaps) == (3, {"agents": 1})


async def test_a_node_that_is_down_is_left_alone(nodes):
    havoc = await rage(nodes, Blow(0.0, (A,), ("agent",), 0.2), Blow(0.05, (A,), ("engine",), 0.0))
    assert havoc.kills == 1


async def test_what_goes_wrong_while_killing_is_not_swallowed(nodes):
    nodes[A].children.clear()
    with pytest.raises(KeyError):
        await rage(nodes, Blow(0.0, (A,), ("agent",), 0.0))
    await asyncio.sleep(0)
