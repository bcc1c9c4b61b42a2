"""The 28 points at which Asterisk surprises: what the bridge makes of each, beside an Asterisk that does it.

The numbers are those of `ami.quirks`.
"""

import asyncio

import pytest

from ami import Dialplan, Quirks
from ami.bridges import join
from ami.calls import Order, hang_up, incoming, originate, redirect, request_hangup
from ami.channel import Channel
from ami.dialplan import Position
from ivr_engine.model import AwayError, Changed, Result, State, StopType, UnknownRuntimeError
from joined import CONTEXTS, DOMAIN, RECORDED, SCRIPTS, Joined, joined
from virtual import timeless

AS_WELCOME = ({"context": "ivr", "exten": "dial", "code": "welcome", "domain": DOMAIN}, *SCRIPTS)
AS_RETURNS = ({"context": "ivr-player", "exten": "hold", "code": "returns", "domain": DOMAIN}, *SCRIPTS)
AS_NOFIRST = ({"context": "ivr", "exten": "bare", "code": "nofirst", "domain": DOMAIN}, *SCRIPTS)


def codes(one: Joined, channel: Channel) -> list[str]:
    """Return the codes that the runtime was told with, each once in a row."""
    told = [e.state.code for e in one.told if isinstance(e, Changed) and e.state.id == one.id_of(channel)]
    return [code for before, code in zip([None, *told], told, strict=False) if code != before]


def names(one: Joined, channel: Channel) -> list[str]:
    """Return the names that the runtime was told with, each once in a row."""
    told = [e.state.name for e in one.told if isinstance(e, Changed) and e.state.id == one.id_of(channel)]
    return [name for before, name in zip([None, *told], told, strict=False) if name != before]


def contexts_of(one: Joined, channel: Channel) -> set[str]:
    """Return the contexts that are listed of a channel's Uniqueid now."""
    found = one.asterisk.find(channel.uniqueid)
    return {found.position.context} if found else set()


async def originated(one: Joined, order: Order) -> tuple[Channel, Channel]:
    """Originate a Local channel and return its halves once they stand still."""
    one.asterisk.spawn(originate(one.asterisk, order))
    await one.settled()
    first = next(c for c in reversed(one.asterisk.channels.values()) if c.name.endswith(";1"))
    assert first.half is not None
    return first, first.half


@timeless
async def test_01_a_script_without_a_branch_is_hung_up_and_never_redirected_to_nowhere() -> None:
    async with joined() as one:
        call = await one.call("play")
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.ENDED, Result.ACTED)
        assert (call.position.context, call.cause) == ("ivr", one.settings.hangup_cause)
        assert one.ends(call) == ["stop"]


@timeless
async def test_01_a_branch_that_goes_between_the_question_and_the_redirect_ends_the_call_and_is_told_so() -> None:
    async with joined(scripts=AS_NOFIRST, quirks=Quirks(existence_needs_its_priority=False)) as one:
        call = await one.call("bare")
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert ack.state is State.ENDED
        assert one.rows == {}


@timeless
async def test_02_of_two_stops_at_once_one_acts_and_the_branch_begins_once() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        stops = (one.bridge.external_stop(one.id_of(call), stop_id=name) for name in ("s1", "s2"))
        acks = await asyncio.gather(*stops)
        assert [ack.result for ack in acks] == [Result.ACTED, Result.ALREADY_STOPPING]
        assert {ack.state for ack in acks} == {State.POST_PROCESSING}
        assert codes(one, call) == ["welcome"]


@timeless
async def test_02_a_redirect_that_is_refused_because_another_came_first_counts_by_what_is_seen() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        call.redirected = True  # another manager's Redirect, on its way
        target = Position("ivr-external-stop", "welcome", 1)
        asyncio.get_running_loop().call_later(0.3, redirect, one.asterisk, call, target)
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.POST_PROCESSING, Result.ALREADY_STOPPING)


@timeless
async def test_03_a_hangup_right_behind_our_redirect_ends_the_runtime() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        stopping = asyncio.ensure_future(one.bridge.external_stop(one.id_of(call), stop_id="s1"))
        await one.until(lambda: call.position.context == "ivr-external-stop")
        hang_up(one.asterisk, call, 0)
        await asyncio.wait([stopping])
        await one.settled()
        assert one.rows == {}
        assert one.ends(call) == ["stop"]


