"""What a bridge would tell its agent, kept for tests to look at."""

import asyncio

from ivr_engine.model import Event
from ivr_engine.reporter import Reporter


class Noted(Reporter):
    """Keeps the events and the sessions that were begun; the lists may be shared by bridges that follow each other."""

    def __init__(self, events: list[Event], sessions: list[str]) -> None:
        super().__init__(session="", time=asyncio.get_running_loop().time)
        self._events, self._sessions = events, sessions

    def put(self, event: Event) -> None:
        self._events.append(event)

    def begin(self, session: str) -> None:
        self._sessions.append(session)
