"""What a real FreeSWITCH did and nobody expects: tests of the 22 points of docs/freeswitch.md, in its order."""

import asyncio
import json
import logging
import re

import pytest

from esl.replay import events, frames, streams
from esl.server import User
from esl.world import RULES, World, until
from ivr_engine.mirror import Mirror
from ivr_engine.model import Changed, Ended, Event, FullState, State
from ivr_freeswitch.calls import Calls
from ivr_freeswitch.scripts import Scripts


class Shown:
    """The model of one recorded channel, and what it told."""

    def __init__(self, name: str, uuid: str = "") -> None:
        self.told: list[Event] = []
        self.mirror = Mirror(session="s", publish=self.told.append)
        self.calls = Calls(Scripts(RULES), self.mirror)
        self.events = [event for event in events(name, uuid) if "Unique-ID" in event]

    def play(self) -> "Shown":
        for event in self.events:
            self.calls.take(event)
        return self

    def states(self) -> list[FullState]:
        return [event.state for event in self.told if isinstance(event, Changed)]

    def ends(self) -> list[str]:
        return [event.stoptype for event in self.told if isinstance(event, Ended)]

    def courses(self) -> list[tuple[str, str, str | None]]:
        """Code, name and root, without repeats."""
        told = [(state.code, state.name, state.rootcode) for state in self.states()]
        return [one for one, before in zip(told, [None, *told], strict=False) if one != before]


def uuid_of(name: str, number: str) -> str:
    return next(str(one["Unique-ID"]) for one in events(name) if one.get("Caller-Destination-Number") == number)


def rows_of(name: str) -> list[dict[str, str]]:
    """Return the rows of each list in a recording."""
    bodies = [frame.body for stream in streams(name) for frame in frames(stream) if frame.kind == "api/response"]
    return [row for body in bodies if body.startswith(b'{"row_count":') for row in json.loads(body).get("rows", [])]


# Lists


async def test_01_a_call_that_the_list_does_not_show_yet_is_found(unstarted: World) -> None:
    """`show channels` is written behind: calls younger than the connection come as events, others a little later."""
    unstarted.switch.list_lag_s = 0.05
    older = unstarted.switch.originate("welcome")
    unstarted.start()
    await until(lambda: unstarted.server.connections and unstarted.server.connections[0].events)
    younger = unstarted.switch.originate("survey")
    await unstarted.ready()
    assert set(unstarted.rows()) == {older, younger}, "in the first snapshot already"


async def test_02_an_empty_list_has_no_rows_and_no_variables_are_in_any(world: World) -> None:
    assert world.switch.api("show channels as json") == '{"row_count": 0}\n'
    assert world.rows() == {}
    assert all(not name.startswith("variable") for row in rows_of("02-channels-all") for name in row)


@pytest.mark.parametrize("name", ["03", "04", "12", "13"])
def test_03_a_row_tells_where_a_channel_is_and_how_it_got_there(name: str) -> None:
    calls = Calls(Scripts(RULES), Mirror(session="s", publish=lambda _: None))
    for row in rows_of(name):
        if "context" in row:
            in_script = row["context"].startswith("ivr") and row["state"] == "CS_EXECUTE"
            assert calls.differs(row) is in_script, "not known yet, so each script differs"


# Which channels run a script


async def test_04_callee_legs_and_the_near_legs_of_loopback_run_no_script(world: World) -> None:
    world.switch.callee()
    _, far = world.switch.loopback("welcome")
    await until(lambda: far in world.rows())
    await asyncio.sleep(3 * world.times.look_every_s)
    assert set(world.rows()) == {far}
    recorded = Shown("04").play()
    loopback = {str(one["Unique-ID"]) for one in events("04") if one.get("Channel-Name") == "loopback/welcome-a"}
    assert loopback
    assert not loopback & {state.id for state in recorded.states()}


