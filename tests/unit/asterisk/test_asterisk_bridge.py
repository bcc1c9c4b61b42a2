"""The bridge at the tests' own Asterisk: what is listed, under which names, and for how long."""

import virtual
from ami.calls import incoming, request_hangup
from bridged import bridged
from ivr_engine.model import State


def test_a_call_in_a_script_is_listed_with_what_its_variables_say() -> None:
    async def story() -> None:
        async with bridged() as world:
            channel = incoming(world.asterisk, "ivr", "welcome", number="4930123", name="Ada")
            await world.until(lambda: "Main scenario" in {one.name for one in world.runtimes.values()})
            shown = world.runtimes["welcome"]
            assert (shown.domain, shown.type, shown.state) == ("test.rootdomain.ru", "ivr", State.RUNNING)
            assert (shown.caller, shown.call_id) == ("4930123", channel.linkedid)
            assert (shown.rootcode, shown.rootname, shown.stoptype, shown.stop_id) == (None, None, None, None)
            request_hangup(world.asterisk, channel, 16)
            await world.empty()
            assert world.ends == ["owner_down"]

    virtual.run(story())


def test_a_subroutine_in_another_context_of_scripts_is_a_nested_script() -> None:
    async def story() -> None:
        async with bridged() as world:
            incoming(world.asterisk, "ivr", "nested")
            nested = await world.shown("player")
            assert (nested.rootcode, nested.rootname) == ("nested", "Caller script")
            await world.until(lambda: world.runtimes["player"].name == "TEST PLAY")
            back = await world.shown("nested")
            assert (back.name, back.rootcode, back.id) == ("Caller script", None, nested.id)
            await world.empty()
            assert world.ends == ["normal"]

    virtual.run(story())
