"""Each of the 28 quirks of the tests' own Asterisk can be switched off, and is then not there."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest

import virtual
from ami import Asterisk, Dialplan, Quirks, Server, Settings
from ami.calls import hang_up, incoming
from ami.session import Session
from joined import RECORDED

LOUD = RECORDED.replace("[ivr-player]", "exten => loud,1,NoOp(${CALLERID(name)})\n same => n,Wait(600)\n[ivr-player]")
REDIRECT = "Action: Redirect\r\nChannel: {name}\r\nContext: ivr-external-stop\r\nExten: {to}\r\nPriority: 1\r\n\r\n"
HANGUP = "Action: Hangup\r\nChannel: {name}\r\n\r\n"
LIST = "Action: CoreShowChannels\r\n\r\n"
WAITING = "Action: Originate\r\nChannel: Local/welcome@ivr\r\nApplication: Wait\r\nData: 600\r\n\r\n"


@dataclass
class Talk:
    """A manager's talk with an Asterisk at which one call came in."""

    asterisk: Asterisk
    server: Server
    call: Any
    say: Callable[[str], None]


def redirect(to: str, name: str = "{name}") -> str:
    return REDIRECT.replace("{to}", to).replace("{name}", name)


def getvar(name: str, channel: str = "{name}") -> str:
    return f"Action: Getvar\r\nChannel: {channel}\r\nVariable: {name}\r\n\r\n"


Step = str | float | Callable[[Talk], Any]

CASES: dict[str, tuple[str, list[Step]]] = {
    "redirect_to_nowhere_succeeds": ("welcome", [redirect("missing")]),
    "second_redirect_is_refused": ("welcome", [redirect("welcome") + redirect("survey")]),
    "hangup_follows_redirect": ("welcome", [redirect("welcome") + HANGUP]),
    "stack_survives_redirect": ("calls-hold", [redirect("returns"), 1.0, LIST]),
    "redirect_gives_a_dialplan": ("bare", [WAITING, 1.0, redirect("welcome", "Local/welcome@ivr-00000001;1")]),
    "dial_shows_after_redirect": ("dial", [redirect("welcome")]),
    "uniqueid_names_a_channel": ("welcome", [getvar("IVR_NAME", "{uniqueid}")]),
    "half_one_looks_like_a_script": ("bare", [WAITING]),
    "legs_keep_odd_positions": ("dial", [LIST]),
    "optimisation_keeps_names": ("dial", [LIST]),
    "gosub_shows_priority_zero": ("calls-hold", []),
    "return_keeps_variables": ("nested", [getvar("IVR_NAME")]),
    "status_takes_functions": ("calls-hold", ["Action: Status\r\nVariables: STACK_PEEK(1,e,1)\r\n\r\n"]),
    "events_carry_channelvars": ("welcome", []),
    "raw_values": ("loud", []),
    "long_lines_are_refused": ("welcome", ["Action: Ping\r\nX: " + "x" * 2_000 + "\r\n\r\n"]),
    "events_follow_lists": ("welcome", [lambda talk: incoming(talk.asterisk, "ivr", "bare"), LIST]),
    "soft_hangup_says_16": ("welcome", [HANGUP]),
    "unknown_channels_are_refused": ("welcome", [redirect("welcome", "Nobody/1")]),
    "dialplan_reload_is_silent": ("welcome", ["Action: Command\r\nCommand: dialplan reload\r\n\r\n"]),
    "existence_needs_its_priority": ("welcome", [getvar("DIALPLAN_EXISTS(ivr-external-stop,nofirst,1)")]),
    "restart_is_silent": ("welcome", [lambda talk: talk.server.restart()]),
    "draining_refuses_everything": ("welcome", [lambda talk: talk.server.drain(), "Action: Ping\r\n\r\n"]),
    "systemname_is_told": ("welcome", []),
}
CONNECTIONS = {"login_before_boot", "refused_logins_are_slow", "removed_users_stay", "slow_readers_are_cut"}
"""Those of connections, which have tests of their own below."""


