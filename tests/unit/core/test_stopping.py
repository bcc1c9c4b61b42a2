"""The stop use case: what the function's own tests cannot show without waiting or breaking AWS."""

import threading
from dataclasses import replace

import pytest

from ivr_runtimes.errors import AmbiguousWriteError, OutcomeUnknownError, RuntimeNotFoundError
from ivr_runtimes.http.caller import Caller
from ivr_runtimes.identifiers import Domain, StopId
from ivr_runtimes.ports import WriteBatch
from ivr_runtimes.stopping.acceptance import BUDGET_S, CALL_TIMEOUT_S, RuntimeStop
from ivr_runtimes.stopping.request import StopRequest
from ivr_runtimes.stores.memory import MemoryQueue, MemoryStore
from rows import DOMAIN, PLAYER, node_of

NOW_S = 1_800_000_000.0
CALLER = Caller(DOMAIN, "operator")
KEY = StopId("key-1")


class World:
    def __init__(self):
        self.monotonic_s = 0.0
        self.queue = MemoryQueue()
        self.store = MemoryStore()
        self.store.write(WriteBatch(site=PLAYER.site, puts=[PLAYER]))
        self.store.renew(node_of(PLAYER, lease_until_s=NOW_S + 15), now_s=NOW_S)

    def stop(self, **ports):
        defaults = {"runtimes": self.store, "nodes": self.store, "queue": self.queue, "sites": (PLAYER.site,)}
        return RuntimeStop(**{**defaults, **ports}, clock=lambda: NOW_S, monotonic=lambda: self.monotonic_s).accept(
            StopRequest(PLAYER.id, KEY), CALLER
        )


@pytest.fixture
def world():
    return World()


class Slow:
    """The store, answering late by so many seconds in all."""

    def __init__(self, world, *, find_s=0.0, read_s=0.0):
        self._world, self._find_s, self._read_s = world, find_s, read_s

    def find(self, *args):
        self._world.monotonic_s += self._find_s
        return self._world.store.find(*args)

    def read(self, *args):
        self._world.monotonic_s += self._read_s
        return self._world.store.read(*args)


class Broken:
    def __getattr__(self, _name):
        raise AmbiguousWriteError("cut")


def test_the_last_call_begins_only_if_it_can_end_within_ten_seconds(world):
    slow = Slow(world, find_s=2.5, read_s=2.5)
    assert world.stop(runtimes=slow, nodes=slow).stop_id == KEY
    assert len(world.queue) == 1


@pytest.mark.parametrize(("find_s", "read_s"), [(BUDGET_S - CALL_TIMEOUT_S + 0.1, 0.0), (2.5, 2.6)])
def test_a_slow_table_ends_in_an_unknown_outcome_before_ten_seconds_are_over(world, find_s, read_s):
    slow = Slow(world, find_s=find_s, read_s=read_s)
    with pytest.raises(OutcomeUnknownError):
        world.stop(runtimes=slow, nodes=slow)
    assert world.monotonic_s <= 10
    assert len(world.queue) == 0


class Hanging:
    def __init__(self):
        self.go_on = threading.Event()

    def __getattr__(self, _name):
        def hang(*_):
            self.go_on.wait(10)
            raise AmbiguousWriteError("at last")

        return hang


@pytest.mark.parametrize("port", ["runtimes", "nodes", "queue"])
def test_whatever_hangs_is_not_waited_for(world, port, monkeypatch):
    """The SDK limits each connection and each read, but not a resolver: a stop could take longer than promised."""
    monkeypatch.setattr("ivr_runtimes.stopping.acceptance.ANSWER_WITHIN_S", 0.05)
    hanging = Hanging()
    with pytest.raises(OutcomeUnknownError):
        world.stop(**{port: hanging})
    hanging.go_on.set()


@pytest.mark.parametrize("port", ["runtimes", "nodes", "queue"])
def test_whatever_gives_no_answer_the_caller_learns_the_key_to_repeat_with(world, port):
    with pytest.raises(OutcomeUnknownError) as caught:
        world.stop(**{port: Broken()})
    assert KEY in caught.value.detail
    assert caught.value.retry_after_s == 1


def test_a_repeat_needs_no_live_node_because_the_stop_has_been_acknowledged(world):
    world.store.write(WriteBatch(site=PLAYER.site, puts=[replace(PLAYER, stop_id=KEY)]))
    lapsed = MemoryStore()
    lapsed.renew(node_of(PLAYER, lease_until_s=NOW_S - 60), now_s=NOW_S)
    assert world.stop(nodes=lapsed).verb is None
    assert len(world.queue) == 0


def test_a_node_whose_row_has_expired_runs_nothing(world):
    with pytest.raises(RuntimeNotFoundError):
        world.stop(nodes=MemoryStore())


def test_the_node_of_a_foreign_row_is_not_even_read(world):
    world.store.write(WriteBatch(site=PLAYER.site, puts=[replace(PLAYER, domain=Domain("other.example"))]))
    with pytest.raises(RuntimeNotFoundError):
        world.stop(nodes=Broken())
