"""Stops: what a command does to a call, and that nothing but an event, a dump or a missing channel proves it."""

import asyncio

import pytest

from esl.world import World, until
from ivr_engine.model import Ack, AwayError, Result, State, UnknownRuntimeError
from ivr_engine.stopping import PROOF_S, STOP_S

BEGUN = Ack(State.POST_PROCESSING, Result.ACTED)
ENDED = Ack(State.ENDED, Result.ACTED)
AGAIN = Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)


async def call_of(world: World, number: str, context: str = "ivr") -> str:
    call = world.switch.originate(number, context)
    await until(lambda: call in world.rows())
    return call


def given(world: World, verb: str) -> list[str]:
    return [command for command in world.switch.said if command.startswith(verb)]


async def test_external_stop_hands_the_call_to_the_branch_of_its_script(world: World) -> None:
    call = await call_of(world, "welcome")
    await until(lambda: world.rows()[call].name == "Main scenario")
    assert await world.bridge.external_stop(call, stop_id="one") == BEGUN
    row = world.rows()[call]
    assert (row.state, row.stoptype, row.stop_id, row.code) == (State.POST_PROCESSING, "stop", "one", "welcome")
    assert given(world, "uuid_transfer") == [f"uuid_transfer {call} welcome XML ivr-external-stop"]
    await until(lambda: not world.rows())
    assert world.ends() == {call: "stop"}, "a branch that comes to its end ended by the stop"


async def test_without_a_branch_in_the_settings_the_call_is_killed_with_a_cause_of_our_own(world: World) -> None:
    call = await call_of(world, "survey")
    assert await world.bridge.external_stop(call, stop_id="one") == ENDED
    assert given(world, "uuid_kill") == [f"uuid_kill {call} MANAGER_REQUEST"]
    assert given(world, "uuid_transfer") == []
    assert (world.rows(), world.ends()) == ({}, {call: "stop"})


async def test_a_branch_that_the_dialplan_does_not_have_is_not_transferred_to(world: World) -> None:
    """The settings name a context for 1xx, which has an extension for `welcome` and 2xx only."""
    call = await call_of(world, "145")
    assert await world.bridge.external_stop(call, stop_id="one") == ENDED
    assert given(world, "xml_locate") == ["xml_locate dialplan context name ivr-external-stop"]
    assert given(world, "uuid_transfer") == []


async def test_the_dialplan_is_asked_at_each_stop_because_a_reload_cannot_be_told_from_a_failed_one(
    world: World,
) -> None:
    """`reloadxml` of a broken file answers +OK without an event; the reload of a module sends the event as well."""
    xml = world.switch.dialplan.xml
    world.switch.dialplan.xml = lambda _: "can't find anything\n"  # type: ignore[method-assign]  # a context removed
    assert await world.bridge.external_stop(await call_of(world, "welcome"), stop_id="one") == ENDED
    world.switch.dialplan.xml = xml  # type: ignore[method-assign]  # and back
    assert await world.bridge.external_stop(await call_of(world, "welcome"), stop_id="one") == BEGUN


async def test_a_catch_all_context_is_not_asked_about(world: World) -> None:
    call = await call_of(world, "deeper", "ivr-player")
    answer = await world.bridge.external_stop(call, stop_id="one")
    assert answer in {BEGUN, ENDED}, "the recorded catch-all logs and hangs up at once"
    assert given(world, "xml_locate") == []
    assert given(world, "uuid_transfer") == [f"uuid_transfer {call} deeper XML ivr-stop-catchall"]


async def test_a_branch_that_is_over_at_once_has_ended_when_the_stop_is_answered(world: World) -> None:
    """A real FreeSWITCH hung up between the first event of a catch-all and the answer; here that event is late."""
    call = await call_of(world, "deeper", "ivr-player")
    world.switch.faults |= {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}
    assert await world.bridge.external_stop(call, stop_id="one") == ENDED
    assert (world.rows(), world.ends()) == ({}, {call: "stop"})
    assert len(given(world, "uuid_transfer")) == 1


async def test_terminate_kills_whatever_runs(world: World) -> None:
    call = await call_of(world, "welcome")
    await world.bridge.external_stop(call, stop_id="one")
    assert await world.bridge.terminate(call, stop_id="two") == ENDED
    assert world.ends() == {call: "stop"}
    with pytest.raises(UnknownRuntimeError):
        await world.bridge.terminate(call, stop_id="two")