@timeless
async def test_04_a_branch_that_ends_in_return_goes_back_into_the_script_and_is_listed_as_running() -> None:
    async with joined(scripts=AS_RETURNS) as one:
        call = await one.call("calls-hold")
        await one.until(lambda: one.code(call) == "returns")
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert ack.state is State.POST_PROCESSING
        await one.until(lambda: one.code(call) == "calls-hold")
        await one.settled()
        row = one.row(call)
        assert row is not None
        assert (row.state, row.stoptype, row.rootcode) == (State.RUNNING, None, None)


@timeless
async def test_05_a_half_without_a_dialplan_is_no_runtime_until_a_redirect_gives_it_one() -> None:
    async with joined() as one:
        first, second = await originated(one, Order(dial="Local/welcome@ivr", application="Wait", data="600"))
        assert (one.row(first), one.code(second)) == (None, "welcome")
        redirect(one.asterisk, first, Position("ivr", "survey", 1))
        await one.settled()
        assert (one.code(first), one.code(second)) == ("survey", "welcome")


@timeless
async def test_06_a_redirect_out_of_a_bridge_begins_the_branch() -> None:
    async with joined(scripts=AS_WELCOME) as one:
        call = await one.call("dial")
        await one.until(lambda: call.bridge)
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.POST_PROCESSING, Result.ACTED)
        await one.until(lambda: not one.rows)
        assert one.ends(call) == ["stop"]


@timeless
async def test_07_a_channel_is_addressed_by_its_uniqueid_whatever_its_name_has_become() -> None:
    async with joined() as one:
        call, other = await one.call("welcome"), await one.call("survey")
        one.asterisk.rename(call, "PJSIP/elsewhere-00000099")
        one.asterisk.rename(other, "PJSIP/trunk-00000000")  # the name that the first one had
        await one.bridge.terminate(one.id_of(call), stop_id="s1")
        assert (one.ends(call), one.ends(other)) == (["stop"], [])
        assert list(one.rows) == [one.id_of(other)]


@pytest.mark.parametrize("listed_only", [False, True])
@timeless
async def test_08_of_a_local_pair_just_those_halves_are_runtimes_that_run_a_script(listed_only: bool) -> None:
    async with joined() as one:
        caller, far = await originated(one, Order(dial="Local/s@far", position=Position("ivr", "welcome", 1)))
        waiting, scripted = await originated(one, Order(dial="Local/welcome@ivr", application="Wait", data="600"))
        both = await originated(one, Order(dial="Local/survey@ivr", position=Position("ivr", "welcome", 1)))
        ringing = await originated(
            one, Order(dial="Local/ringing@ivr", position=Position("ivr", "welcome", 1), timeout_s=600)
        )
        if listed_only:
            await one.stop()
            await one.start()
        shown = {channel.name: one.code(channel) for channel in one.asterisk.channels.values()}
        assert shown == {
            caller.name: "welcome", far.name: "",
            waiting.name: "", scripted.name: "welcome",
            both[0].name: "welcome", both[1].name: "survey",
            ringing[0].name: "", ringing[1].name: "ringing",
        }  # fmt: skip


@pytest.mark.parametrize("listed_only", [False, True])
@timeless
async def test_09_a_dialled_leg_is_never_a_runtime_and_a_bridged_script_stays_one(listed_only: bool) -> None:
    async with joined() as one:
        dialling, first, second = await one.call("dial"), await one.call("welcome"), await one.call("survey")
        await one.until(lambda: dialling.bridge)
        join(one.asterisk, first, second)
        await one.until(lambda: first.bridge and second.bridge)
        await one.settled()
        if listed_only:
            await one.stop()
            await one.start()
        shown = sorted(row.code for row in one.rows.values())
        assert shown == ["dial", "survey", "welcome"]
        assert (first.application, first.position.priority) == ("", 5)
        await one.bridge.external_stop(one.id_of(first), stop_id="s1")
        await one.settled(0.5)
        assert one.row(first).state is State.POST_PROCESSING


