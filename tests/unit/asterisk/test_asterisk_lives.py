"""The lives of Asterisk and of the connection: restarts, silence, forged and late words, lists that are not whole."""

import asyncio
import logging
from random import Random

import pytest

import virtual
from ami.calls import Order, hang_up, incoming, originate, request_hangup
from ami.dialplan import Position
from bridged import Bridged, bridged
from ivr_engine.model import AwayError, State


async def call(world: Bridged, exten: str = "welcome", context: str = "ivr", **caller: str) -> str:
    incoming(world.asterisk, context, exten, **caller)
    return (await world.shown(exten)).id


def living(world: Bridged) -> set[str]:
    """The runtimes' ids by the channels that are really there, in a script."""
    scripts = {"ivr", "ivr-player", "ivr-menu", "ivr-plain", "ivr-external-stop"}
    return {one.uniqueid for one in world.asterisk.channels.values() if one.position.context in scripts}


def test_a_restart_of_asterisk_is_another_session_without_the_calls_of_before() -> None:
    async def story() -> None:
        async with bridged() as world:
            first = await call(world)
            session = world.bridge.session
            await world.restart_asterisk()
            assert (world.bridge.session != session, world.runtimes) == (True, {})
            assert await call(world) != first

    virtual.run(story())


def test_a_lost_connection_is_made_again_and_everything_is_listed_anew() -> None:
    async def story() -> None:
        async with bridged() as world:
            await call(world)
            session, (gone,) = world.bridge.session, world.asterisk.channels.values()
            world.refused = True
            world.wires[-1].end()
            await world.until(lambda: not world.reachable)
            hang_up(world.asterisk, gone, 16)
            incoming(world.asterisk, "ivr", "survey")
            await asyncio.sleep(3)
            assert list(world.runtimes) == ["welcome"]
            assert world.bridge.answered_s >= 3
            world.refused = False
            await world.shown("survey")
            assert (world.bridge.session, list(world.runtimes)) == (session, ["survey"])

    virtual.run(story())


def test_before_asterisk_was_ever_reached_nothing_is_claimed() -> None:
    async def story() -> None:
        async with bridged() as world:
            other = Bridged(world.asterisk)
            other.refused = True
            other.start()
            await asyncio.sleep(1)
            assert other.bridge.session is None
            with pytest.raises(AwayError):
                other.bridge.snapshot()
            await other.stop()

    virtual.run(story())


def test_a_hung_asterisk_on_a_living_connection_counts_as_down() -> None:
    async def story() -> None:
        async with bridged() as world:
            await call(world)
            world.asterisk.faults.hung = True
            await asyncio.sleep(30)
            assert (world.reachable, world.bridge.answered_s > 15) == (False, True)
            world.asterisk.faults.hung = False
            await world.up()
            assert (list(world.runtimes), world.bridge.answered_s < 5) == (["welcome"], True)

    virtual.run(story())


def test_a_server_that_closes_every_connection_is_not_pestered() -> None:
    async def story() -> None:
        async with bridged() as world:
            world.asterisk.faults.close_at_login = True
            world.wires[-1].end()
            await asyncio.sleep(60)
            gaps = [after - before for before, after in zip(world.dialled_at, world.dialled_at[1:], strict=False)]
            assert len(gaps) < 40
            assert max(gaps) <= 6
            assert len({round(gap, 3) for gap in gaps[-5:]}) > 1

    virtual.run(story())


