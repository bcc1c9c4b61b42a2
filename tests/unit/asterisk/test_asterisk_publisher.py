"""What of the channels is published: starts and ends that Asterisk has confirmed, and doubts that are looked up."""

import pytest

from bridged import SCRIPTS, STOP_CAUSE
from ivr_asterisk.dialogue import Answer
from ivr_asterisk.framing import Message
from ivr_asterisk.model import Model
from ivr_asterisk.publisher import NO_CHANNEL, Publisher
from ivr_engine.mirror import Mirror
from ivr_engine.model import Event

CALL = "1795649108.16"
PLACE = {"Channel": "PJSIP/a-1", "Context": "ivr", "Exten": "welcome", "Priority": "2", "Uniqueid": CALL}
VARIABLES = {"IVR_DOMAIN": "test.rootdomain.ru", "IVR_NAME": "Main", "IVR_STOPS": ""}


def newexten(**changes: str) -> Message:
    return Message({"Event": "Newexten", **PLACE, "Application": "Wait", **changes}, dict(VARIABLES))


def hangup(cause: str = "16") -> Message:
    return Message({"Event": "Hangup", **PLACE, "Cause": cause})


def status(*rows: Message, torn: bool = False) -> Answer:
    return Answer("1", Message({"Response": "Success"}), list(rows), len(rows), complete=True, torn=torn)


def row(**changes: str) -> Message:
    stack = {f"STACK_PEEK({depth},l,1)": "" for depth in range(1, 9)}
    return Message({"Event": "Status", **PLACE, "Application": "Wait", **changes}, dict(VARIABLES), stack)


GONE = Answer("1", Message({"Response": "Error", "Message": NO_CHANNEL}))


class World:
    def __init__(self) -> None:
        self.told: list[Event] = []
        self.mirror = Mirror(session="s", publish=self.told.append)
        self.publisher = Publisher(Model(SCRIPTS, stop_cause=STOP_CAUSE), self.mirror, now_s=lambda: 1795649108.0)

    def heard(self, *events: Message) -> None:
        for event in events:
            self.publisher.heard(event)
        self.publisher.settle()

    def asked(self) -> list[str]:
        """The channels that would be looked up now."""
        asked = list(self.publisher.doubted)
        self.publisher.doubted.clear()
        return asked

    @property
    def codes(self) -> list[str]:
        return [state.code for state in self.mirror.snapshot().runtimes]


@pytest.fixture
def world() -> World:
    return World()


def test_a_start_is_published_once_it_is_confirmed(world: World) -> None:
    world.heard(newexten())
    assert (world.codes, world.asked()) == ([], [CALL])
    world.publisher.looked_up(CALL, status(row()))
    assert (world.codes, world.asked()) == (["welcome"], [])


def test_a_start_that_asterisk_knows_nothing_of_is_none(world: World) -> None:
    world.heard(newexten())
    world.publisher.looked_up(CALL, GONE)
    assert (world.codes, world.told) == ([], [])


def test_an_end_is_published_once_it_is_confirmed(world: World) -> None:
    world.heard(newexten())
    world.publisher.looked_up(CALL, status(row()))
    world.asked()
    world.heard(hangup())
    assert (world.codes, world.asked()) == (["welcome"], [CALL])
    world.publisher.looked_up(CALL, GONE)
    assert world.codes == []


def test_a_hang_up_that_is_contradicted_is_looked_at_once_more(world: World) -> None:
    """Forged, or told before the list or the answer that it overtook."""
    world.heard(newexten())
    world.publisher.looked_up(CALL, status(row()))
    for found in (world.publisher.listed, lambda answer: world.publisher.looked_up(CALL, answer)):
        world.heard(hangup())
        world.asked()
        found(status(row()))
        world.publisher.doubt_again()
        assert (world.codes, world.asked()) == (["welcome"], [CALL])


def test_a_hang_up_of_a_call_that_is_not_published_yet_is_asked_for_too(world: World) -> None:
    world.heard(newexten(), hangup())
    assert world.asked() == [CALL]
    world.publisher.looked_up(CALL, status(row()))
    assert world.codes == ["welcome"]


def test_a_torn_answer_says_nothing_and_is_asked_for_again(world: World) -> None:
    world.heard(newexten())
    world.asked()
    for answer in (status(row(), torn=True), status(row(), row())):
        world.publisher.looked_up(CALL, answer)
        world.publisher.doubt_again()
        assert (world.codes, world.asked()) == ([], [CALL])


def test_a_channel_that_a_torn_list_lacks_is_asked_for_and_one_that_a_whole_list_lacks_is_gone(world: World) -> None:
    world.heard(newexten())
    world.publisher.looked_up(CALL, status(row()))
    world.asked()
    world.publisher.listed(Answer("1", Message({"Response": "Success"}), [], 1, complete=True, torn=True))
    assert (world.codes, world.asked()) == (["welcome"], [CALL])
    world.publisher.listed(status())
    assert world.codes == []


def test_a_channel_that_a_list_tells_twice_is_asked_for(world: World) -> None:
    world.publisher.listed(status(row(), row(Context="outside")))
    assert world.asked() == [CALL]


def test_while_asterisk_drains_events_are_believed(world: World) -> None:
    world.publisher.trusting = True
    world.heard(newexten())
    assert world.codes == ["welcome"]
    world.heard(hangup())
    assert world.codes == []


@pytest.mark.parametrize("uniqueid", ["/^.*$/", "", "a\x07b", "x" * 257])
def test_a_uniqueid_that_actions_would_misunderstand_names_no_channel(world: World, uniqueid: str) -> None:
    """AMI takes a channel that begins with a slash for a regular expression: a Hangup of it would end everything."""
    world.heard(newexten(Uniqueid=uniqueid))
    assert world.asked() == []


@pytest.mark.parametrize(
    ("cause", "ended"), [("16", "normal"), ("0", "normal"), ("8", "stop"), ("19", "timeout"), ("38", "error")]
)
def test_an_end_is_named_after_its_cause(world: World, cause: str, ended: str) -> None:
    world.heard(newexten())
    world.publisher.looked_up(CALL, status(row()))
    world.heard(hangup(cause))
    world.publisher.looked_up(CALL, GONE)
    assert getattr(world.told[-1], "stoptype", None) == ended
