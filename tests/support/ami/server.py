"""Lets managers in over TCP, TLS or a Unix socket, and ends the engine's life as the console can.

Owns sockets and connections. `async with Server(asterisk)` listens; `port` (or `path`) is where.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from ami.asterisk import Asterisk
from ami.calls import request_hangup
from ami.events import Event
from ami.session import Session
from ami.users import User

UNREAD_BYTES: Final = 16 * 1024 * 1024
"""More than this unread, and a connection is cut off."""

LOOK_S: Final = 0.02


class Server:
    """The manager interface of one engine."""

    def __init__(
        self,
        asterisk: Asterisk,
        *,
        port: int = 0,
        path: str = "",
        tls: ssl.SSLContext | None = None,
        unread_bytes: int = UNREAD_BYTES,
    ) -> None:
        self.asterisk = asterisk
        self.port, self.path = port, path
        self.connections: set[Connection] = set()
        self.logins = 0
        self._tls, self._unread_bytes = tls, unread_bytes
        self._server: asyncio.Server | None = None
        self._draining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._draining:
            self._draining.cancel()
        await self.deafen()
        self.cut()
        await self.asterisk.close()

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None

    async def listen(self) -> None:
        """Take connections."""
        make = lambda: Connection(self, unread_bytes=self._unread_bytes)  # noqa: E731  # a factory
        loop = asyncio.get_running_loop()
        if self.path:
            self._server = await loop.create_unix_server(make, self.path)
            return
        self._server = await loop.create_server(make, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def deafen(self) -> None:
        """Take no more connections; those there are live on."""
        if self._server:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)

    def cut(self, *, abort: bool = False) -> None:
        """End every connection, in good order or not."""
        for connection in list(self.connections):
            connection.end(abort=abort)

    async def restart(self, *, down_s: float = 0.0) -> None:
        """Restart now, or be killed: connections end, nothing is told, and another life begins."""
        await self.deafen()
        if not self.asterisk.quirks.restart_is_silent:
            self._tell_shutdown(restart=True)
            await asyncio.sleep(LOOK_S)
        self.cut()
        self.asterisk.begin()
        await asyncio.sleep(down_s)
        await self.listen()

    def let_in(self, *users: User) -> None:
        """Let in these manager users from now on, as a reload of `manager.conf` does."""
        self.asterisk.users = {user.name: user for user in users}
        if not self.asterisk.quirks.removed_users_stay:
            for connection in list(self.connections):
                connection.end()

    def drain(self) -> None:
        """Begin to restart gracefully: once no channel is left."""
        self.asterisk.draining = True
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    def go_on(self) -> None:
        """Take the graceful restart back."""
        self.asterisk.draining = False
        if self._draining:
            self._draining.cancel()

    def hang_up_all(self) -> None:
        """Hang every call up, as SIGTERM does first."""
        for channel in list(self.asterisk.channels.values()):
            request_hangup(self.asterisk, channel, 0)

    def command(self, line: str, answer: Callable[[list[str]], None]) -> None:
        """Carry a command of the console out."""
        loop = asyncio.get_running_loop()
        if line == "core restart now":
            self._draining = loop.create_task(self.restart())
        elif line == "core restart gracefully":
            self.drain()
            assert self._draining is not None
            self._draining.add_done_callback(lambda _: answer([""]))
        elif line in {"dialplan reload", "core reload"}:
            self._reload(line)
            answer(["Dialplan reloaded."] if line == "dialplan reload" else [""])
        elif line == "manager reload":
            answer([""])
        else:
            answer([f"No such command '{line}' (type 'core show help' for other possible commands)"])

    def _reload(self, line: str) -> None:
        for name, text in self.asterisk.dialplan.variables.items():
            self.asterisk.set_variable(None, name, text)
        if line == "core reload" or not self.asterisk.quirks.dialplan_reload_is_silent:
            self.asterisk.say(Event("Reload", "system", (("Module", "All"), ("Status", "0"))))

    async def _drain(self) -> None:
        while self.asterisk.channels:  # noqa: ASYNC110  # channels end in many ways
            await asyncio.sleep(LOOK_S)
        self._tell_shutdown(restart=True)
        await asyncio.sleep(LOOK_S)
        with suppress(asyncio.CancelledError):
            await self.restart()

    def _tell_shutdown(self, *, restart: bool) -> None:
        self.asterisk.say(Event("Shutdown", "system", (("Shutdown", "Cleanly"), ("Restart", str(restart)))))


class Connection(asyncio.Protocol):
    """A manager's connection."""

    def __init__(self, server: Server, *, unread_bytes: int) -> None:
        self._server, self._unread_bytes = server, unread_bytes
        self._session: Session
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        self._session = Session(self._server.asterisk, life=self._server, write=self._write, close=self.end)
        timeout_s = self._server.asterisk.settings.authtimeout_s
        asyncio.get_running_loop().call_later(timeout_s, self._end_unless_known)

    def data_received(self, data: bytes) -> None:
        """Take what the manager sends."""
        self._session.feed(data)

    def connection_lost(self, _: Exception | None) -> None:
        """Forget it."""
        self._session.end()
        self._server.connections.discard(self)

    def end(self, *, abort: bool = False) -> None:
        """End the connection."""
        self._session.end()
        if abort:
            self._transport.abort()
        else:
            self._transport.close()

    def _end_unless_known(self) -> None:
        if self._session.user is None:
            self.end()

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(data)
        slow = self._transport.get_write_buffer_size() > self._unread_bytes
        if slow and self._server.asterisk.quirks.slow_readers_are_cut:
            self.end(abort=True)
