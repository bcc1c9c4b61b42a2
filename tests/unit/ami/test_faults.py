"""What goes wrong with a living Asterisk, and what the bridge makes of it."""

import asyncio

import pytest

from ami import Faults
from ami.calls import hang_up, incoming, request_hangup
from ivr_engine.model import AwayError, Result, State, UnknownRuntimeError
from joined import RECORDED, joined
from virtual import timeless

LOUD = RECORDED.replace(
    "[ivr-player]", "exten => loud,1,Answer()\n same => n,NoOp(${NOISE})\n same => n,Wait(600)\n[ivr-player]"
)


@timeless
async def test_a_redirect_that_is_acknowledged_and_lost_is_refused_for_now_and_acts_when_it_is_sent_again() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.asterisk.faults.lose_redirects = 1
        with pytest.raises(AwayError):
            await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert one.row(call).state is State.RUNNING
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.POST_PROCESSING, Result.ACTED)


@timeless
async def test_rows_that_end_with_an_odd_empty_line_are_rows() -> None:
    async with joined(calls=7, faults=Faults(odd_row_ends=True)) as one:
        assert len(one.rows) == 7


@timeless
async def test_rows_without_an_action_id_are_rows_of_the_list_that_was_asked_for() -> None:
    async with joined(calls=7, faults=Faults(anonymous_rows=True)) as one:
        assert len(one.rows) == 7
        hang_up(one.asterisk, next(iter(one.asterisk.channels.values())), 16)
        await one.until(lambda: len(one.rows) == 6)


@timeless
async def test_an_end_that_no_hangup_told_is_found() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.asterisk.faults.untold_hangups = True
        request_hangup(one.asterisk, call, 16)
        await one.until(lambda: one.ends(call), within_s=90)
        assert (one.ends(call), one.rows) == (["owner_down"], {})


@timeless
async def test_a_call_whose_hangup_was_requested_and_never_came_stays_listed() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.asterisk.tell("HangupRequest", call, ("Cause", "16"))
        await one.settled(90)
        assert list(one.rows) == [one.id_of(call)]


@timeless
async def test_events_that_are_minutes_late_do_not_hide_what_a_list_shows() -> None:
    async with joined() as one:
        one.asterisk.faults.events_late_s = 180.0
        going, staying = (incoming(one.asterisk, "ivr", name) for name in ("survey", "welcome"))
        await one.settled(70)
        assert len(one.rows) == 2
        hang_up(one.asterisk, going, 16)
        await one.settled(70)
        assert list(one.rows) == [one.id_of(staying)]
        await one.settled(300)
        assert list(one.rows) == [one.id_of(staying)]
        assert one.ends(going) == ["normal"]


@timeless
async def test_a_server_that_closes_after_each_login_is_called_with_growing_pauses() -> None:
    async with joined() as one:
        one.asterisk.faults.close_at_login = True
        one.server.cut()
        logins = one.server.logins
        await one.settled(60)
        assert 8 <= one.server.logins - logins <= 40
        assert one.bridge.answered_s > 15
        one.asterisk.faults.close_at_login = False
        await one.reachable()
        assert one.bridge.answered_s < 10


@timeless
async def test_a_manager_interface_that_hangs_on_a_living_connection_counts_as_down() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.asterisk.faults.hung = True
        await one.settled(30)
        assert one.bridge.answered_s > 15
        with pytest.raises(AwayError):
            await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        one.asterisk.faults.hung = False
        await one.reachable()
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING


@timeless
async def test_two_bridges_tell_the_same_and_a_stop_through_one_is_a_repeat_for_the_other() -> None:
    async with joined() as one:
        first = one.bridge
        await one.start()
        call = await one.call("welcome")
        await one.until(lambda: first.snapshot().runtimes)
        assert [row.id for row in first.snapshot().runtimes] == list(one.rows)
        assert first.session == one.bridge.session
        assert (await first.external_stop(one.id_of(call), stop_id="s1")).result is Result.ACTED
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.POST_PROCESSING, Result.ALREADY_STOPPING)


