"""The bridge beside a scripted FreeSWITCH: what runs is shown, whatever is lost on the way."""

import asyncio
import logging
from dataclasses import replace
from uuid import uuid4

import pytest

from esl.dialplan import Action
from esl.world import FAST, World, until
from ivr_engine.bridge import LOOKS
from ivr_engine.model import AwayError, Changed, Ended, Result, State
from ivr_freeswitch.link import JOBS


async def call_of(world: World, number: str, context: str = "ivr") -> str:
    call = world.switch.originate(number, context)
    await until(lambda: call in world.rows())
    return call


async def test_a_call_in_an_ivr_context_is_a_runtime_from_its_first_application_to_its_hangup(world: World) -> None:
    call = world.switch.originate("welcome", caller="+7 495 000")
    await until(lambda: call in world.rows() and world.rows()[call].name == "Main scenario")
    row = world.rows()[call]
    assert (row.code, row.type, row.domain, row.state) == ("welcome", "ivr", "test.rootdomain.ru", State.RUNNING)
    assert (row.caller, row.called, row.call_id) == ("+7 495 000", "far", call)
    world.switch.hang_up(call)
    await until(lambda: not world.rows())
    assert world.ends() == {call: "normal"}


async def test_a_call_that_leaves_the_ivr_contexts_ends_as_a_runtime_and_goes_on_as_a_call(world: World) -> None:
    call = await call_of(world, "leave")
    await until(lambda: not world.rows())
    assert call in world.switch.channels
    assert world.ends() == {call: "normal"}


async def test_a_transfer_to_another_ivr_context_is_the_same_runtime_with_another_script(world: World) -> None:
    call = await call_of(world, "jump")
    await until(lambda: world.codes() == ["menu"])
    assert {state.id for state in world.states(call)} == {call}
    assert len({state.starttime for state in world.states(call)}) == 1
    assert world.ends() == {}


async def test_outside_of_the_ivr_contexts_nothing_is_listed(world: World) -> None:
    world.switch.originate("s", "outside")
    marker = await call_of(world, "welcome")
    assert set(world.rows()) == {marker}


async def test_a_nested_script_outside_of_them_is_the_callers_still(world: World) -> None:
    find = world.switch.dialplan.find
    world.switch.dialplan.find = lambda context, number: (  # type: ignore[method-assign]  # a dialplan of the test's
        [Action("execute_extension", "s XML outside")] if number == "guest" else find(context, number)
    )
    call = await call_of(world, "guest")
    await until(lambda: world.switch.channels[call].places)
    assert (world.rows()[call].code, world.rows()[call].rootcode) == ("guest", None)


@pytest.fixture
def menus(unstarted: World) -> None:
    """Each extension is a menu `main`, and callers choose `sales` in it."""
    unstarted.switch.dialplan.find = lambda *_: [Action("ivr", "main")]  # type: ignore[method-assign]  # of the test's
    unstarted.switch.chosen = ["sales"]


async def test_a_menu_is_a_script_of_its_own_even_outside_of_the_ivr_contexts(world: World, menus: None) -> None:
    call = await call_of(world, "menus", "outside")
    await until(lambda: len(world.states(call)) == 3)
    world.switch.hang_up(call)
    await until(lambda: not world.rows())
    told = [(state.code, state.rootcode) for state in world.states(call)]
    assert told == [("main", None), ("sales", "main"), ("main", None)], "leaving one menu for another is no end"


async def test_a_menu_inside_of_a_script_is_nested(world: World, menus: None) -> None:
    call = await call_of(world, "welcome")
    await until(lambda: world.rows()[call].code == "sales")
    assert world.rows()[call].rootcode == "welcome"


async def test_a_menu_is_found_after_a_reconnect(unstarted: World, menus: None) -> None:
    call = unstarted.switch.originate("menus", "outside")
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    unstarted.start()
    await unstarted.ready()
    assert unstarted.rows()[call].code in {"main", "sales"}


async def test_two_scripts_that_are_bridged_have_both_ended(world: World) -> None:
    one, other = await call_of(world, "welcome"), await call_of(world, "survey")
    world.switch.bridge(one, other)
    await until(lambda: not world.rows())
    await asyncio.sleep(3 * world.times.look_every_s)
    assert world.ends() == {one: "normal", other: "normal"}
    world.switch.api(f"uuid_transfer {one} welcome XML ivr")
    await until(lambda: one in world.rows())


async def test_a_channel_that_gets_another_id_is_the_runtime_of_that_id(world: World) -> None:
    call = await call_of(world, "welcome")
    channel = world.switch.channels[call]
    channel.uuid = new = str(uuid4())
    world.switch.channels[new] = world.switch.channels.pop(call)
    world.switch.fire("CHANNEL_UUID", channel, {"Old-Unique-ID": call})
    await until(lambda: set(world.rows()) == {new})
    assert world.ends() == {call: "normal"}


