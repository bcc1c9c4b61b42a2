"""Plays what a recorded client wrote to an Asterisk of the tests' own, and compares what the two said.

Owns what may differ (times, ids, the order of a list's rows) and what is left out. Runs in a virtual loop.
"""

import asyncio
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ami.asterisk import Asterisk, Settings
from ami.dialplan import Dialplan
from ami.recording import FOLDER, Chunk, read
from ami.server import Server
from ami.session import Session

Message = list[tuple[str, str]]

VARYING: Final = frozenset({
    "Timestamp", "Challenge", "Duration", "Seconds", "BridgeId", "BridgeID", "BridgeUniqueid", "CoreStartupDate",
    "CoreStartupTime", "CoreReloadDate", "CoreReloadTime", "CoreProcessedCalls", "Uptime", "LastReload",
})  # fmt: skip
UNORDERED: Final = frozenset({"OriginateResponse", "DialEnd", "HangupRequest"})
"""Events that come from another thread than their channel's: anywhere among its others, or not at all."""

UNMADE: Final = frozenset({
    "DeviceStateChange", "SuccessfulAuth", "InvalidPassword", "InvalidAccountID", "FailedACL", "RequestNotAllowed",
})  # fmt: skip
"""Events that the tests' own Asterisk does not make."""


@dataclass(slots=True)
class Said:
    """What was said on a connection: answers by ActionID, events by channel."""

    answers: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    events: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))


def recorded(path: Path) -> dict[str, Said]:
    """Return what the recorded engine said, by connection."""
    heard: dict[str, bytes] = defaultdict(bytes)
    for chunk in read(path):
        if chunk.way == "<":
            heard[chunk.connection] += chunk.data
    return {name: _sorted_out(data) for name, data in heard.items()}


async def played(path: Path) -> dict[str, Said]:
    """Return what an Asterisk of our own says to the same client."""
    chunks = list(read(path))
    asterisk = _like(path, chunks)
    server = Server(asterisk)
    sessions: dict[str, Session] = {}
    heard: dict[str, bytes] = defaultdict(bytes)
    now = asyncio.get_running_loop().time
    began = now()
    for chunk in chunks:
        await asyncio.sleep(max(0.0, began + chunk.at_ms / 1000 - now()))
        if connected := re.match(rb"(\S+): connected", chunk.data):
            name = connected[1].decode()
            sessions[name] = _session(server, name, heard)
        elif chunk.way == ">" and chunk.connection in sessions:
            sessions[chunk.connection].feed(_own_ids(asterisk, chunk.data))
    await asyncio.sleep(1)
    await asterisk.close()
    return {name: _sorted_out(data) for name, data in heard.items()}


def _session(server: Server, name: str, heard: dict[str, bytes]) -> Session:
    def write(data: bytes) -> None:
        heard[name] += data

    def close() -> None:
        session.end()

    session = Session(server.asterisk, life=server, write=write, close=close)
    return session


def _like(path: Path, chunks: list[Chunk]) -> Asterisk:
    """Return an Asterisk as the recorded one was at the beginning: its version, settings and counters."""
    said = b"".join(chunk.data for chunk in chunks if chunk.way == "<")
    old, with_variables = path.parent.name == "18", path.name.startswith("14-")
    settings = Settings(
        version="18.26.4" if old else "22.10.0",
        ami_version="7.0.3" if old else "11.0.0",
        channelvars=("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS") if with_variables else (),
        timestamps=with_variables,
    )
    asterisk = Asterisk(Dialplan((FOLDER / "config" / "extensions.conf").read_text()), settings)
    names = [int(number, 16) for number in re.findall(rb"Local/[^\s;]*-([0-9a-f]{8});", said)]
    ids = [int(number) for number in re.findall(rb"ivr-node-1-\d+\.(\d+)", said)]
    named = sum(b"OtherChannelId" in chunk.data for chunk in chunks if chunk.way == ">")
    asterisk.names = itertools.count(min(names, default=0))
    asterisk.ids = itertools.count(max(0, min(ids, default=0) - 2 * named))
    return asterisk


def _own_ids(asterisk: Asterisk, data: bytes) -> bytes:
    """Put our own Uniqueids in the place of the recorded ones, which hold other times."""
    for channel in asterisk.channels.values():
        number = channel.uniqueid.rpartition(".")[2]
        data = re.sub(rf"ivr-node-1-\d+\.{number}\b".encode(), channel.uniqueid.encode(), data)
    return data


def _sorted_out(data: bytes) -> Said:
    said = Said()
    for message in _messages(data):
        headers = dict(message)
        event, action_id = headers.get("Event", ""), headers.get("ActionID", "")
        if event in UNMADE:
            continue
        if action_id and event not in {"OriginateResponse", "UserEvent"}:
            said.answers[action_id].append(message)
        else:
            said.events["" if event in UNORDERED else _channel(headers)].append(message)
    for answer in said.answers.values():
        answer[1:-1] = sorted(answer[1:-1])
    said.events.pop("", None)
    return said


def _channel(headers: dict[str, str]) -> str:
    names = ("Uniqueid", "DestUniqueid", "LocalOneUniqueid")
    return next((headers[name] for name in names if name in headers), "of none")


def _messages(data: bytes) -> Iterator[Message]:
    for text in data.decode(errors="surrogateescape").split("\r\n\r\n"):
        lines = [line.partition(": ") for line in text.split("\r\n") if line]
        if lines:
            yield [(name, "*" if name in VARYING else _steady(value)) for name, _, value in lines]


def _steady(value: str) -> str:
    return re.sub(r"(ivr-node-1-)\d+(\.\d+)|(?<=EPOCH=)\d+", r"\1*\2", value)
