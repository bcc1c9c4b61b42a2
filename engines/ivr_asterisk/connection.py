"""One AMI connection: bytes between a socket and the dialogue, and a time limit for every action.

Owns reading, sending and deadlines. It decides nothing: events and answers are handed on in the order in which the
server sent them. Called by `bridge`, which makes one after the other.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from ivr_asterisk.dialogue import Answer, Dialogue, UnsendableError
from ivr_asterisk.framing import Message

READ: Final = 256 * 1024
"""Bytes of one read at most."""

CONNECT_S: Final = 5.0
"""How long a connection may take to be made, with its TLS handshake."""

ANSWER_S: Final = 3.0
"""How long an answer may take. Asterisk answers in milliseconds, a refused login after a second."""

MAX_UNSENT: Final = 1024 * 1024
"""Bytes that may wait to be sent: beyond, the server does not read, and the connection is given up."""

SHUTTING_DOWN: Final = "Asterisk is shutting down"
"""The answer to every action while Asterisk drains. Events still come."""


class AmiError(Exception):
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


class Connection:
    """A connection to Asterisk's manager interface. `time` is monotonic, in seconds."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        listener: Listener,
        time: Callable[[], float],
    ) -> None:
        self._reader, self._writer, self._listener, self._time = reader, writer, listener, time
        self._dialogue = Dialogue()
        self._waiting: dict[str, tuple[asyncio.Future[Answer], Callable[[Answer], None]]] = {}
        self.answered_at: float | None = None
        self.draining = False

    async def listen(self) -> None:
        """Hand over what the server says, until the connection ends; raises `AmiError` or `OSError`."""
        while data := await self._reader.read(READ):
            for said in self._dialogue.receive(data):
                if isinstance(said, Answer):
                    self._answered(said)
                else:
                    self._listener.heard(said)
            self._listener.settle()
        raise AmiError("the server closed the connection")

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
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
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

    def close(self) -> None:
        """End the connection at once, and with it whatever waits for an answer."""
        self._writer.transport.abort()
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(AmiError("the connection to Asterisk ended"))

    def _send(self, data: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            raise AmiError("the server does not read what is sent")
        self._writer.write(data)

    def _answered(self, answer: Answer) -> None:
        self.answered_at = self._time()
        self.draining = not answer.accepted and answer.said == SHUTTING_DOWN
        future, take = self._waiting[answer.action_id]
        take(answer)
        if not future.done():
            future.set_result(answer)


Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""How a connection is made."""


def dial_to(host: str, port: int, *, tls: ssl.SSLContext | None) -> Dial:
    """Return how to connect to that address, with TLS where a context is given."""

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, port, ssl=tls, limit=READ)

    return dial
