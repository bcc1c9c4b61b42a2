"""One AMI connection: login, actions with a time limit each, and what the server says in its order.

Owns that events and answers are handed on in the order in which the server sent them. It decides nothing. The kit
opens, reads and closes it. Called by `bridge` and `stops`.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from ivr_asterisk.dialogue import Answer, Dialogue, UnsendableError
from ivr_asterisk.framing import Message
from ivr_engine import connection
from ivr_engine.connection import CHUNK, Streams
from ivr_engine.reconnect import LoginError, LostError

ANSWER_S: Final = 3.0
"""How long an answer may take. Asterisk answers in milliseconds, a refused login after a second."""

MAX_UNSENT: Final = 1024 * 1024
"""Bytes that may wait to be sent: beyond, the server does not read, and the connection is given up."""

SHUTTING_DOWN: Final = "Asterisk is shutting down"
"""The answer to every action while Asterisk drains. Events still come."""


class AmiError(LostError):
    """The connection is of no more use, or an action has failed; says why."""


class NoAnswerError(AmiError):
    """An action was not answered in time."""


class RefusedError(AmiError):
    """The server refused an action; `said` are its words."""

    def __init__(self, action: str, said: str) -> None:
        super().__init__(f"{action}: {said}")
        self.said = said


class DrainingError(RefusedError):
    """Asterisk is shutting down and carries nothing out."""


class Listener(Protocol):
    """Who takes what the server says."""

    def heard(self, event: Message) -> None:
        """Take an event."""
        ...

    def settle(self) -> None:
        """Everything of one read has been handed over."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """The manager user."""

    username: str
    secret: str


class Connection(connection.Link[Answer]):
    """A connection to Asterisk's manager interface."""

    def __init__(self, streams: Streams, *, listener: Listener, login: Login) -> None:
        super().__init__(streams)
        self._listener, self._login = listener, login
        self._dialogue = Dialogue()
        self._waiting: dict[str, tuple[asyncio.Future[Answer], Callable[[Answer], None]]] = {}
        self.draining = False

    async def log_in(self) -> None:
        """Log in; raises `LoginError` where Asterisk does not let the manager user in."""
        fields = {"Username": self._login.username, "Secret": self._login.secret, "Events": "on"}
        try:
            await self.ask("Login", fields)
        except DrainingError:
            raise
        except RefusedError as refusal:
            raise LoginError(f"{refusal}; check user, secret and permit of manager.conf") from None

    def feed(self, data: bytes) -> None:
        """Hand over what the server says."""
        for said in self._dialogue.receive(data):
            if isinstance(said, Answer):
                self._answered(said)
            else:
                self._listener.heard(said)
        self._listener.settle()

    async def ask(
        self,
        action: str,
        fields: Mapping[str, str] | None = None,
        *,
        take: Callable[[Answer], None] = lambda _: None,
        within_s: float = ANSWER_S,
    ) -> Answer:
        """Send an action and return its answer; raises `NoAnswerError`, `RefusedError` or `DrainingError`.

        `take` gets the answer at its place among the events, before any that came after it.
        """
        try:
            action_id, data = self._dialogue.ask(action, fields or {})
        except UnsendableError as error:
            raise AmiError(f"{action}: {error}") from None
        future = self.answers.expect()
        self._waiting[action_id] = (future, take)
        try:
            self._send(data)
            async with asyncio.timeout(within_s):
                answer = await future
        except TimeoutError:
            raise NoAnswerError(f"{action} was not answered within {within_s:g} s") from None
        finally:
            self._waiting.pop(action_id, None)
            self._dialogue.forget(action_id)
        if not answer.accepted:
            said = answer.said.partition(":")[0]  # what follows may be a channel's name, and so a caller's number
            raise (DrainingError if said == SHUTTING_DOWN else RefusedError)(action, said)
        return answer

    def _send(self, data: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            raise AmiError("the server does not read what is sent")
        self._writer.write(data)

    def _answered(self, answer: Answer) -> None:
        self.draining = not answer.accepted and answer.said == SHUTTING_DOWN
        future, take = self._waiting[answer.action_id]
        take(answer)
        self.answers.give(future, answer)


Dial = Callable[[], Awaitable[Streams]]
"""How a connection is made."""


def dial_to(host: str, port: int, *, tls: ssl.SSLContext | None) -> Dial:
    """Return how to connect to that address, with TLS where a context is given."""
    return partial(asyncio.open_connection, host, port, ssl=tls, limit=CHUNK)


def connected(listener: Listener, *, dial: Dial, login: Login) -> AbstractAsyncContextManager[Connection]:
    """Open a connection and log in; close it at the end. Raises `LostError` or `OSError`."""
    return connection.opened(dial, partial(Connection, listener=listener, login=login))
