"""Doors: ports change hands, tokens do not."""

from chaos import doors
from chaos.doors import Doors
from ivr_local.nodes import Part


def test_both_parts_of_a_node_are_told_the_same_ports_and_the_same_token():
    one = Doors(engine_port=1, agent_port=2, token="t")
    engine, agent = one.environment(Part.ENGINE), one.environment(Part.AGENT)
    assert engine["IVR_SANDBOX_LISTEN"] == agent["IVR_AGENT_ENGINE"] == "http://127.0.0.1:1"
    assert engine["IVR_SANDBOX_AGENT"] == agent["IVR_AGENT_LISTEN"] == "http://127.0.0.1:2"
    assert engine["IVR_SANDBOX_TOKEN"] == agent["IVR_AGENT_ENGINE_TOKEN"] == "t"


def test_every_door_has_a_port_and_every_node_a_token_of_its_own():
    made = doors.of(["a", "b"], range(20_000, 20_004))
    assert len({port for one in made.values() for port in (one.engine_port, one.agent_port)}) == 4
    assert made["a"].token != made["b"].token


def test_an_exchange_leaves_the_tokens():
    one, other = Doors(engine_port=1, agent_port=2, token="a"), Doors(engine_port=3, agent_port=4, token="b")
    doors.exchange(one, other)
    assert one == Doors(engine_port=3, agent_port=4, token="a")
    assert other == Doors(engine_port=1, agent_port=2, token="b")
