"""Sends the agent every event, in order of `seq`, over one connection that is kept alive.

Owns the outbox. Waiting events go in one request, up to 500; a single one goes by itself. An event is dropped once the
agent has not answered for a few seconds, or when too many wait: the agent's next probe finds the gap and takes a
snapshot. A mirror puts events in, `deliver` takes them out.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import aiohttp
from pydantic import BaseModel, StringConstraints, ValidationError

from ivr_engine.address import Address, connector
from ivr_engine.model import Changed, Event
from ivr_engine.telling import told

log = logging.getLogger(__name__)

CAPACITY: Final = 20_000
"""Events that may wait: twice the runtimes of a full node; beyond that the oldest are dropped."""

MAX_EVENTS: Final = 500
"""Events in one request: the protocol's limit."""

GIVE_UP_S: Final = 3.0
"""How long an event is sent again to an agent that does not answer: less than its probe interval of 5 s."""

ANSWER_S: Final = 2.0
"""How long to wait for an answer."""

RETRY_S: Final = 0.1
"""The pause after a failed attempt: an agent that restarts misses little."""

NOT_LET_IN: Final = frozenset({401, 403})
"""Statuses that refuse every event, as for a wrong token: events wait as for an agent that is away."""


class RefusedError(Exception):
    """The agent answered, but not with 204; says what it answered."""


class _Problem(BaseModel):
    error: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]


def _code(body: bytes) -> str:
    """Return the code in an agent's error; not its text, which may quote the request and so the token."""
    try:
        return f" {_Problem.model_validate_json(body).error}"
    except ValidationError:
        return ""


class Reporter:
    """Events on their way to the agent. `put` never waits; `time` is monotonic, in seconds."""

    def __init__(self, *, session: str, time: Callable[[], float], give_up_s: float = GIVE_UP_S) -> None:
        self._session = session
        self._time = time
        self._give_up_s = give_up_s
        self._waiting: deque[tuple[float, Event]] = deque(maxlen=CAPACITY)
        self._filled = asyncio.Event()
        self._most = MAX_EVENTS
        """Events in the next request: halved by a refusal, as the others may be right; doubled after success."""
        self._answered = True
        self._dropped = 0
        self._refused = 0
        """Events refused in a row."""

    def put(self, event: Event) -> None:
        """Take an event to deliver."""
        self._waiting.append((self._time(), event))
        self._filled.set()

    def begin(self, session: str) -> None:
        """Begin another session: drop the waiting events of the old one."""
        self._session = session
        self._waiting.clear()

    async def deliver(self, agent: Address, *, token: str | None) -> None:
        """Deliver events for ever."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(
            agent.base_url,
            connector=connector(agent, limit=1),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=ANSWER_S),
        ) as agent_side:
            while True:
                await self._filled.wait()
                if not await self.step(agent_side):
                    await asyncio.sleep(RETRY_S)

    async def step(self, agent_side: aiohttp.ClientSession) -> bool:
        """Send the oldest events once; return False when there was no answer and a pause is due."""
        if not self._waiting:
            self._filled.clear()
            return True
        offered = list(itertools.islice(self._waiting, self._most))
        try:
            await self._send([event for _, event in offered], agent_side)
        except (aiohttp.ClientError, OSError) as error:
            self._unanswered(error)
            return False
        except RefusedError as refusal:
            self._restored()
            if len(offered) > 1:
                self._most = len(offered) // 2
                return True
            self._tell_refused(offered[0][1], refusal)
        else:
            self._refused = 0
            self._most = min(self._most * 2, MAX_EVENTS)
        self._restored()
        self._let_go(offered)
        return True

    def _let_go(self, offered: Sequence[tuple[float, Event]]) -> None:
        """Remove the sent events; a full outbox may have dropped some of them meanwhile."""
        for one in offered:
            if self._waiting and self._waiting[0] is one:
                self._waiting.popleft()

    async def _send(self, events: Sequence[Event], agent_side: aiohttp.ClientSession) -> None:
        event = events[0]
        if len(events) > 1:
            request = agent_side.post(
                "/v1/events", json={"session": self._session, "events": [_as_json(one) for one in events]}
            )
        elif isinstance(event, Changed):
            body = {"session": self._session, **_as_json(event)}
            request = agent_side.put(f"/v1/runtimes/{event.state.id}", json=body)
        else:
            query: dict[str, str | int] = {"session": self._session, "seq": event.seq, "stoptype": event.stoptype.value}
            request = agent_side.delete(f"/v1/runtimes/{event.id}", params=query)
        async with request as answer:
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in NOT_LET_IN:
                raise aiohttp.ClientError(f"status {answer.status}")
            if answer.status != HTTPStatus.NO_CONTENT:
                raise RefusedError(f"status {answer.status}{_code(await answer.read())}; the agent's log says why")

    def _tell_refused(self, event: Event, refusal: RefusedError) -> None:
        """Log the first refusal in a row, the second, the fourth and so on: an agent may refuse for hours."""
        self._refused += 1
        if self._refused.bit_count() == 1:
            extra = {"action": "event_refused", "seq": event.seq, "refused": self._refused}
            log.error("the agent refused an event: %s", refusal, extra=extra)

    def _unanswered(self, error: Exception) -> None:
        if self._answered:
            self._answered = False
            log.warning("no answer from the agent: %s", told(error), extra={"action": "agent_unreachable"})
        oldest_s = self._time() - self._give_up_s
        while self._waiting and self._waiting[0][0] < oldest_s:
            self._waiting.popleft()
            self._dropped += 1

    def _restored(self) -> None:
        if not self._answered:
            self._answered = True
            log.info("the agent answers again", extra={"action": "agent_reachable", "dropped": self._dropped})
            self._dropped = 0


def _as_json(event: Event) -> dict[str, Any]:
    """Return an event as a batch holds it."""
    if isinstance(event, Changed):
        return {"seq": event.seq, "runtime": event.state.as_json()}
    return {"seq": event.seq, "id": event.id, "stoptype": event.stoptype}