def test_a_refused_login_says_what_to_do_and_waits_longer(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bridged() as world:
            world.asterisk.users.clear()
            world.wires[-1].end()
            await asyncio.sleep(60)
            assert len(world.dialled_at) < 10

    with caplog.at_level(logging.WARNING):
        virtual.run(story())
    assert any("manager.conf" in record.getMessage() for record in caplog.records)
    assert not any("secret" in record.getMessage().replace("user, secret and permit", "") for record in caplog.records)


FORGING = """
[ivr]
exten => victim,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Wait(600)
exten => says,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,NoOp(${CALLERID(name)})
 same => n,Set(IVR_NAME=${CALLERID(name)})
 same => n,Wait(600)
"""


def test_a_callers_name_that_forges_events_makes_no_ghost_and_ends_nobody() -> None:
    async def story() -> None:
        async with bridged(FORGING) as world:
            victim = await call(world, "victim")
            (channel,) = world.asterisk.channels.values()
            forged = f"x\r\n\r\nEvent: Hangup\r\nUniqueid: {channel.uniqueid}\r\nCause: 16\r\n\r\n" + (
                "Event: Newexten\r\nContext: ivr\r\nExten: ghost\r\nPriority: 1\r\nUniqueid: 1.1\r\n"
                "ChanVariable: IVR_DOMAIN=test.rootdomain.ru\r\nApplication: Wait\r\nAppData: 1"
            )
            await call(world, "says", name=forged)
            await asyncio.sleep(20)
            assert (sorted(world.runtimes), world.ends) == (["says", "victim"], [])
            assert world.runtimes["victim"].id == victim
            assert world.runtimes["says"].name.startswith("x Event: Hangup")
            world.wires[-1].end()
            await asyncio.sleep(20)
            assert sorted(world.runtimes) == ["says", "victim"]

    virtual.run(story())


def test_a_callers_number_that_cuts_rows_in_two_harms_nobody_but_its_own_call() -> None:
    """Asterisk escapes a caller's name, and not the number."""

    async def story() -> None:
        async with bridged(FORGING, audit_s=5) as world:
            victim = await call(world, "victim")
            (channel,) = world.asterisk.channels.values()
            number = (
                f"1\r\nContext: elsewhere\r\nExten: s\r\nPriority: 1\r\nUniqueid: {channel.uniqueid}\r\n"
                "Application: Wait\r\n\r\nEvent: Fake"
            )
            incoming(world.asterisk, "ivr", "says", number=number)
            incoming(world.asterisk, "ivr", "victim")
            await asyncio.sleep(30)
            world.wires[-1].end()
            await asyncio.sleep(30)
            states = world.bridge.snapshot().runtimes
            assert [state.code for state in states] == ["victim", "victim"]
            assert (victim in {state.id for state in states}, world.ends) == (True, [])

    virtual.run(story())


@pytest.mark.parametrize("late_s", [0.5, 5.0, 200.0])
def test_events_that_come_late_make_no_ghosts_and_lose_nobody(late_s: float) -> None:
    async def story() -> None:
        async with bridged() as world:
            world.asterisk.faults.events_late_s = late_s
            rng = Random(7)  # noqa: S311  # a schedule
            for _ in range(60):
                channels = [one for one in world.asterisk.channels.values() if one.position.context == "ivr"]
                if len(channels) > 5 and rng.random() < 0.5:
                    request_hangup(world.asterisk, rng.choice(channels), 16)
                else:
                    incoming(world.asterisk, "ivr", rng.choice(["welcome", "nested", "deep", "jump", "survey"]))
                await asyncio.sleep(rng.random() * 3)
            world.asterisk.faults.events_late_s = 0.0
            await asyncio.sleep(late_s + 130)
            assert shown_channels(world) == living(world)

    virtual.run(story())


def shown_channels(world: Bridged) -> set[str]:
    """The channels behind what is listed."""
    return {world.publisher.channel_of(state.id).uniqueid for state in world.bridge.snapshot().runtimes}


@pytest.mark.parametrize("fault", ["odd_row_ends", "anonymous_rows", "misordered"])
def test_odd_lists_and_orders_are_read_all_the_same(fault: str) -> None:
    async def story() -> None:
        async with bridged() as world:
            setattr(world.asterisk.faults, fault, True)
            await call(world)
            world.wires[-1].end()
            await asyncio.sleep(10)
            assert list(world.runtimes) == ["welcome"]
            hang_up(world.asterisk, next(iter(world.asterisk.channels.values())), 16)
            await world.empty()

    virtual.run(story())


def test_a_call_whose_end_is_never_told_leaves_the_list_all_the_same() -> None:
    async def story() -> None:
        async with bridged() as world:
            world.asterisk.faults.untold_hangups = True
            await call(world)
            (channel,) = world.asterisk.channels.values()
            request_hangup(world.asterisk, channel, 16)
            await world.empty()
            await call(world)
            (channel,) = world.asterisk.channels.values()
            channel.ending = True
            world.asterisk.remove(channel)
            await world.empty()

    virtual.run(story())


def test_a_renamed_channel_keeps_its_runtime() -> None:
    async def story() -> None:
        async with bridged() as world:
            runtime = await call(world)
            (channel,) = world.asterisk.channels.values()
            world.asterisk.rename(channel, "PJSIP/other-00000099")
            assert (await world.bridge.external_stop(runtime, stop_id="one")).state is State.POST_PROCESSING

    virtual.run(story())


def test_a_channel_that_leaves_the_scripts_ends_and_its_start_is_a_new_one_when_it_comes_back() -> None:
    async def story() -> None:
        async with bridged() as world:
            incoming(world.asterisk, "ivr", "leave")
            await world.shown("leave")
            await world.empty()
            assert world.ends == ["normal"]

    virtual.run(story())


def test_a_start_that_the_channels_id_does_not_tell_is_kept_over_a_restart_of_the_bridge() -> None:
    async def story() -> None:
        async with bridged() as world:
            order = Order(dial="Local/s@far", position=Position("ivr", "welcome", 1), ids=("chosen-1", "chosen-2"))
            started = asyncio.get_running_loop().create_task(originate(world.asterisk, order))
            await world.until(lambda: any(one.get("IVR_STARTED") for one in world.asterisk.channels.values()))
            await world.until(lambda: world.runtimes["welcome"].name == "Main scenario")
            shown = world.runtimes["welcome"]
            await world.restart_bridge()
            assert world.runtimes["welcome"] == shown
            await started

    virtual.run(story())


def test_scripts_without_a_domain_are_told_of_and_not_listed(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bridged(audit_s=5) as world:
            incoming(world.asterisk, "ivr", "bare")
            await asyncio.sleep(30)
            assert world.runtimes == {}

    with caplog.at_level(logging.WARNING):
        virtual.run(story())
    told = [record for record in caplog.records if getattr(record, "action", "") == "domain_missing"]
    assert [vars(record)["codes"] for record in told] == [["bare"]]


def test_missing_channelvars_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with bridged(audit_s=5, channelvars=()) as world:
            incoming(world.asterisk, "ivr", "welcome")
            await world.shown("welcome")
            await asyncio.sleep(30)

    with caplog.at_level(logging.WARNING):
        virtual.run(story())
    assert [getattr(record, "action", "") for record in caplog.records].count("channelvars_missing") == 1


def test_a_name_in_latin_1_and_one_with_control_characters_are_shown_readably() -> None:
    async def story() -> None:
        async with bridged(NAMES) as world:
            incoming(world.asterisk, "ivr", "latin")
            incoming(world.asterisk, "ivr", "controls")
            await world.until(lambda: len({one.name for one in world.runtimes.values()} - {"latin", "controls"}) == 2)
            assert world.runtimes["latin"].name.startswith("caf")
            assert world.runtimes["controls"].name == "a b c"

    virtual.run(story())


NAMES = """
[ivr]
exten => _[a-z].,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Goto(name,${EXTEN},1)
[name]
exten => latin,1,Goto(ivr-latin,s,1)
exten => controls,1,Goto(ivr-controls,s,1)
[ivr-latin]
exten => s,1,Set(IVR_NAME=${URIDECODE(caf%e9)})
 same => n,Wait(600)
[ivr-controls]
exten => s,1,Set(IVR_NAME=${URIDECODE(a%09b%1bc)})
 same => n,Wait(600)
"""


def test_boot_that_ends_after_the_login_leads_to_another_list() -> None:
    async def story() -> None:
        async with bridged(boot_s=30.0, audit_s=3600) as world:
            world.asterisk.listeners.clear()  # what happens before is not told
            incoming(world.asterisk, "ivr", "welcome")
            world.wires[-1].end()
            await world.shown("welcome")

    virtual.run(story())


def test_ten_thousand_channels_are_listed() -> None:
    async def story() -> None:
        async with bridged() as world:
            world.asterisk.listeners.clear()  # what is made here is not told
            for number in range(10_000):
                place = Position("ivr" if number % 2 else "outside", "welcome", 2)
                channel = world.asterisk.channel(f"PJSIP/trunk-{number:08x}", place, state=6)
                channel.application = "Wait"
                channel.set("IVR_DOMAIN", "test.rootdomain.ru")
            world.wires[-1].end()
            await world.until(lambda: len(world.bridge.snapshot().runtimes) == 5_000)

    virtual.run(story())