async def test_an_id_that_is_no_uuid_is_not_listed(world: World) -> None:
    """The dialplan may choose any id; the protocol takes UUIDs only, and commands must not be made of other text."""
    world.switch.originate("welcome", uuid="my-call; fsctl shutdown")
    marker = await call_of(world, "welcome")
    assert set(world.rows()) == {marker}
    assert not [command for command in world.switch.said if "my-call" in command]


async def test_without_a_domain_a_call_is_not_listed_until_its_script_names_one(world: World) -> None:
    find = world.switch.dialplan.find
    world.switch.dialplan.find = lambda context, number: (  # type: ignore[method-assign]  # a dialplan of the test's
        [Action("sleep", "100"), Action("set", "ivr_domain=Other.rootdomain.ru"), Action("park", "")]
        if number == "late"
        else find(context, number)
    )
    call = world.switch.originate("late", "ivr-free")
    await until(lambda: call in world.rows())
    assert world.rows()[call].domain == "other.rootdomain.ru"
    assert len(world.states(call)) == 1


# What is lost on the way


async def test_until_the_channels_are_known_the_engine_counts_as_away(unstarted: World) -> None:
    unstarted.server.access.denied = True
    unstarted.start()
    await until(lambda: unstarted.server.accepted)
    assert unstarted.bridge.session is None
    with pytest.raises(AwayError):
        unstarted.bridge.snapshot()
    with pytest.raises(AwayError):
        await unstarted.bridge.terminate(str(uuid4()), stop_id="one")


async def test_a_hangup_counts_from_its_first_event_which_does_not_wait_for_a_playbacks_end(world: World) -> None:
    call = await call_of(world, "play")
    world.switch.faults.add("channels are never destroyed")  # CHANNEL_HANGUP_COMPLETE will not come
    world.switch.hang_up(call)
    await until(lambda: not world.rows())


async def test_events_that_an_overloaded_engine_drops_are_made_up_for(world: World) -> None:
    kept, lost = await call_of(world, "welcome"), await call_of(world, "survey")
    every = {
        "CHANNEL_CREATE",
        "CHANNEL_EXECUTE",
        "CHANNEL_EXECUTE_COMPLETE",
        "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE",
    }
    world.switch.faults |= every
    young = world.switch.originate("welcome")
    world.switch.hang_up(lost)
    world.switch.api(f"uuid_transfer {kept} menu XML ivr-menu")
    await until(lambda: set(world.rows()) == {kept, young} and world.codes() == ["menu", "welcome"])


async def test_a_reconnect_subscribes_again_and_takes_each_event_once(world: World) -> None:
    for _ in range(3):
        world.server.drop()
        await until(lambda: world.server.connections and world.server.connections[0].events)
    await until(lambda: world.life.answered_s < 0.2)
    assert len(world.server.connections) == len(world.switch.listeners) == 1
    call = await call_of(world, "survey")
    await until(lambda: world.rows()[call].name == "Survey")
    told = [event for event in world.told if isinstance(event, Changed) and event.state.id == call]
    assert len({event.state for event in told}) == len(told), "no state is told twice"
    assert [event.seq for event in world.told] == list(range(world.told[0].seq, world.told[-1].seq + 1))


async def test_what_changed_while_the_connection_was_lost_is_found(world: World) -> None:
    gone, nested = await call_of(world, "welcome"), await call_of(world, "nested")
    world.server.access.denied = True
    world.server.drop()
    await until(lambda: not world.switch.listeners)
    world.switch.hang_up(gone)
    young = world.switch.originate("survey")
    await until(lambda: world.switch.channels[nested].places)
    world.server.access.denied = False
    await until(lambda: set(world.rows()) == {nested, young})
    assert world.rows()[nested].rootname == "Caller script", "what the source was called is still known"


async def test_a_channel_of_a_failed_dial_that_never_leaves_the_list_is_no_runtime(world: World) -> None:
    uuid = str(uuid4())
    row = {
        "uuid": uuid,
        "context": "ivr",
        "dest": "welcome",
        "state": "CS_INIT",
        "application": "",
        "application_data": "",
    }
    world.switch._listed[uuid] = row
    world.switch._listed["x"] = {**row, "uuid": "no-uuid"}
    marker = await call_of(world, "welcome")
    await asyncio.sleep(3 * world.times.look_every_s)
    assert set(world.rows()) == {marker}


async def test_an_engine_that_hangs_on_a_living_connection_counts_as_away(
    unstarted: World, caplog: pytest.LogCaptureFixture
) -> None:
    unstarted.times = replace(FAST, silent_s=0.3)
    unstarted.start()
    await unstarted.ready()
    unstarted.switch.faults.add("BACKGROUND_JOB")
    with caplog.at_level(logging.WARNING):
        await until(lambda: "the engine has not answered for" in caplog.text)
    unstarted.switch.faults.clear()
    await until(lambda: unstarted.life.answered_s < 0.2)


async def test_a_heartbeat_proves_that_the_engine_lives(world: World) -> None:
    world.switch.faults.add("BACKGROUND_JOB")
    await until(lambda: world.life.answered_s > 0.2)
    world.switch.heartbeat()
    await until(lambda: world.life.answered_s < 0.2)