@pytest.mark.parametrize("listed_only", [False, True])
@timeless
async def test_09_a_leg_that_rings_in_a_scripts_context_is_no_runtime(listed_only: bool) -> None:
    text = RECORDED.replace(
        "[ivr-player]", "exten => rings,1,Answer()\n same => n,Dial(Local/ringing@ivr/n,600)\n[ivr-player]"
    )
    async with joined(text) as one:
        await one.call("rings")
        await one.settled()
        if listed_only:
            await one.stop()
            await one.start()
        assert len(one.asterisk.channels) == 3  # the caller, the leg, and the leg's far half in its script
        assert sorted(row.code for row in one.rows.values()) == ["ringing", "rings"]


@timeless
async def test_09_a_bridged_script_goes_on_where_it_stood_when_it_is_alone_again() -> None:
    text = RECORDED.replace(
        "Set(IVR_NAME=Plain)\n same => n,Wait(600)", "Set(IVR_NAME=Plain)\n same => n,Wait(600)\n same => n,Wait(700)"
    )
    async with joined(text) as one:
        first, second = await one.call("start", context="ivr-plain"), await one.call("survey")
        join(one.asterisk, first, second)
        await one.until(lambda: first.bridge and second.bridge)
        request_hangup(one.asterisk, second, 16)
        await one.settled()
        assert (one.code(first), first.data) == ("start", "700")
        assert one.ends(second) == ["owner_down"]


@timeless
async def test_10_a_channel_keeps_its_id_through_bridges_and_renames() -> None:
    async with joined(quirks=Quirks(optimisation_keeps_names=False)) as one:
        call = await one.call("dial")
        await one.until(lambda: call.bridge)
        before = one.id_of(call)
        one.asterisk.rename(call, "PJSIP/trunk-00000000<MASQ>")
        one.asterisk.rename(call, "PJSIP/other-00000007")
        await one.settled()
        assert list(one.rows) == [before]
        assert one.ends(call) == []


@pytest.mark.parametrize("channelvars", [(), ("IVR_NAME", "IVR_DOMAIN")])
@pytest.mark.parametrize("zero", [False, True])
@timeless
async def test_11_a_gosub_shows_the_nested_script_and_then_its_caller_and_nothing_between(
    channelvars: tuple[str, ...], zero: bool
) -> None:
    async with joined(channelvars=channelvars, quirks=Quirks(gosub_shows_priority_zero=zero)) as one:
        call = await one.call("nested")
        await one.until(lambda: one.code(call) == "ivr-player")
        row = one.row(call)
        assert (row.rootcode, row.rootname, row.name) == ("nested", "Caller script", "TEST PLAY")
        await one.until(lambda: one.ends(call))
        assert codes(one, call) == ["nested", "ivr-player", "nested"]


@timeless
async def test_12_a_return_shows_the_callers_name_again_though_the_variable_keeps_the_nested_one() -> None:
    async with joined() as one:
        call = await one.call("nested")
        await one.until(lambda: one.ends(call))
        assert names(one, call)[-3:] == ["Caller script", "TEST PLAY", "Caller script"]


@timeless
async def test_12_a_local_name_two_levels_deep_ends_with_its_level() -> None:
    async with joined() as one:
        call = await one.call("deep")
        await one.until(lambda: one.ends(call))
        assert codes(one, call)[-4:] == ["deeper", "sub", "deeper", "deep"]
        assert names(one, call)[-4:] == ["Player deeper", "Menu as a subroutine", "Player deeper", "Deep root"]


@timeless
async def test_13_nesting_is_rebuilt_from_the_stack_after_a_reconnection() -> None:
    async with joined() as one:
        call = await one.call("calls-hold")
        await one.until(lambda: one.code(call) == "hold")
        await one.stop()
        await one.start()
        row = one.row(call)
        assert (row.code, row.rootcode, row.name) == ("hold", "calls-hold", "Held subroutine")


@timeless
async def test_14_name_and_domain_come_with_channelvars_whatever_was_missed() -> None:
    async with joined(scripts=[{"context": CONTEXTS}]) as one:
        call, tenant = await one.call("welcome"), await one.call("survey")
        await one.stop()
        await one.start()
        assert {(row.name, row.domain) for row in one.rows.values()} == {
            ("Main scenario", "test.rootdomain.ru"), ("Survey", "other.rootdomain.ru"),
        }  # fmt: skip
        assert one.row(call)
        assert one.row(tenant)


