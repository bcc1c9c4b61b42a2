"""The scripted FreeSWITCH says what the recorded one said: the same calls make the same events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from esl.dialplan import Action
from esl.replay import events, frames, streams
from esl.switch import Switch
from esl.world import until

HEARD = ("CHANNEL_CREATE", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE")


def brief(event: dict[str, Any]) -> tuple[object, ...]:
    names = ("Caller-Context", "Caller-Destination-Number", "Caller-Profile-Index", "Channel-State", "Hangup-Cause")
    told = tuple(event.get(name) for name in (*names, "Application", "Application-Data", "variable_ivr_name"))
    return (event["Event-Name"], *told)


async def heard(act: Callable[[Switch], Awaitable[str]], kinds: set[str]) -> list[tuple[object, ...]]:
    """Let a call happen and end; return its events of those kinds."""
    switch = Switch(speed=20)
    told: list[dict[str, Any]] = []
    switch.listeners.append(told.append)
    call = await act(switch)
    await until(lambda: not switch.channels)
    switch.end()
    return [brief(event) for event in told if event["Event-Name"] in kinds and event["Unique-ID"] == call]


async def by_itself(switch: Switch, number: str) -> str:
    return switch.originate(number)


def recorded(name: str, number: str) -> tuple[list[tuple[object, ...]], set[str]]:
    """Return the events of the first recorded call to a number, and the kinds that were subscribed to then."""
    uuid = next(one["Unique-ID"] for one in events(name) if one.get("Caller-Destination-Number") == number)
    told = [event for event in events(name, uuid) if event["Event-Name"] in HEARD]
    return [brief(event) for event in told], {event["Event-Name"] for event in told}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("03", "nested"),
        ("03", "deep"),
        ("03", "nested-missing"),
        ("05", "end-hangup"),
        ("05", "end-busy"),
        ("05", "end-falls-off"),
        ("05", "end-badapp"),
        ("05", "end-badtransfer"),
    ],
)
async def test_a_call_that_ends_by_itself(name: str, number: str) -> None:
    told, kinds = recorded(name, number)
    assert await heard(lambda switch: by_itself(switch, number), kinds) == told


ACTS: dict[str, Callable[[Switch, str], list[str]]] = {
    "021": lambda switch, call: [switch.api(f"uuid_transfer {call} welcome XML ivr-external-stop")],
    "022": lambda switch, call: [switch.api(f"uuid_transfer {call} 205 XML ivr-external-stop")],
    "023": lambda switch, call: [switch.api(f"uuid_transfer {call} missing XML ivr-external-stop")],
    "024": lambda switch, call: [switch.api(f"uuid_transfer {call} welcome XML no-such-context")],
    "025": lambda switch, call: [switch.api(f"uuid_transfer {call} missing XML ivr-stop-catchall")],
    "027": lambda switch, call: [
        switch.api(f"uuid_transfer {call} welcome XML ivr-external-stop"),
        switch.api(f"uuid_kill {call}"),
    ],
    "028": lambda switch, call: [
        switch.api(f"uuid_kill {call}"),
        switch.api(f"uuid_transfer {call} welcome XML ivr-external-stop"),
    ],
}


@pytest.mark.parametrize("uuid", list(ACTS))
async def test_a_call_that_is_transferred_or_killed(uuid: str) -> None:
    told = [event for event in events("04", uuid) if event["Event-Name"] in HEARD]
    number = "survey" if uuid == "022" else "welcome"

    async def act(switch: Switch) -> str:
        call = switch.originate(number)
        await until(lambda: switch.channels[call].application.application in {"sleep", "park"})
        ACTS[uuid](switch, call)
        return call

    assert await heard(act, {event["Event-Name"] for event in told}) == [brief(event) for event in told]


async def test_answers_are_the_recorded_ones() -> None:
    answers = [frame_body for stream in streams("04") + streams("05") for frame_body in _answers(stream)]
    switch = Switch()
    call = switch.originate("welcome")
    nobody = "00000000-0000-4000-8000-000000000099"
    for command in (
        f"uuid_transfer {nobody} welcome XML ivr-external-stop",
        "uuid_transfer",
        f"uuid_transfer {call}",
        f"uuid_transfer {call} welcome XML ivr-external-stop",
        f"uuid_kill {nobody}",
        f"uuid_getvar {nobody} ivr_name",
        f"uuid_setvar {nobody} ivr_name x",
        f"uuid_dump {nobody} json",
    ):
        assert switch.api(command) in answers, command
    assert switch.api("show channels as json") == '{"row_count": 0}\n', "the list is written behind"
    switch.end()


def _answers(stream: bytes) -> list[str]:
    return [frame.body.decode() for frame in frames(stream) if frame.kind == "api/response"]


async def test_the_list_lags_and_the_dump_does_not() -> None:
    switch = Switch(list_lag_s=0.05)
    call = switch.originate("welcome")
    await asyncio.sleep(0)
    assert switch.api(f"uuid_exists {call}") == "true"
    assert '"Caller-Context": "ivr"' in switch.api(f"uuid_dump {call} json")
    assert call not in switch.api("show channels as json")
    await until(lambda: call in switch.api("show channels as json"))
    switch.api(f"uuid_kill {call}")
    await until(lambda: not switch.channels)
    assert call in switch.api("show channels as json")
    await until(lambda: call not in switch.api("show channels as json"))
    switch.end()


async def test_menus_are_entered_and_left_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = Switch(speed=20)
    monkeypatch.setattr(switch.dialplan, "find", lambda *_: [Action("ivr", "main")])
    switch.chosen = ["sales"]
    told: list[tuple[str, str]] = []
    switch.listeners.append(lambda event: told.extend(menu_of(event)))
    call = switch.originate("menus", "menus")
    await until(lambda: len(told) == 5)
    switch.hang_up(call)
    await until(lambda: not switch.channels)
    assert told == [one for event in events("16", "160") for one in menu_of(event)]


def menu_of(event: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["Event-Subclass"], event["Menu-Name"])] if event["Event-Name"] == "CUSTOM" else []
