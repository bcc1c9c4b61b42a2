"""One connection to the Event Socket: login, subscription, commands, events.

Owns the order of what is sent, and that each command has its answer within a time limit. Commands are sent as
background jobs with an id of our own: a plain `api` would hold up the events. Called by `bridge`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final
from uuid import uuid4

from ivr_engine import connection
from ivr_engine.answers import json_object
from ivr_engine.bridge import Event
from ivr_engine.connection import Streams
from ivr_engine.reconnect import LoginError, LostError
from ivr_freeswitch.frames import Frame, Frames

SUBSCRIPTION: Final = (
    "CHANNEL_CREATE CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE CHANNEL_UUID "
    "HEARTBEAT BACKGROUND_JOB CUSTOM menu::enter menu::exit"
)
"""What the bridge listens to; after CUSTOM come its subclasses."""

ANSWER_S: Final = 3.0
"""How long a command may take: less than the 4 s that the agent waits for a stop."""

JOBS: Final = 128
"""Commands under way at most: each is a thread in the engine."""

SUBSCRIBED: Final = "+OK event listener enabled json"
"""The reply to the subscription. A word it does not know would have given plain events, or none."""


class RefusedError(LostError):
    """The engine does not let this user run a command."""


class Link(connection.Link[str]):
    """One connection. `take` gets each event in order."""

    def __init__(self, streams: Streams, *, take: Callable[[Event], None], user: str | None, password: str) -> None:
        super().__init__(streams)
        self._take = take
        self._login = f"userauth {user}:{password}" if user else f"auth {password}"
        self._frames = Frames()
        self._replies: deque[asyncio.Future[str]] = deque()
        self._jobs: dict[str, asyncio.Future[str]] = {}
        self._slots = asyncio.Semaphore(JOBS)
        self._asked_to_log_in = self.answers.expect()

    async def log_in(self) -> None:
        """Log in and subscribe; raises `LostError`."""
        await self._asked_to_log_in
        if not (await self._say(self._login)).startswith("+OK"):
            raise LoginError("the engine refused the login: check user and password")
        if await self._say(f"event json {SUBSCRIPTION}") != SUBSCRIBED:
            raise LostError("the engine refused the subscription: allow the user the events of docs/freeswitch.md")

    async def command(self, text: str) -> str:
        """Return the answer to an API command; raises `RefusedError`, `LostError`, or `TimeoutError` after 3 s."""
        job = str(uuid4())
        done = self._jobs[job] = self.answers.expect()
        try:
            async with self._slots, asyncio.timeout(ANSWER_S):
                reply = await self._say(f"bgapi {text}\nJob-UUID: {job}")
                if not reply.startswith("+OK"):
                    raise RefusedError(f"{text.partition(' ')[0]} is not allowed: add it to the user's esl-allowed-api")
                return await done
        finally:
            del self._jobs[job]

    def feed(self, data: bytes) -> None:
        """Take in what was read."""
        for frame in self._frames.feed(data):
            self._frame(frame)

    async def _say(self, text: str) -> str:
        """Send a command; return its reply. Replies come in the order of commands."""
        reply = self.answers.expect()
        self._replies.append(reply)
        self._writer.write(f"{text}\n\n".encode())
        return await reply

    def _frame(self, frame: Frame) -> None:
        match frame.kind:
            case "text/event-json":
                self._event(frame.body)
            case "command/reply" | "api/response":  # the latter for the job that unloads the event module
                reply = self._replies.popleft() if self._replies else None
                self.answers.give(reply, frame.headers.get("Reply-Text") or frame.body.decode("utf-8", "replace"))
            case "auth/request":
                self.answers.give(self._asked_to_log_in, "")
            case "text/disconnect-notice":
                raise LostError("the engine ends the connection: it shuts down, or its event module restarts")
            case "text/rude-rejection":
                raise LostError("the engine takes no connection from here: see its ACL, or it is shutting down")

    def _event(self, body: bytes) -> None:
        event = json_object(body.decode("utf-8", "replace"), "an event of the engine is no JSON object")
        self._take(event)
        self.answers.give(self._jobs.get(str(event.get("Job-UUID"))), str(event.get("_body", "")))


def connected(
    take: Callable[[Event], None], *, streams: Callable[[], Awaitable[Streams]], user: str | None, password: str
) -> AbstractAsyncContextManager[Link]:
    """Open a connection, log in and subscribe; close it at the end. Raises `LostError` or `OSError`."""
    return connection.opened(streams, partial(Link, take=take, user=user, password=password))