async def talk(quirks: Quirks, exten: str, steps: list[Step]) -> str:
    """Hold the talk; return what the manager heard, without times."""
    asterisk = Asterisk(Dialplan(LOUD), Settings(channelvars=("IVR_NAME",)), quirks)
    server, heard = Server(asterisk), bytearray()

    async def no_socket() -> None:
        """Listen to nobody."""

    server.listen = no_socket  # type: ignore[method-assign]
    session = Session(asterisk, life=server, write=heard.extend, close=lambda: None)
    say = lambda text: session.feed(text.encode())  # noqa: E731  # short
    say("Action: Login\r\nUsername: ivr\r\nSecret: secret\r\n\r\n")
    call = incoming(asterisk, "ivr", exten, name="Eve\r\nEvent: Fake")
    await asyncio.sleep(2)
    one = Talk(asterisk, server, call, say)
    for step in steps:
        await _take(one, step)
    await asyncio.sleep(2)
    await asterisk.close()
    return re.sub(r"\d{10}(\.\d+)?|[0-9a-f]{8}-[0-9a-f-]{27}", "*", heard.decode())


async def _take(one: Talk, step: Step) -> None:
    if isinstance(step, float):
        await asyncio.sleep(step)
    elif isinstance(step, str):
        one.say(step.replace("{name}", one.call.name).replace("{uniqueid}", one.call.uniqueid))
    elif asyncio.iscoroutine(waiting := step(one)):
        await waiting


@pytest.mark.parametrize("quirk", CASES)
def test_a_quirk_that_is_switched_off_is_not_there(quirk: str) -> None:
    exten, steps = CASES[quirk]
    said = [virtual.run(talk(Quirks(**{quirk: on}), exten, steps)) for on in (True, False, True)]
    assert said[0] == said[2] != said[1]


def test_every_quirk_is_switched_off_somewhere() -> None:
    assert {field.name for field in fields(Quirks)} == {*CASES, *CONNECTIONS}
    assert len(fields(Quirks)) == 28


@virtual.timeless
async def test_a_login_before_the_boot_is_over_succeeds_or_is_refused() -> None:
    for on, word in ((True, "Authentication accepted"), (False, "Authentication failed")):
        asterisk = Asterisk(Dialplan(RECORDED), Settings(boot_s=60), Quirks(login_before_boot=on))
        assert word in await login(asterisk, wait_s=2)


@virtual.timeless
async def test_a_refused_login_is_answered_after_a_second_or_at_once() -> None:
    for on, word in ((True, ""), (False, "Authentication failed")):
        asterisk = Asterisk(Dialplan(RECORDED), Settings(users=()), Quirks(refused_logins_are_slow=on))
        heard = await login(asterisk, wait_s=0.5)
        assert heard.partition("\r\n")[2][: len(word) + 40].count("failed") == bool(word)


async def login(asterisk: Asterisk, *, wait_s: float) -> str:
    heard = bytearray()
    session = Session(asterisk, life=Server(asterisk), write=heard.extend, close=lambda: None)
    session.feed(b"Action: Login\r\nUsername: ivr\r\nSecret: secret\r\n\r\n")
    await asyncio.sleep(wait_s)
    return heard.decode()


@virtual.timeless
async def test_a_user_who_is_removed_keeps_the_connection_or_loses_it(tmp_path) -> None:
    for on in (True, False):
        asterisk = Asterisk(Dialplan(RECORDED), quirks=Quirks(removed_users_stay=on))
        async with Server(asterisk, path=str(tmp_path / f"ami{on}")) as server:
            reader, writer = await asyncio.open_unix_connection(server.path)
            await reader.readline()
            server.let_in()
            await asyncio.sleep(1)
            assert reader.at_eof() is not on
            writer.close()


@virtual.timeless
async def test_a_reader_that_is_too_slow_is_cut_off_or_not(tmp_path) -> None:
    for on in (True, False):
        asterisk = Asterisk(Dialplan(RECORDED), quirks=Quirks(slow_readers_are_cut=on))
        async with Server(asterisk, path=str(tmp_path / f"ami{on}"), unread_bytes=100_000) as server:
            _, writer = await asyncio.open_unix_connection(server.path, limit=1_000)
            writer.write(b"Action: Login\r\nUsername: ivr\r\nSecret: secret\r\n\r\n")
            await asyncio.sleep(1)
            calls = [incoming(asterisk, "ivr", "welcome") for _ in range(500)]
            await asyncio.sleep(2)
            hang_up(asterisk, calls[0], 16)
            assert bool(server.connections) is not on
            writer.transport.abort()
            await asyncio.sleep(1)
