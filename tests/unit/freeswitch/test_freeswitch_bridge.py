"""The bridge beside a scripted FreeSWITCH: what runs is shown, whatever is lost on the way."""

from esl.world import World, until
from ivr_engine.model import State


async def test_a_call_in_an_ivr_context_is_a_runtime_from_its_first_application_to_its_hangup(world: World) -> None:
    call = world.switch.originate("welcome")
    await until(lambda: call in world.rows() and world.rows()[call].name == "Main scenario")
    row = world.rows()[call]
    assert (row.code, row.type, row.domain, row.state) == ("welcome", "ivr", "test.rootdomain.ru", State.RUNNING)
    world.switch.hang_up(call)
    await until(lambda: not world.rows())
    assert world.ends() == {call: "normal"}
