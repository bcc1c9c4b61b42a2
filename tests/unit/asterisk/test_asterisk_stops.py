"""Stops at the tests' own Asterisk: what begins, what ends, what is refused for now, and what is never repeated."""

import asyncio
import logging

import pytest

import virtual
from ami import bridges
from ami.calls import hang_up, incoming
from ami.values import FUNCTIONS
from bridged import STOP_CAUSE, Bridged, bridged
from ivr_engine.model import Ack, AwayError, FullState, Result, State, StopType, UnknownRuntimeError

IN_BRANCH = Ack(State.POST_PROCESSING, Result.ACTED)
ENDED = Ack(State.ENDED, Result.ACTED)


async def call(world: Bridged, exten: str = "welcome", *, code: str = "", context: str = "ivr") -> FullState:
    """A caller comes in and is listed."""
    incoming(world.asterisk, context, exten)
    return await world.shown(code or exten)


def kept(world: Bridged) -> list[str]:
    """The variable of each living channel that has one."""
    return [text for one in world.asterisk.channels.values() if (text := one.get("IVR_STOPS"))]


def test_a_script_with_a_branch_is_led_into_it_and_the_id_is_shown_and_kept() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH
            shown = world.runtimes["welcome"]
            assert (shown.state, shown.stoptype, shown.stop_id) == (State.POST_PROCESSING, StopType.STOP, "one")
            assert kept(world) == ["acted one"]
            await world.empty()
            assert world.ends == ["stop"]

    virtual.run(story())


def test_a_script_without_a_branch_is_hung_up_with_a_cause_of_our_own() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world, "jump", code="menu")
            channel = next(iter(world.asterisk.channels.values()))
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == ENDED
            assert (world.ends, channel.cause) == (["stop"], STOP_CAUSE)

    virtual.run(story())


@pytest.mark.parametrize(("exten", "code"), [("bare", "bare"), ("play", "play"), ("dial", "dial")])
def test_terminate_ends_whatever_runs(exten: str, code: str) -> None:
    async def story() -> None:
        async with bridged(BARE) as world:
            runtime = await call(world, exten, code=code)
            assert await world.bridge.terminate(runtime.id, stop_id="one") == ENDED
            assert world.ends == ["stop"]
            with pytest.raises(UnknownRuntimeError):
                await world.bridge.terminate(runtime.id, stop_id="one")

    virtual.run(story())


BARE = """
[ivr]
exten => _[a-z].,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Goto(does,${EXTEN},1)
[does]
exten => bare,1,Goto(ivr-bare,s,1)
exten => play,1,Goto(ivr-play,s,1)
exten => dial,1,Goto(ivr-dial,s,1)
[ivr-bare]
exten => s,1,Wait(600)
[ivr-play]
exten => s,1,Playback(long-tone)
 same => n,Wait(600)
[ivr-dial]
exten => s,1,Dial(Local/agent@agents/n,30)
[agents]
exten => agent,1,Answer()
 same => n,Wait(600)
"""


def test_a_script_in_a_bridge_is_led_out_of_it_into_its_branch() -> None:
    async def story() -> None:
        async with bridged(DIALS) as world:
            runtime = await call(world, "dial")
            await world.until(lambda: len(world.asterisk.channels) == 3)
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH

    virtual.run(story())


DIALS = """
[ivr]
exten => dial,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Dial(Local/agent@agents/n,30)
[agents]
exten => agent,1,Answer()
 same => n,Wait(600)
[ivr-external-stop]
exten => dial,1,Wait(5)
 same => n,Hangup()
"""


def test_of_two_bridged_scripts_the_stopped_one_enters_its_branch_and_the_other_goes_on() -> None:
    async def story() -> None:
        async with bridged() as world:
            one, other = await call(world), await call(world, "survey")
            bridges.join(world.asterisk, *world.asterisk.channels.values())
            await asyncio.sleep(1)
            assert {one.id, other.id} == {state.id for state in world.runtimes.values()}
            assert await world.bridge.external_stop(one.id, stop_id="one") == IN_BRANCH

    virtual.run(story())


def test_a_redirect_that_is_acknowledged_and_lost_is_refused_for_now_and_works_when_repeated() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.asterisk.faults.lose_redirects = 1
            with pytest.raises(AwayError, match="not been seen"):
                await world.bridge.external_stop(runtime.id, stop_id="one")
            assert world.runtimes["welcome"].state is State.RUNNING
            assert kept(world) == ["asked one"]
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH

    virtual.run(story())


def test_a_branch_that_vanishes_between_question_and_redirect_ends_the_call_and_the_stop_says_so() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.asterisk.quirks.existence_needs_its_priority = False
            world.asterisk.dialplan.contexts["ivr-external-stop"].extensions["welcome"] = {}
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == ENDED
            assert world.ends == ["stop"]

    virtual.run(story())


def test_a_repeat_changes_nothing_whatever_its_verb_and_another_id_is_noted() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            await world.bridge.external_stop(runtime.id, stop_id="one")
            seq = world.bridge.snapshot().seq
            again = Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == again
            assert await world.bridge.terminate(runtime.id, stop_id="one") == again
            assert world.bridge.snapshot().seq == seq
            assert await world.bridge.external_stop(runtime.id, stop_id="two") == again
            assert world.runtimes["welcome"].stop_id == "two"
            assert kept(world) == ["acted two one"]
            assert await world.bridge.terminate(runtime.id, stop_id="three") == ENDED

    virtual.run(story())


def test_of_many_stops_with_one_id_at_once_one_acts() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            acks = await asyncio.gather(*(world.bridge.external_stop(runtime.id, stop_id="one") for _ in range(8)))
            assert [ack.result for ack in acks].count(Result.ACTED) == 1

    virtual.run(story())


def test_a_bridge_that_restarts_shows_the_same_and_repeats_no_stop() -> None:
    async def story() -> None:
        async with bridged() as world:
            stopped = await call(world)
            nested = await call(world, "calls-hold", code="player")
            await world.bridge.external_stop(stopped.id, stop_id="one")
            session, seq = world.bridge.session, world.bridge.snapshot().seq
            before = world.runtimes
            await world.restart_bridge()
            assert (world.bridge.session, world.runtimes["welcome"]) == (session, before["welcome"])
            assert world.runtimes["player"].id == nested.id
            assert world.runtimes["player"].rootcode == "calls-hold"
            assert world.bridge.snapshot().seq > seq
            assert [event.seq for event in world.told] == list(range(world.told[0].seq, world.told[0].seq + 2))
            repeated = await world.bridge.external_stop(stopped.id, stop_id="one")
            assert repeated == Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
            await world.until(lambda: "welcome" not in world.runtimes)

    virtual.run(story())


def test_a_stop_that_was_cut_off_by_the_bridges_end_is_carried_out_by_the_next() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.asterisk.faults.lose_redirects = 1
            with pytest.raises(AwayError):
                await world.bridge.external_stop(runtime.id, stop_id="one")
            await world.restart_bridge()
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH

    virtual.run(story())


def test_a_branch_that_ends_in_return_goes_back_into_the_script_and_the_log_says_how_to_write_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with bridged(RETURNS) as world:
            runtime = await call(world, "calls", code="player")
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH
            back = await world.shown("calls")
            assert (back.id, back.state, back.rootcode) == (runtime.id, State.RUNNING, None)
            assert await world.bridge.external_stop(runtime.id, stop_id="two") == ENDED

    with caplog.at_level(logging.WARNING):
        virtual.run(story())
    assert "branch_left" in {getattr(record, "action", "") for record in caplog.records}


RETURNS = """
[ivr]
exten => calls,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Gosub(ivr-player,s,1)
 same => n,Wait(600)
[ivr-player]
exten => s,1,Wait(600)
[ivr-external-stop]
exten => player,1,Wait(2)
 same => n,Return()
"""


def test_a_branch_that_returns_at_once_counts_as_begun() -> None:
    async def story() -> None:
        async with bridged(RETURNS.replace("player,1,Wait(2)", "player,1,NoOp()")) as world:
            runtime = await call(world, "calls", code="player")
            assert (await world.bridge.external_stop(runtime.id, stop_id="one")).result is Result.ACTED
            assert kept(world) == ["acted one"]

    virtual.run(story())


def test_while_asterisk_drains_stops_are_refused_for_now_and_calls_are_listed_until_they_end() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.asterisk.draining = True
            with pytest.raises(AwayError, match="shutting down"):
                await world.bridge.external_stop(runtime.id, stop_id="one")
            await asyncio.sleep(20)
            assert (list(world.runtimes), world.bridge.answered_s < 6) == (["welcome"], True)
            hang_up(world.asterisk, next(iter(world.asterisk.channels.values())), 16)
            await world.empty()

    virtual.run(story())


def test_a_graceful_restart_that_is_taken_back_lets_stops_through_again() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.asterisk.draining = True
            await asyncio.sleep(5)
            world.asterisk.draining = False
            await asyncio.sleep(5)
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH

    virtual.run(story())


def test_without_a_connection_stops_are_refused_for_now() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            world.refused = True
            world.wires[-1].end()
            await world.until(lambda: not world.reachable)
            with pytest.raises(AwayError, match="no connection"):
                await world.bridge.terminate(runtime.id, stop_id="one")

    virtual.run(story())


def test_an_asterisk_that_does_not_know_yet_whether_there_is_a_branch_gets_the_stop_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`DIALPLAN_EXISTS` reads as empty until its module is loaded: that must not count as no branch."""
    monkeypatch.setitem(FUNCTIONS, "DIALPLAN_EXISTS", lambda *_: "")

    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            with pytest.raises(AwayError, match="DIALPLAN_EXISTS"):
                await world.bridge.external_stop(runtime.id, stop_id="one")

    virtual.run(story())


def test_a_stop_of_a_runtime_that_is_none_is_unknown() -> None:
    async def story() -> None:
        async with bridged() as world:
            with pytest.raises(UnknownRuntimeError):
                await world.bridge.external_stop("00000000-0000-5000-8000-000000000000", stop_id="one")

    virtual.run(story())


def test_a_call_that_ends_while_its_stop_is_on_its_way_is_unknown() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            hang_up(world.asterisk, next(iter(world.asterisk.channels.values())), 16)
            with pytest.raises(UnknownRuntimeError):
                await world.bridge.external_stop(runtime.id, stop_id="one")

    virtual.run(story())


def test_two_bridges_at_one_asterisk_show_the_same_and_know_each_others_stops() -> None:
    async def story() -> None:
        async with bridged() as world:
            other = Bridged(world.asterisk)
            other.start()
            await other.up()
            runtime = await call(world)
            assert (await other.shown("welcome")).id == runtime.id
            assert await world.bridge.external_stop(runtime.id, stop_id="one") == IN_BRANCH
            await other.until(lambda: other.runtimes["welcome"].state is State.POST_PROCESSING)
            assert other.runtimes["welcome"].stop_id == "one"
            repeated = await other.bridge.external_stop(runtime.id, stop_id="one")
            assert repeated == Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
            await other.stop()

    virtual.run(story())
