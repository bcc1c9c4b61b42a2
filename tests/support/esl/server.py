"""The Event Socket of the scripted FreeSWITCH: who may come in, framing, subscriptions, background jobs.

Each answer, error and odd habit here stands in a recording. What a client does not read waits, as in recording 15.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from esl.switch import Switch

GOODBYE: Final = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
SHUT_DOWN: Final = "The system is being shut down.\n"
GO_AWAY: Final = "Access Denied, go away.\n"
EVENTS: Final = re.compile(r"CHANNEL_[A-Z_]+|HEARTBEAT|BACKGROUND_JOB|SHUTDOWN|CUSTOM|RELOADXML|API|ALL")


@dataclass(frozen=True)
class User:
    """An Event Socket user of the directory; empty lists allow everything."""

    password: str
    apis: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


@dataclass
class Access:
    """Who may come in."""

    password: str = "secret"
    users: dict[str, User] = field(default_factory=dict)
    denied: bool = False


class Connection:
    """One client."""

    def __init__(self, server: "Server", writer: asyncio.StreamWriter) -> None:
        self._server, self._writer = server, writer
        self.user: User | None = None
        self.format = "plain"
        self.events: set[str] = set()
        self.subclasses: set[str] = set()
        self.held = False
        """Whether frames wait: an engine whose event system hangs on a living connection."""
        self._waiting: list[bytes] = []

    def send(self, kind: str, body: str = "", **headers: str) -> None:
        """Send a frame; lengths count bytes."""
        data = body.encode()
        head = {"Content-Type": kind, **headers, **({"Content-Length": str(len(data))} if data else {})}
        self._write("".join(f"{name}: {value}\n" for name, value in head.items()).encode() + b"\n" + data)

    def reply(self, text: str, **headers: str) -> None:
        """Send a command/reply."""
        self.send("command/reply", **{"Reply-Text": text, **headers})

    def hear(self, event: dict[str, Any]) -> None:
        """Send an event, if it is subscribed to."""
        name = event["Event-Name"]
        wanted = name in self.events or "ALL" in self.events
        if name == "CUSTOM" and event.get("Event-Subclass") not in self.subclasses:
            return
        if wanted:
            body = json.dumps(event, ensure_ascii=False) if self.format == "json" else _plain(event)
            self.send(f"text/event-{self.format}", body)

    def release(self) -> None:
        """Send what was held."""
        self.held = False
        for data in self._waiting:
            self._write(data)
        self._waiting.clear()

    def close(self, notice: str = GOODBYE) -> None:
        """Say goodbye, if with anything, and close."""
        if notice:
            self.send("text/disconnect-notice", notice)
        self._writer.close()

    def command(self, text: str) -> bool:
        """Answer a command; False when the connection ends with it."""
        self._server.given.append(text)
        lines = text.replace("\r", "").split("\n")
        verb, _, rest = lines[0].partition(" ")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        if self.user is None or verb in {"auth", "userauth"}:
            return self._log_in(verb, rest)
        if verb == "exit":
            self.reply("+OK bye")
            self.close()
            return False
        known: dict[str, Callable[[str], None]] = {
            "event": self._subscribe,
            "api": self._api,
            "bgapi": lambda rest: self._job(rest, headers),
        }
        if verb not in known or not rest:
            self.reply("-ERR command not found")
        else:
            known[verb](rest)
        return True

    def _log_in(self, verb: str, rest: str) -> bool:
        if self.user is not None or verb not in {"auth", "userauth"}:
            self.reply("-ERR command not found")
            return True
        access = self._server.access
        name, _, password = rest.partition(":") if verb == "userauth" else ("", "", rest)
        user = access.users.get(name) if name else User(access.password)
        if user is None or user.password != password:
            self.reply("-ERR invalid")
            self.close()
            return False
        self.user = user
        self.reply("+OK accepted")
        return True

    def _subscribe(self, rest: str) -> None:
        """Subscribe word by word, as the engine does: after CUSTOM come subclasses; a format may be missing."""
        words = rest.split(" ")
        if words[0] in {"plain", "json", "xml"}:
            self.format = words.pop(0)
        user, custom, known = self.user, False, 0
        assert user is not None
        for word in words:
            if not custom and not EVENTS.fullmatch(word):
                continue
            if user.events and word not in user.events:
                self.reply("-ERR permission denied")
                return
            known += 1
            (self.subclasses if custom else self.events).add(word)
            custom = custom or word == "CUSTOM"
        if not known:
            self.reply("-ERR no keywords supplied")
            return
        self.reply(self._server.subscribed or f"+OK event listener enabled {self.format}")

    def _api(self, rest: str) -> None:
        if self._allowed(rest):
            self.send("api/response", self._server.switch.api(rest))

    def _job(self, rest: str, headers: dict[str, str]) -> None:
        if not self._allowed(rest):
            return
        job = headers.get("job-uuid") or str(uuid4())
        if "the event module unloads" in self._server.switch.faults:
            self.send("api/response", f"+OK Job-UUID: {job}\n")
        else:
            self.reply(f"+OK Job-UUID: {job}", **{"Job-UUID": job})
        self._server.jobs += 1
        self._server.most_jobs = max(self._server.most_jobs, self._server.jobs)
        asyncio.get_running_loop().call_later(0.001, self._done, job, rest)

    def _done(self, job: str, rest: str) -> None:
        self._server.jobs -= 1
        switch = self._server.switch
        told = {"Job-UUID": job, "Job-Command": rest.partition(" ")[0]}
        answer = switch.api(rest)
        switch.fire("BACKGROUND_JOB", told={**told, "Content-Length": str(len(answer.encode())), "_body": answer})

    def _allowed(self, command: str) -> bool:
        assert self.user is not None
        if self.user.apis and command.partition(" ")[0] not in self.user.apis:
            self.reply("-ERR permission denied")
            return False
        return True

    def _write(self, data: bytes) -> None:
        if self.held:
            self._waiting.append(data)
        elif not self._writer.is_closing():
            self._server.write(self._writer, data)


class Server:
    """The event module. `cut` splits what is sent into pieces of that many bytes at most; 0: as it comes."""

    def __init__(self, switch: Switch, *, cut: int = 0) -> None:
        self.switch, self.cut = switch, cut
        self.access = Access()
        self.connections: list[Connection] = []
        self.accepted = 0
        self.given: list[str] = []
        """Each command as it came, with its headers."""
        self.most_jobs = self.jobs = 0
        """Background jobs under way, and the most there were."""
        self.subscribed = ""
        """What to answer to a subscription instead."""
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def at_path(self, path: str) -> AsyncIterator["Server"]:
        """Listen on a Unix socket until the block ends."""
        async with await asyncio.start_unix_server(self._serve, path):
            yield self
            self.drop()

    @asynccontextmanager
    async def at_port(self, port: int) -> AsyncIterator["Server"]:
        """Listen on loopback until the block ends."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", port):
            yield self
            self.drop()

    def drop(self, notice: str = "") -> None:
        """Close each connection, with a notice or as `kill -9` does."""
        for connection in tuple(self.connections):
            connection.close(notice)

    def write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send bytes, cut or whole."""
        size = self.cut or max(1, len(data))
        for begin in range(0, len(data), size):
            writer.write(data[begin : begin + size])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, writer)
        self.accepted += 1
        if self.access.denied:
            connection.send("text/rude-rejection", GO_AWAY)
            connection.close()
            return
        self.connections.append(connection)
        self.switch.listeners.append(connection.hear)
        try:
            connection.send("auth/request")
            while connection.command(await _command(reader)):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections.remove(connection)
            self.switch.listeners.remove(connection.hear)
            with suppress(ConnectionError):
                writer.close()


async def _command(reader: asyncio.StreamReader) -> str:
    """Read a command: lines up to an empty one, ended by LF or CR LF."""
    text = bytearray()
    while not re.search(rb"[^\r\n]\r?\n\r?\n$", text):
        text += await reader.readuntil(b"\n")
    return bytes(text).decode().rstrip("\r\n")


def _plain(event: dict[str, Any]) -> str:
    body = str(event.get("_body", ""))
    lines = [f"{name}: {quote(str(value), safe='/:, ')}\n" for name, value in event.items() if name != "_body"]
    return "".join(lines) + "\n" + body