def test_05_a_call_begins_with_its_first_application_not_with_its_channel() -> None:
    shown = Shown("04", "021")
    assert shown.events[0]["Caller-Context"] == "default"
    shown.calls.take(shown.events[0])
    assert shown.told == []
    shown.calls.take(shown.events[1])
    assert [state.code for state in shown.states()] == ["welcome"]


def test_05_a_new_profile_index_marks_each_transfer_even_to_the_same_place() -> None:
    """In a nested extension the channel is transferred to where it came from: its events differ by the index only."""
    shown = Shown("03", uuid_of("03", "nested"))
    nested = next(n for n, one in enumerate(shown.events) if one.get("Application") == "execute_extension")
    for event in shown.events[: nested + 2]:
        shown.calls.take(event)
    assert shown.states()[-1].code == "player"
    shown.calls.take({**shown.events[1], "Event-Sequence": "99999", "Caller-Profile-Index": "3"})
    assert (shown.states()[-1].code, shown.states()[-1].rootcode) == ("nested", None)


# Nesting


def test_06_a_nested_extension_is_the_code_from_its_execute_extension_to_the_complete_of_it() -> None:
    nested = Shown("03", uuid_of("03", "nested")).play()
    assert nested.courses() == [
        ("nested", "nested", None),
        ("nested", "Caller script", None),
        ("player", "player", "nested"),
        ("player", "TEST PLAY", "nested"),
        ("nested", "Caller script", None),
    ]
    assert {(state.code, state.rootname) for state in nested.states() if state.rootcode} == {
        ("player", "Caller script")
    }


def test_06_two_deep_the_root_stays_the_outermost() -> None:
    deep = Shown("03", uuid_of("03", "deep")).play()
    assert [(code, root) for code, _, root in deep.courses()] == [
        ("deep", None),
        ("deep", None),
        ("deeper", "deep"),
        ("deeper", "deep"),
        ("sub", "deep"),
        ("sub", "deep"),
        ("deeper", "deep"),
        ("deep", None),
    ]


def test_06_a_missing_nested_extension_is_skipped() -> None:
    missing = Shown("03", uuid_of("03", "nested-missing")).play()
    assert [code for code, _, _ in missing.courses()] == [
        "nested-missing",
        "nobody",
        "nested-missing",
        "nested-missing",
    ]


async def test_06_after_a_reconnect_the_nested_extension_is_asked_for(unstarted: World) -> None:
    call = unstarted.switch.originate("nested")
    await until(lambda: unstarted.switch.channels[call].places)
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    unstarted.start()
    await until(lambda: unstarted.bridge.session and call in unstarted.rows())
    row = unstarted.rows()[call]
    assert (row.code, row.name, row.rootcode) == ("player", "TEST PLAY", "nested")
    await until(lambda: unstarted.rows()[call].code == "nested")


async def test_06_what_lies_between_is_asked_for_when_the_innermost_returns(unstarted: World) -> None:
    call = unstarted.switch.originate("deep")
    await until(lambda: len(unstarted.switch.channels[call].places) == 2)
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    unstarted.start()
    await until(lambda: unstarted.bridge.session and call in unstarted.rows())
    assert (unstarted.rows()[call].code, unstarted.rows()[call].rootcode) == ("sub", "deep")
    await until(lambda: unstarted.rows()[call].code == "deeper")
    await until(lambda: unstarted.rows()[call].code == "deep")
    assert unstarted.rows()[call].rootcode is None


def test_07_a_name_that_lua_sets_shows_with_the_next_event_and_is_not_put_back_by_the_engine() -> None:
    lua = Shown("03", uuid_of("03", "lua")).play()
    assert lua.courses() == [
        ("lua", "lua", None),
        ("menu", "menu", "lua"),
        ("player", "player", "lua"),
        ("player", "TEST PLAY", "lua"),
        ("menu", "Lua menu first second", "lua"),
        ("lua", "lua", None),
        ("lua", "after lua", None),
    ]