@timeless
async def test_14_without_channelvars_name_and_domain_come_with_the_event_that_sets_them() -> None:
    async with joined(scripts=[{"context": CONTEXTS}], channelvars=()) as one:
        call = await one.call("survey")
        await one.until(lambda: one.row(call).name == "Survey")
        assert one.row(call).domain == "other.rootdomain.ru"


@timeless
async def test_15_a_value_with_line_ends_forges_no_end_and_no_runtime() -> None:
    text = RECORDED.replace(
        "[ivr-player]",
        "exten => loud,1,Answer()\n same => n,NoOp(${CALLERID(name)})\n same => n,Wait(600)\n[ivr-player]",
    )
    async with joined(text) as one:
        victim = await one.call("welcome")
        hangup = f"Event: Hangup\r\nUniqueid: {victim.uniqueid}\r\nCause: 16"
        ghost = "Event: Newexten\r\nUniqueid: ivr-node-1-1.77\r\nContext: ivr\r\nExten: welcome\r\nApplication: Wait"
        loud = await one.call("loud", name=f"Eve\r\n\r\n{hangup}\r\n\r\n{ghost}\r\n\r\nEvent: Fake")
        await one.settled(10)
        assert sorted(row.code for row in one.rows.values()) == ["loud", "welcome"]
        assert one.ends(victim) == []
        assert one.row(loud)


@timeless
async def test_15_a_forged_answer_answers_no_action() -> None:
    text = RECORDED.replace(
        "[ivr-player]",
        "exten => loud,1,Answer()\n same => n,NoOp(${CALLERID(name)})\n same => n,Wait(600)\n[ivr-player]",
    )
    async with joined(text) as one:
        answers = "".join(
            f"\r\n\r\nResponse: Error\r\nActionID: {n}\r\nMessage: Asterisk is shutting down" for n in range(50)
        )
        await one.call("loud", name=f"Eve{answers}\r\n\r\nEvent: Fake")
        await one.settled(10)
        call = await one.call("welcome")
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING


@timeless
async def test_16_stop_ids_are_kept_within_the_longest_line_that_an_action_may_have() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        ids = [f"{number:04}" + "x" * 60 for number in range(20)]
        for stop_id in ids:
            await one.bridge.external_stop(one.id_of(call), stop_id=stop_id)
        assert len(f"Value: {call.get('IVR_STOPS')}") < 1_020
        assert ids[-1] in (call.get("IVR_STOPS") or "")


@timeless
async def test_17_events_that_are_older_than_a_list_neither_raise_the_dead_nor_kill_the_living() -> None:
    async with joined(calls=5) as one:
        one.asterisk.faults.events_late_s = 3.0
        standing = list(one.asterisk.channels.values())
        for number in range(5):
            incoming(one.asterisk, "ivr", "survey")
            hang_up(one.asterisk, standing[number], 16)
        await one.stop()
        one.asterisk.listeners.clear()
        await one.start()
        await one.settled(20)
        assert {row.code for row in one.rows.values()} == {"survey"}
        assert len(one.rows) == 5


ENDS = {0: "normal", 16: "normal", 17: "normal", 19: "timeout", 21: "normal", 31: "normal", 34: "error", 127: "error"}


@pytest.mark.parametrize(("cause", "stoptype"), ENDS.items())
@timeless
async def test_18_the_termination_type_comes_from_the_hangup_not_from_the_soft_request(
    cause: int, stoptype: str
) -> None:
    async with joined() as one:
        call = await one.call("welcome")
        hang_up(one.asterisk, call, cause)
        await one.until(lambda: one.ends(call))
        assert one.ends(call) == [stoptype]


@timeless
async def test_18_a_caller_who_hangs_up_is_told_as_owner_down() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        request_hangup(one.asterisk, call, 16)
        await one.until(lambda: one.ends(call))
        assert one.ends(call) == [StopType.OWNER_DOWN]


@timeless
async def test_19_a_stop_for_a_call_that_went_unheard_is_answered_unknown() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        gone = one.id_of(call)
        one.asterisk.faults.events_late_s = 60.0
        hang_up(one.asterisk, call, 16)
        await one.settled(0.5)
        with pytest.raises(UnknownRuntimeError):
            await one.bridge.external_stop(gone, stop_id="s1")
        assert one.rows == {}