async def test_an_event_that_lacks_what_every_event_has_is_told_and_skipped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    call = await call_of(world, "welcome")
    channel = world.switch.channels[call]
    with caplog.at_level(logging.WARNING):
        for bad in ({"Event-Sequence": "x"}, {"Event-Sequence": None}):
            event = {**world.switch._event("CHANNEL_EXECUTE", channel.headers()), **bad}
            world.server.connections[0].hear({name: value for name, value in event.items() if value is not None})
        later = await call_of(world, "survey")
    assert {call, later} == set(world.rows())
    actions = [record.action for record in caplog.records]  # type: ignore[attr-defined]  # extra
    assert actions == ["event_unreadable", "event_unreadable"], "the first and the second"


@pytest.mark.parametrize("body", ["[]", "{", "nothing"])
async def test_what_is_no_event_ends_the_connection_and_another_is_made(world: World, body: str) -> None:
    world.server.connections[0].send("text/event-json", body)
    await until(lambda: world.server.accepted == 2 and world.server.connections)
    await call_of(world, "welcome")


async def test_a_stream_that_is_no_event_sockets_ends_the_connection_and_another_is_made(world: World) -> None:
    world.server.connections[0].send("text/event-json", **{"Content-Length": "many"})
    await until(lambda: world.server.accepted == 2 and world.server.connections)
    await call_of(world, "welcome")


async def test_log_lines_and_other_frames_between_the_events_do_no_harm(world: World) -> None:
    world.server.connections[0].send("log/data", "2026-11-25 [NOTICE] New Channel null/far\n", **{"Log-Level": "5"})
    await call_of(world, "welcome")
    assert world.server.accepted == 1


async def test_two_bridges_on_one_engine_tell_the_same(world: World, unstarted: World) -> None:
    """`unstarted` is the same engine: one that is left running by mistake must not stop what the other shows."""
    assert world is unstarted
    calls = {await call_of(world, "welcome"), await call_of(world, "survey")}
    first, told = world.bridge, len(world.told)
    world.start()
    await until(lambda: world.bridge is not first and world.bridge.session)
    assert (
        {row.id for row in world.bridge.snapshot().runtimes} == {row.id for row in first.snapshot().runtimes} == calls
    )
    assert not [event for event in world.told[told:] if isinstance(event, Ended)]


async def test_a_list_that_the_engine_cannot_make_is_no_empty_list(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    call = await call_of(world, "welcome")
    world.switch.faults.add("the database is away")
    with caplog.at_level(logging.WARNING):
        await until(lambda: "the engine answered a list or a dump with something else" in caplog.text)
    assert set(world.rows()) == {call}
    world.switch.faults.clear()
    await until(lambda: world.life.answered_s < 0.2)


async def test_a_dump_that_lacks_what_every_dump_has_is_skipped(
    unstarted: World, caplog: pytest.LogCaptureFixture
) -> None:
    odd, call = unstarted.switch.originate("welcome"), unstarted.switch.originate("survey")
    headers = unstarted.switch.channels[odd].headers
    unstarted.switch.channels[odd].headers = lambda: {**headers(), "Caller-Channel-Created-Time": "x"}  # type: ignore[method-assign]  # of another maker
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    with caplog.at_level(logging.WARNING):
        unstarted.start()
        await unstarted.ready()
    assert set(unstarted.rows()) == {call}
    assert "event_unreadable" in {getattr(record, "action", "") for record in caplog.records}


async def test_an_id_that_is_given_anew_is_another_call(world: World) -> None:
    """`origination_uuid` may be the same each time; what was told of the first call must not hide the second."""
    uuid = str(uuid4())
    for number in ("welcome", "survey"):
        world.switch.originate(number, uuid=uuid)
        await until(lambda number=number: world.codes() == [number])  # type: ignore[misc]  # bound at once
        world.switch.hang_up(uuid)
        await until(lambda: not world.rows())
        await until(lambda: uuid not in world.switch.channels)


async def test_a_stop_waits_for_no_resynchronisation(unstarted: World) -> None:
    """While each channel is asked for there are commands left for stops."""
    assert 3 * LOOKS < JOBS
    calls = [unstarted.switch.originate("survey") for _ in range(200)]
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    unstarted.start()
    await unstarted.ready()
    assert set(unstarted.rows()) == set(calls)
    assert unstarted.server.most_jobs <= JOBS


async def test_of_many_calls_stopped_at_once_each_is_stopped_once(world: World) -> None:
    calls = [world.switch.originate("welcome") for _ in range(40)]
    await until(lambda: len(world.rows()) == 40)
    stops = [world.bridge.external_stop(call, stop_id="one") for call in calls for _ in range(2)]
    results = [ack.result for ack in await asyncio.gather(*stops)]
    assert (results.count(Result.ACTED), results.count(Result.ALREADY_STOPPING)) == (40, 40)
    assert {world.switch.channels[call].transfers for call in calls} == {1}