def test_08_what_the_old_application_tells_after_a_transfer_already_has_the_new_context() -> None:
    """`CHANNEL_EXECUTE_COMPLETE` of the sleep in `player` comes from ivr-external-stop: no branch has begun yet."""
    shown = Shown("04", "032")
    before = next(n for n, one in enumerate(shown.events) if one["Caller-Context"] == "ivr-external-stop")
    for event in shown.events[: before + 2]:
        shown.calls.take(event)
    assert [one["Event-Name"] for one in shown.events[before : before + 2]] == ["CHANNEL_EXECUTE_COMPLETE"] * 2
    assert shown.states()[-1].state is State.RUNNING
    shown.calls.take(shown.events[before + 2])
    assert shown.states()[-1].state is State.POST_PROCESSING


# Transfer and kill


async def test_09_a_transfer_to_nowhere_is_answered_with_ok_and_ends_the_call(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    assert world.switch.api(f"uuid_transfer {call} nowhere XML ivr-external-stop") == "+OK\n"
    await until(lambda: not world.rows())
    assert world.ends() == {call: "transfer_not_set"}


async def test_09_a_branch_that_runs_is_not_started_anew(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    for stop_id in ("one", "two", "one", "three"):
        await world.bridge.external_stop(call, stop_id=stop_id)
    assert world.switch.channels[call].transfers == 1


async def test_10_no_such_channel_means_that_it_has_ended(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    world.switch.faults |= {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}
    assert [world.switch.api(f"uuid_kill {call}") for _ in range(2)] == ["+OK\n", "-ERR No such channel!\n"]
    await until(lambda: not world.rows())


@pytest.mark.parametrize(
    ("number", "stoptype"),
    [
        ("end-hangup", "normal"),
        ("end-busy", "normal"),
        ("end-falls-off", "normal"),
        ("end-badapp", "error"),
        ("end-badtransfer", "transfer_not_set"),
        ("end-timeout", "maxduration"),
    ],
)
def test_11_the_hangup_cause_tells_why_a_script_ended(number: str, stoptype: str) -> None:
    assert Shown("05", uuid_of("05", number)).play().ends() == [stoptype]


def test_11_a_kill_of_ours_has_a_cause_that_scripts_do_not_end_with() -> None:
    assert Shown("05", "141").play().ends() == ["stop"], "MANAGER_REQUEST passes through"


def test_11_a_caller_who_hangs_up_is_told_by_sip() -> None:
    shown = Shown("05", uuid_of("05", "end-hangup"))
    for event in shown.events:
        shown.calls.take({**event, "variable_sip_hangup_disposition": "recv_bye"})
    assert shown.ends() == ["owner_down"]


async def test_12_whether_a_branch_is_there_is_read_from_the_context(world: World) -> None:
    call = world.switch.originate("145")
    await until(lambda: call in world.rows())
    assert "xml_locate dialplan context name ivr-external-stop" not in world.switch.said
    await world.bridge.external_stop(call, stop_id="one")
    assert "xml_locate dialplan context name ivr-external-stop" in world.switch.said
    assert world.ends() == {call: "stop"}, "2xx is there, 145 is not"


async def test_13_nothing_is_concluded_from_reloads(world: World) -> None:
    """A broken `reloadxml` says +OK, and `reload mod_x` sends RELOADXML too: the bridge hears neither."""
    assert "RELOADXML" not in world.server.connections[0].events
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    world.switch.fire("RELOADXML")
    assert (await world.bridge.external_stop(call, stop_id="one")).state is State.POST_PROCESSING


# Connection


async def test_14_a_subscription_is_json_and_checked_to_be(world: World) -> None:
    [connection] = world.server.connections
    assert connection.format == "json"
    assert connection.subclasses == {"menu::enter", "menu::exit"}


@pytest.mark.parametrize("reply", ["+OK event listener enabled plain", "-ERR no keywords supplied"])
async def test_14_other_answers_to_it_are_a_lost_connection(
    unstarted: World, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    unstarted.server.subscribed = reply
    with caplog.at_level(logging.WARNING):
        unstarted.start()
        await until(lambda: unstarted.server.accepted > 2)
    assert unstarted.bridge.session is None
    assert "the engine refused the subscription" in caplog.text


async def test_15_commands_are_background_jobs_with_ids_of_our_own(world: World) -> None:
    """A plain `api` runs in the connection's own thread and holds up its events."""
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    await world.bridge.external_stop(call, stop_id="one")
    await world.bridge.terminate(call, stop_id="two")
    given = [text for text in world.server.given if not text.startswith(("auth ", "event "))]
    assert given
    assert all(re.fullmatch(r"bgapi [^\n]+\nJob-UUID: [0-9a-f-]{36}", text) for text in given)
    assert len(set(given)) == len(given)


async def test_15_the_answer_of_a_module_that_unloads_is_read_too(unstarted: World) -> None:
    unstarted.switch.faults.add("the event module unloads")
    call = unstarted.switch.originate("welcome")
    unstarted.start()
    await until(lambda: unstarted.bridge.session and call in unstarted.rows())


async def test_16_values_of_several_bytes_a_character_survive_any_cut(unstarted: World) -> None:
    unstarted.server.cut = 7
    unstarted.start()
    await unstarted.ready()
    call = unstarted.switch.originate("utf8")
    await until(lambda: unstarted.rows().get(call) and unstarted.rows()[call].name == "Главный сценарий ☎ 中文")


def test_16_a_name_with_line_ends_forges_no_event() -> None:
    shown = Shown("09", uuid_of("09", "newline")).play()
    names = {state.name for state in shown.states()}
    assert any("\r\nEvent-Name: CHANNEL_HANGUP\r\n" in name for name in names)
    assert len({state.id for state in shown.states()}) == 1
    assert len(shown.ends()) == 1, "its own end, at the end of the recording"


def test_17_a_name_longer_than_the_protocol_takes_is_cut() -> None:
    shown = Shown("09", uuid_of("09", "long")).play()
    assert max(len(state.name) for state in shown.states()) == 256


async def test_17_an_unset_variable_is_no_stop_id(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    assert world.switch.api(f"uuid_getvar {call} ivr_stop_ids") == "_undef_"
    assert world.rows()[call].stop_id is None


async def test_18_a_wrong_password_is_told_and_tried_again(unstarted: World, caplog: pytest.LogCaptureFixture) -> None:
    unstarted.user = (None, "not-it")
    with caplog.at_level(logging.WARNING):
        unstarted.start()
        await until(lambda: unstarted.server.accepted > 2)
    assert [record.getMessage() for record in caplog.records] == [
        "no connection to the engine: the engine refused the login: check user and password"
    ]
    assert "not-it" not in caplog.text
    unstarted.server.access.password = "not-it"
    await unstarted.ready()


RIGHTS = User(
    password="secret2",
    apis=frozenset(
        ["show", "uuid_dump", "uuid_exists", "uuid_getvar", "uuid_setvar", "uuid_transfer", "uuid_kill", "xml_locate"]
    ),
    events=frozenset(
        [
            *("CHANNEL_CREATE", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP"),
            *("CHANNEL_HANGUP_COMPLETE", "CHANNEL_UUID", "HEARTBEAT", "BACKGROUND_JOB", "CUSTOM"),
            *("menu::enter", "menu::exit"),
        ]
    ),
)


async def test_18_a_user_with_few_rights_is_enough(unstarted: World) -> None:
    unstarted.server.access.users["bridge@test.rootdomain.ru"] = RIGHTS
    unstarted.user = ("bridge@test.rootdomain.ru", "secret2")
    unstarted.start()
    await unstarted.ready()
    call = unstarted.switch.originate("welcome")
    await until(lambda: call in unstarted.rows())
    assert (await unstarted.bridge.external_stop(call, stop_id="one")).state is State.POST_PROCESSING
    assert (await unstarted.bridge.terminate(call, stop_id="two")).state is State.ENDED


@pytest.mark.parametrize(
    "missing", sorted(RIGHTS.apis - {"uuid_exists", "uuid_setvar", "uuid_transfer", "uuid_kill", "xml_locate"})
)
async def test_18_a_missing_right_is_named(unstarted: World, missing: str, caplog: pytest.LogCaptureFixture) -> None:
    unstarted.server.access.users["b@d"] = User("p", apis=RIGHTS.apis - {missing}, events=RIGHTS.events)
    unstarted.user = ("b@d", "p")
    unstarted.switch.originate("welcome")
    await asyncio.sleep(2 * unstarted.switch.list_lag_s)
    with caplog.at_level(logging.WARNING):
        unstarted.start()
        await until(lambda: caplog.records)
    assert f"{missing} is not allowed: add it to the user's esl-allowed-api" in caplog.text


async def test_19_refused_by_an_acl_it_comes_back(unstarted: World, caplog: pytest.LogCaptureFixture) -> None:
    unstarted.server.access.denied = True
    with caplog.at_level(logging.WARNING):
        unstarted.start()
        await until(lambda: unstarted.server.accepted > 2)
    assert "the engine takes no connection from here: see its ACL" in caplog.text
    unstarted.server.access.denied = False
    await unstarted.ready()


async def test_20_a_restart_is_another_session_without_the_old_calls(world: World) -> None:
    old = world.switch.originate("welcome")
    await until(lambda: old in world.rows())
    before = world.bridge.session
    world.switch.hang_up(old, "SYSTEM_SHUTDOWN")
    await until(lambda: old not in world.rows())
    assert world.ends() == {old: "owner_down"}
    world.server.drop("The system is being shut down.\n")
    world.switch.restart()
    young = world.switch.originate("survey")
    await world.ready()
    assert world.bridge.session not in {None, before}
    await until(lambda: set(world.rows()) == {young})


async def test_20_when_the_event_module_restarts_calls_live_on(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    told, session = len(world.told), world.bridge.session
    world.server.drop("The system is being shut down.\n")
    await until(lambda: world.server.accepted == 2 and world.server.connections)
    await until(lambda: world.life.answered_s < 0.2)
    assert (world.bridge.session, set(world.rows())) == (session, {call})
    assert not [event for event in world.told[told:] if isinstance(event, Ended)]


async def test_20_after_a_kill_of_the_engine_nothing_of_it_is_told_any_more(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows())
    world.server.access.denied = True
    world.server.drop()
    await until(lambda: world.life.answered_s > 0.5)
    age_s = world.bridge.answered_s
    await asyncio.sleep(0.05)
    assert world.bridge.answered_s > age_s, "the agent lets the lease lapse"


async def test_21_the_session_is_the_core_uuid_and_seq_is_above_that_of_bridges_before(world: World) -> None:
    assert world.bridge.session == world.switch.core
    world.switch.originate("welcome")
    await until(lambda: world.codes() == ["welcome"])
    seq = world.bridge.snapshot().seq
    await world.stop()
    world.start()
    await world.ready()
    assert world.bridge.session == world.switch.core
    assert world.bridge.snapshot().seq > seq


def test_21_gaps_in_event_sequence_are_normal_and_older_events_are_not_believed() -> None:
    shown = Shown("04", "021").play()
    assert shown.ends() == ["stop"]
    told = len(shown.told)
    shown.play()
    assert len(shown.told) == told, "each event came once more, late"


async def test_22_a_slow_reader_loses_nothing_and_answers_wait_behind_the_events(world: World) -> None:
    [connection] = world.server.connections
    connection.held = True
    calls = {world.switch.originate("welcome") for _ in range(200)}
    for call in list(calls)[:100]:
        world.switch.hang_up(call)
    await asyncio.sleep(0.2)
    connection.release()
    await until(lambda: set(world.rows()) == set(world.switch.channels))
    assert len(world.rows()) == 100


def test_no_recording_is_left_out() -> None:
    numbers = {name[5:7] for name in globals() if re.match(r"test_\d\d_", name)}
    assert numbers == {f"{number:02}" for number in range(1, 23)}