@timeless
async def test_20_a_branch_that_a_silent_reload_brought_is_used_by_the_next_stop() -> None:
    async with joined() as one:
        call, other = await one.call("play"), await one.call("play")
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.ENDED
        one.asterisk.dialplan = Dialplan(RECORDED + "\n[ivr-external-stop]\nexten => play,1,Wait(5)\n")
        assert (await one.bridge.external_stop(one.id_of(other), stop_id="s1")).state is State.POST_PROCESSING


@timeless
async def test_21_an_extension_that_begins_at_priority_two_is_no_branch() -> None:
    async with joined(scripts=AS_NOFIRST) as one:
        call = await one.call("bare")
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, call.cause) == (State.ENDED, one.settings.hangup_cause)


@timeless
async def test_22_a_restart_that_tells_nothing_is_another_session_without_the_old_calls() -> None:
    async with joined(calls=3) as one:
        before, ids = one.bridge.session, set(one.rows)
        await one.server.restart(down_s=2)
        await one.until(lambda: one.bridge.session != before)
        await one.reachable()
        call = await one.call("welcome")
        assert set(one.rows) == {one.id_of(call)}
        assert one.id_of(call) not in ids
        assert one.sessions == [before, one.bridge.session]


@timeless
async def test_23_while_asterisk_drains_the_list_lives_on_and_stops_are_refused_for_now() -> None:
    async with joined() as one:
        staying, going = await one.call("welcome"), await one.call("survey")
        before = one.bridge.session
        one.server.drain()
        await one.settled()
        with pytest.raises(AwayError):
            await one.bridge.external_stop(one.id_of(staying), stop_id="s1")
        hang_up(one.asterisk, going, 16)
        await one.until(lambda: one.ends(going))
        assert (list(one.rows), one.ends(going)) == ([one.id_of(staying)], ["normal"])
        assert one.bridge.answered_s < 10
        hang_up(one.asterisk, staying, 16)
        await one.until(lambda: one.bridge.session != before)
        await one.reachable()
        assert one.rows == {}


@timeless
async def test_23_a_drain_that_is_taken_back_lets_stops_act_again() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.server.drain()
        await one.settled()
        one.server.go_on()
        await one.settled()
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING


@timeless
async def test_24_a_login_before_the_boot_is_over_is_followed_by_a_list_when_it_is() -> None:
    async with joined(boot_s=5.0) as one:
        one.asterisk.listeners, muted = [], one.asterisk.listeners
        call = incoming(one.asterisk, "ivr", "welcome")  # as a boot does it: untold
        await one.settled(1)
        one.asterisk.listeners = muted
        await one.until(lambda: one.row(call), within_s=15)


@timeless
async def test_25_a_refused_login_is_not_hammered_and_works_once_the_user_is_there() -> None:
    async with joined() as one:
        users, one.asterisk.users = one.asterisk.users, {}
        one.server.cut()
        logins = one.server.logins
        await one.settled(60)
        assert 1 <= one.server.logins - logins <= 8
        assert one.bridge.answered_s > 15
        one.asterisk.users = users
        await one.reachable()


@timeless
async def test_26_a_user_who_is_removed_keeps_the_connection_and_loses_the_next() -> None:
    async with joined() as one:
        one.server.let_in()
        call = await one.call("welcome")
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING
        one.server.cut()
        await one.settled(20)
        assert one.bridge.answered_s > 15


@timeless
async def test_27_what_was_lost_when_the_connection_was_cut_off_is_found_by_the_next_list() -> None:
    async with joined(calls=3) as one:
        standing = list(one.asterisk.channels.values())
        one.asterisk.listeners.clear()  # what waits unread is lost
        hang_up(one.asterisk, standing[0], 16)
        fresh = [incoming(one.asterisk, "ivr", "survey") for _ in range(4)]
        await one.settled(0.5)
        one.server.cut(abort=True)
        await one.until(lambda: all(one.row(call) for call in fresh))
        assert len(one.rows) == 6


@pytest.mark.parametrize(("system", "told"), [("ivr-node-1", True), ("", False)])
@timeless
async def test_28_with_and_without_a_system_name_sessions_and_stops_work(system: str, told: bool) -> None:
    async with joined(system_name=system, quirks=Quirks(systemname_is_told=told)) as one:
        call = await one.call("welcome")
        assert one.bridge.session.startswith("ivr-node-1" if system else "00_00_5e_00_53_01")
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING
