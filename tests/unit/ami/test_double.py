"""The tests' own Asterisk says what the recorded ones said, to the same words of a client."""

from pathlib import Path

import pytest

import virtual
from ami.dialogue import played, recorded
from ami.recording import FOLDER

MD5 = {"md5-2", "md5-3", "md5-4", "md5-5"}  # its key answers a challenge that only the recorded engine gave
CONSOLE = {f"ami-{number}" for number in [*range(12, 20), 40, 43, 44, 45]}  # what the console prints
RELOADED = {"ami-33"}  # the dialplan has been changed on the disk
CLIPPED = {"ami-38", "ami-39"}  # Set keeps 4 KiB of a value
CLOCK = {"ami-13"}  # the seconds since 1970
JUST_THEN = {"ami-6"}  # asked within milliseconds of a step of the far half

LIKE_THE_RECORDED: dict[str, set[str]] = {
    "22/01-login-empty": set(),
    "22/02-three-channels": set(),
    "22/03-nested-gosub": JUST_THEN,
    "22/04-redirect": set(),
    "22/05-hangup": set(),
    "22/06-reload-dialplan": CONSOLE | RELOADED,
    "22/09-values": CLIPPED,
    "22/10-auth": set(),
    "22/11-variables-status": CLOCK,
    "18/01-login-empty": set(),
    "18/03-nested-gosub": set(),
    "18/10-auth": MD5,
    "18/11-variables-status": CLOCK,
}
"""Recordings, and the answers in them that are not compared."""


def file(name: str) -> Path:
    return FOLDER / f"{name}.txt.gz"


@pytest.mark.parametrize(("name", "left_out"), LIKE_THE_RECORDED.items())
def test_answers_are_those_of_the_recording(name: str, left_out: set[str]) -> None:
    own = virtual.run(played(file(name)))
    for connection, said in recorded(file(name)).items():
        for action_id, answer in said.answers.items():
            if action_id not in left_out:
                assert own[connection].answers[action_id] == answer, (connection, action_id)


@pytest.mark.parametrize(
    "name", [name for name in LIKE_THE_RECORDED if not name.endswith(("06-reload-dialplan", "09-values"))]
)
def test_each_channel_is_told_in_the_order_and_words_of_the_recording(name: str) -> None:
    own = virtual.run(played(file(name)))
    for connection, said in recorded(file(name)).items():
        for channel, events in said.events.items():
            assert own[connection].events[channel] == events, (connection, channel)
