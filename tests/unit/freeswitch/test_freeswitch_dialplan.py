"""Whether an External Stop branch is there: read from the context's XML as `xml_locate` gives it."""

import pytest

from esl.dialplan import Dialplan
from ivr_freeswitch.dialplan import takes

XML = """<context name="c">
  <extension name="by time"><condition wday="1"/>
    <condition field="destination_number" expression="^monday$"/></extension>
  <extension name="by caller"><condition field="caller_id_number" expression="^1$"/></extension>
  <extension name="broken"><condition field="destination_number" expression="^("/></extension>
  <extension name="no condition"><action application="hangup"/></extension>
  <extension name="two"><condition field="destination_number" expression="^s"/>
    <condition field="destination_number" expression="y$" break="on-false"/></extension>
</context>"""


@pytest.mark.parametrize(
    ("context", "number", "there"),
    [
        ("ivr-external-stop", "welcome", True),
        ("ivr-external-stop", "205", True),
        ("ivr-external-stop", "2055", False),
        ("ivr-external-stop", "survey", False),
        ("ivr-stop-catchall", "anything", True),
        ("no-such-context", "welcome", False),
    ],
)
def test_the_recorded_contexts_take_what_the_recorded_engine_took(context: str, number: str, *, there: bool) -> None:
    assert takes(Dialplan().xml(context), number) is there


@pytest.mark.parametrize(("number", "there"), [("survey", True), ("s", False), ("monday", False), ("1", False)])
def test_only_conditions_on_the_number_alone_are_known_to_hold(number: str, *, there: bool) -> None:
    assert takes(XML, number) is there


@pytest.mark.parametrize("answer", ["", "can't find anything\n", "-ERR no reply\n", "<context>"])
def test_what_is_no_context_takes_nothing(answer: str) -> None:
    assert not takes(answer, "welcome")