@timeless
async def test_a_command_after_a_restart_that_nobody_has_noticed_hits_no_call_of_the_new_life() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        old = one.id_of(call)
        one.asterisk.begin()  # another life behind the same connection, with the same names and numbers
        fresh = incoming(one.asterisk, "ivr", "welcome")
        await asyncio.sleep(0.1)
        assert fresh.name == call.name
        with pytest.raises((UnknownRuntimeError, AwayError)):
            await one.bridge.terminate(old, stop_id="s1")
        assert not fresh.ending


@pytest.mark.parametrize("in_name", [True, False])
@timeless
async def test_events_forged_in_a_callers_name_or_in_a_variable_end_nothing_and_begin_nothing(in_name: bool) -> None:
    async with joined(LOUD) as one:
        victim = await one.call("welcome")
        noise = (
            f"x\r\nUniqueid: {victim.uniqueid}\r\nContext: outside\r\n\r\n"
            f"Event: Hangup\r\nUniqueid: {victim.uniqueid}\r\nCause: 16\r\n\r\n"
            "Event: Newexten\r\nUniqueid: 1.1\r\nContext: ivr\r\nExten: welcome\r\nApplication: Wait\r\n\r\n"
            "Event: Fake"
        )
        one.asterisk.variables["NOISE"] = "" if in_name else noise
        loud = await one.call("loud", name=noise if in_name else "")
        one.asterisk.set_variable(loud, "IVR_NAME", noise)
        await one.settled(70)
        assert sorted(row.code for row in one.rows.values()) == ["loud", "welcome"]
        assert one.ends(victim) == []
        await one.stop()
        await one.start()
        assert sorted(row.code for row in one.rows.values()) == ["loud", "welcome"]


@timeless
async def test_a_number_that_holds_an_event_does_not_end_its_own_call_nor_another() -> None:
    async with joined() as one:
        victim = await one.call("welcome")
        noise = f"1\r\n\r\nEvent: Hangup\r\nUniqueid: {victim.uniqueid}\r\nCause: 16"
        incoming(one.asterisk, "ivr", "survey", number=noise)
        await one.settled(70)
        assert one.ends(victim) == []
        await one.stop()
        await one.start()
        await one.settled()
        assert one.row(victim)


@timeless
async def test_a_renamed_channel_is_the_same_runtime_and_can_be_stopped() -> None:
    async with joined() as one:
        call = await one.call("welcome")
        one.asterisk.rename(call, "PJSIP/renamed-00000042")
        await one.settled()
        assert list(one.rows) == [one.id_of(call)]
        assert (await one.bridge.external_stop(one.id_of(call), stop_id="s1")).state is State.POST_PROCESSING


@timeless
async def test_a_name_in_latin_1_is_shown_and_splits_no_line() -> None:
    async with joined() as one:
        call = await one.call("latin1")
        await one.until(lambda: one.row(call).name.startswith("caf"))
        await one.settled()
        assert one.row(call).name in {"café", "caf\N{REPLACEMENT CHARACTER}"}
        await one.stop()
        await one.start()
        assert one.row(call).name == "café"


@timeless
async def test_events_in_an_order_of_their_own_end_in_the_same_list() -> None:
    async with joined(faults=Faults(misordered=True, events_late_s=0.3)) as one:
        calls = [incoming(one.asterisk, "ivr", name) for name in ("welcome", "survey", "nested", "calls-hold")]
        await one.settled(70)
        assert sorted(one.code(call) for call in calls) == ["", "hold", "survey", "welcome"]


@timeless
async def test_a_restarted_bridge_tells_the_same_session_and_ids_and_a_seq_above_and_repeats_no_stop() -> None:
    async with joined(calls=2) as one:
        call = await one.call("welcome")
        await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        session, ids, seq = one.bridge.session, set(one.rows), one.bridge.snapshot().seq
        await one.stop()
        await one.start()
        assert (one.bridge.session, set(one.rows)) == (session, ids)
        assert one.bridge.snapshot().seq > seq
        ack = await one.bridge.external_stop(one.id_of(call), stop_id="s1")
        assert (ack.state, ack.result) == (State.POST_PROCESSING, Result.ALREADY_STOPPING)
        assert call.position.priority == 3  # still in the branch's Wait: it has not begun again
        ack = await one.bridge.terminate(one.id_of(call), stop_id="s1")
        assert (ack.result, call.ending) == (Result.ALREADY_STOPPING, False)