async def test_an_accepted_id_is_a_no_op_whatever_its_verb(world: World) -> None:
    call = await call_of(world, "welcome")
    await world.bridge.external_stop(call, stop_id="one")
    assert await world.bridge.external_stop(call, stop_id="one") == AGAIN
    assert await world.bridge.terminate(call, stop_id="one") == AGAIN
    assert await world.bridge.external_stop(call, stop_id="two") == AGAIN
    assert world.rows()[call].stop_id == "two"
    assert await world.bridge.terminate(call, stop_id="two") == AGAIN
    assert len(given(world, "uuid_transfer")) == 1
    assert given(world, "uuid_kill") == []


async def test_of_many_repeats_at_once_one_acts(world: World) -> None:
    call = await call_of(world, "welcome")
    answers = await asyncio.gather(*(world.bridge.external_stop(call, stop_id="one") for _ in range(10)))
    assert sorted(answer.result for answer in answers) == ["acted", *["already_stopping"] * 9]
    assert len(given(world, "uuid_transfer")) == 1


async def test_accepted_ids_outlive_the_bridge(world: World) -> None:
    call = await call_of(world, "welcome")
    await world.bridge.external_stop(call, stop_id='any "visible", \\s $id;')
    before = world.bridge.snapshot()
    await world.stop()
    world.start()
    await world.ready()
    row = world.rows()[call]
    assert (row.stop_id, row.state, row.code) == ('any "visible", \\s $id;', State.POST_PROCESSING, "welcome")
    assert await world.bridge.terminate(call, stop_id='any "visible", \\s $id;') == AGAIN
    assert world.bridge.snapshot().seq > before.seq, "seq is above all that the bridge before has told"
    assert world.bridge.session == before.session


async def test_a_stop_that_the_bridge_did_not_outlive_counts_if_the_branch_began(world: World) -> None:
    """The bridge ended between the transfer and its answer: the repeat must not kill the goodbye."""
    call = await call_of(world, "welcome")
    await world.bridge.external_stop(call, stop_id="one")
    channel = world.switch.channels[call]
    channel.variables["ivr_stop_ids"] = "!" + channel.variables["ivr_stop_ids"]
    await world.stop()
    world.start()
    await world.ready()
    assert await world.bridge.terminate(call, stop_id="one") == AGAIN


async def test_a_stop_that_was_tried_in_vain_acts_when_it_is_repeated(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("transfers are lost")
    world.hurry()
    with pytest.raises(AwayError, match="not seen"):
        await world.bridge.external_stop(call, stop_id="one")
    assert world.rows()[call].state is State.RUNNING
    assert world.rows()[call].stop_id is None
    await world.stop()
    world.switch.faults.clear()
    world.start()
    await world.ready()
    assert await world.bridge.external_stop(call, stop_id="one") == BEGUN


async def test_ok_and_no_event_is_repeated_until_it_shows(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("transfers are lost")
    stop = asyncio.create_task(world.bridge.external_stop(call, stop_id="one"))
    await until(lambda: len(given(world, "uuid_transfer")) == 2)
    world.switch.faults.clear()
    assert await stop == BEGUN


async def test_a_transfer_whose_event_is_lost_is_proven_by_a_dump_and_not_repeated(world: World) -> None:
    """Another transfer would start the branch anew."""
    call = await call_of(world, "welcome")
    await until(lambda: world.rows()[call].name == "Main scenario")
    world.switch.faults |= {"CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE"}
    assert await world.bridge.external_stop(call, stop_id="one") == BEGUN
    assert len(given(world, "uuid_transfer")) == 1


async def test_a_transfer_that_kills_the_call_ended_it(world: World) -> None:
    """The branch was there when it was asked for, and is gone when the call comes: +OK, then NO_ROUTE_DESTINATION."""
    call = await call_of(world, "welcome")
    find = world.switch.dialplan.find
    world.switch.dialplan.find = lambda context, number: (  # type: ignore[method-assign]  # reloaded just then
        None if context == "ivr-external-stop" else find(context, number)
    )
    assert await world.bridge.external_stop(call, stop_id="one") == ENDED
    assert world.ends() == {call: "stop"}


async def test_a_transfer_that_leaves_the_call_in_cs_reset_has_not_begun(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("transfers end in CS_RESET")
    world.hurry()
    with pytest.raises(AwayError):
        await world.bridge.external_stop(call, stop_id="one")
    assert world.rows()[call].state is State.RUNNING
    assert await world.bridge.terminate(call, stop_id="two") == ENDED


async def test_a_channel_that_is_listed_but_cannot_be_killed_is_gone(world: World) -> None:
    """The list and no event says that it is there; `uuid_kill` says no such channel."""
    call = await call_of(world, "welcome")
    world.switch.faults |= {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE", "rows stay"}
    world.switch.hang_up(call)
    with pytest.raises(UnknownRuntimeError):
        await world.bridge.terminate(call, stop_id="one")
    await until(lambda: not world.rows())
    await asyncio.sleep(3 * world.times.look_every_s)
    assert world.rows() == {}, "the row that stays makes no ghost"


async def test_ok_and_the_row_stays_is_repeated_and_then_told_as_not_done(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("kills are lost")
    world.hurry()
    with pytest.raises(AwayError):
        await world.bridge.terminate(call, stop_id="one")
    assert len(given(world, "uuid_kill")) >= 2
    assert call in world.rows()
    world.switch.faults.clear()
    assert await world.bridge.terminate(call, stop_id="one") == ENDED, "an id whose stop had no effect acts again"


async def test_a_kill_whose_event_is_lost_is_proven_by_the_missing_channel(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults |= {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}
    assert await world.bridge.terminate(call, stop_id="one") == ENDED
    assert world.ends() == {call: "stop"}


async def test_a_channel_that_is_killed_while_it_records_and_never_destroyed_has_ended(world: World) -> None:
    """Its row stays, and `uuid_exists` says true for ever."""
    call = await call_of(world, "welcome")
    world.switch.faults |= {"channels are never destroyed", "rows stay"}
    assert await world.bridge.terminate(call, stop_id="one") == ENDED
    assert call in world.switch.channels
    await asyncio.sleep(3 * world.times.look_every_s)
    assert world.rows() == {}
    await world.stop()
    world.start()
    await world.ready()
    assert world.rows() == {}, "nor is it found by a bridge that restarts"


async def test_while_the_engine_is_away_a_stop_is_refused_as_temporary(world: World) -> None:
    call = await call_of(world, "welcome")
    world.server.access.denied = True
    world.server.drop()
    await until(lambda: not world.server.connections)
    with pytest.raises(AwayError, match="no connection"):
        await world.bridge.external_stop(call, stop_id="one")


async def test_a_connection_that_breaks_under_a_stop_leaves_it_undecided(world: World) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("transfers are lost")
    stop = asyncio.create_task(world.bridge.external_stop(call, stop_id="one"))
    await until(lambda: given(world, "uuid_transfer"))
    world.server.access.denied = True
    world.server.drop()
    with pytest.raises(AwayError):
        await stop


@pytest.mark.parametrize("number", ["2 05", "2\n\napi fsctl shutdown", "-both", "'205", "2;05", "x" * 129, ""])
async def test_a_number_that_would_change_the_command_is_never_part_of_one(world: World, number: str) -> None:
    """A caller chooses the number that is dialled; such a call is killed instead of transferred."""
    call = await call_of(world, "welcome")
    world.calls._channels[call].scripts[-1].place = number
    assert await world.bridge.external_stop(call, stop_id="one") == ENDED
    assert given(world, "uuid_transfer") == []
    assert "api fsctl shutdown" not in world.switch.said


async def test_a_stop_of_what_is_not_there_is_unknown(world: World) -> None:
    for runtime_id in ("00000000-0000-4000-8000-000000000099", "x\n\napi fsctl shutdown", ""):
        with pytest.raises(UnknownRuntimeError):
            await world.bridge.terminate(runtime_id, stop_id="one")
    assert given(world, "uuid_kill") == []


def test_a_stop_is_answered_before_the_agent_gives_up() -> None:
    assert STOP_S < 4
    assert 2 * PROOF_S < STOP_S, "time for a second try"
