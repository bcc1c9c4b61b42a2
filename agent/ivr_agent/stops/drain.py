"""The site's stop queue: takes messages, has them carried out, deletes them once their outcome is known.

Owns the messages in hand: hides them while work lasts, returns them after a backoff, and moves poison messages (no
commands of this site) to the dead-letter queue. Never decides an outcome: `carry` does. Never deletes by itself:
`receipts` does, in batches.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Final

from ivr_agent.aws import Clock, Run, level_of
from ivr_agent.metrics import Metrics
from ivr_agent.outcome import DeadlineInDoubtError, Outcome, UndeliveredError, described
from ivr_agent.process import NOT_OURS_S, Backoff, Chance, backoff_s, say
from ivr_agent.settings import Place
from ivr_agent.stops.carry import Carrier
from ivr_agent.stops.receipts import Receipts
from ivr_runtimes.command import Command
from ivr_runtimes.errors import StoreError, UnreadableCommandError
from ivr_runtimes.ports import MAX_MESSAGES, CommandInbox, Message
from ivr_runtimes.telling import told

POLL_WAIT_S: Final = 5
"""Length of a long poll: an idle agent asks 12 times a minute, and an orderly stop waits for one poll at most."""

VISIBILITY_S: Final = 15
"""How long a message in hand is hidden from other agents; renewed every third of it while work lasts."""

EXTEND_INTERVAL_S: Final = VISIBILITY_S / 3
"""How often the messages in hand are hidden for longer."""

RETURN_MOST_S: Final = 15
"""The longest wait before an undelivered message is tried again."""

MAX_IN_HAND: Final = 100
"""Messages in hand at once: ten full batches, so that one stuck peer does not hold up the rest of the queue."""

RETRY_MOST_S: Final = 5.0
"""The longest wait before the queue is asked again after it did not answer."""


class Drain:
    """The draining loop. `wind_down` ends it: what is received from then on is handed back at once.

    It takes nothing until `may_take` says that this agent may act for its node: before, it could only return messages
    that another agent could carry out, and so delay them.

    One driver runs `step`, one long poll at a time. More drivers run `help`, which asks only while polls come back
    full: so an idle agent costs one request every 5 s.
    """

    def __init__(  # noqa: PLR0913  # the loop's collaborators; bundling them would only hide them
        self,
        *,
        place: Place,
        inbox: CommandInbox,
        polling: Run,
        service: Run,
        carrier: Carrier,
        metrics: Metrics,
        may_take: Callable[[], bool],
        clock: Clock,
        chance: Chance = random.random,
    ) -> None:
        self._place = place
        self.wake = asyncio.Event()
        """Set when a poll came back full: then more pollers pay off."""
        self._inbox = inbox
        self._polling = polling
        self._service = service
        self._receipts = Receipts(inbox=inbox, service=service)
        self._carrier = carrier
        self._metrics = metrics
        self._may_take = may_take
        self._clock = clock
        self._chance = chance
        self._backoff = Backoff(first_s=0.2, most_s=RETRY_MOST_S, chance=chance)
        self._in_hand: dict[str, Message] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._expected = 0
        self._flooded = False
        self._ending = False
        self._answered = False

    async def step(self) -> float | None:
        """Receive one batch and start work on it; waits only for the queue, or for room among the messages in hand."""
        wait_s = POLL_WAIT_S if self._answered else 0  # the first poll does not wait: its answer shows that SQS is up
        return await self._take(wait_s)

    async def help(self) -> float | None:
        """Receive without waiting, while polls come back full."""
        return await self._take(0) if self._flooded else None

    async def _take(self, wait_s: int) -> float | None:
        if not self._may_take():
            return NOT_OURS_S
        await self._free_hand()
        if self._ending:
            return None
        self._expected += MAX_MESSAGES
        try:
            messages = await self._receive(wait_s)
        except StoreError as error:
            self._answered = False
            self._flooded = False
            retry_in_s = self._backoff.next_s()
            say("queue_unavailable", level=level_of(error), error=str(error), retry_in_s=round(retry_in_s, 2))
            return retry_in_s
        finally:
            self._expected -= MAX_MESSAGES
        if self._ending:
            await self._hand_back([message.receipt for message in messages])
            return None
        self._in_hand |= {message.receipt: message for message in messages}
        self._start(messages)
        return 0.0 if messages else None

    async def _free_hand(self) -> None:
        """Wait until there is room for one more batch, besides those of polls under way."""
        while self._work and len(self._in_hand) + self._expected > MAX_IN_HAND - MAX_MESSAGES:
            await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)

    async def extend(self) -> None:
        """Hide the messages in hand for longer; not at the end, when they are handed back."""
        if not self._in_hand or self._ending:
            return
        try:
            await self._service(self._inbox.set_visibility, list(self._in_hand), visibility_s=VISIBILITY_S)
        except StoreError as error:
            say("visibility_not_extended", level=logging.WARNING, error=str(error))

    async def wind_down(self, grace_s: float) -> None:
        """Finish the work in hand, for at most `grace_s`; hand the rest back."""
        self._ending = True
        if self._work:
            _, unfinished = await asyncio.wait(self._work, timeout=grace_s)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        unhandled, self._in_hand = list(self._in_hand), {}
        await self._hand_back(unhandled)

    async def _receive(self, wait_s: int) -> list[Message]:
        messages = await self._polling(self._inbox.receive, wait_s=wait_s)
        self._answered = True
        self._backoff.reset()
        self._flooded = len(messages) == MAX_MESSAGES
        if self._flooded:
            self.wake.set()
        return messages

    async def _hand_back(self, receipts: Sequence[str]) -> None:
        if not receipts:
            return
        try:
            await self._service(self._inbox.set_visibility, receipts, visibility_s=0)
        except StoreError as error:
            say("hand_back_failed", level=logging.WARNING, messages=len(receipts), error=str(error))

    def _start(self, messages: list[Message]) -> None:
        """Work in parallel across runtimes, in sequence within one."""
        read = [(message, command) for message in messages if (command := self._read(message)) is not None]
        read.sort(key=lambda pair: pair[1].runtime_id)
        for runtime_id, pairs in groupby(read, key=lambda pair: pair[1].runtime_id):
            in_turn = list(pairs)
            messages_in_turn = [message for message, _ in in_turn]
            self._spawn(self._serve(in_turn), messages_in_turn, name=f"stop of {runtime_id}")
        self._metrics.in_hand.set(len(self._in_hand))

    def _spawn(self, work: Coroutine[None, None, None], messages: Iterable[Message], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._work.add(task)
        task.add_done_callback(partial(self._finish, messages=messages))

    def _finish(self, task: asyncio.Task[None], *, messages: Iterable[Message]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            for message in messages:  # dropped here: the queue hands them out again
                self._in_hand.pop(message.receipt, None)
            say("stop_failed", level=logging.ERROR, about=type(error), error=told(error), trace=error)
        self._metrics.in_hand.set(len(self._in_hand))

    async def _serve(self, pairs: Iterable[tuple[Message, Command]]) -> None:
        for message, command in pairs:
            try:
                outcome = await self._carrier.carry(command, queue_s=message.queue_s)
            except UndeliveredError as error:
                if isinstance(error, DeadlineInDoubtError):
                    self._metrics.deadlines_in_doubt.inc()
                    say("deadline_in_doubt", level=logging.ERROR, error=str(error), **described(command))
                await self._put_back(message, command, str(error))
            else:
                age_s = self._age_s(command)
                self._metrics.stopped(outcome, command.stop_id, age_s=age_s)
                level = logging.ERROR if outcome is Outcome.EXPIRED else logging.INFO
                say("stop_outcome", level=level, each=True, outcome=outcome, age_s=age_s, **described(command))
                await self._delete(message)

    def _age_s(self, command: Command) -> float:
        """Return how long ago a command was accepted; the function's clock and ours may differ by a little."""
        return max(0.0, round(self._clock.now_s() - command.accepted_at_s, 3))

    def _read(self, message: Message) -> Command | None:
        """Return the message's command; anything else goes to the dead-letter queue."""
        try:
            command = Command.from_body(message.body)
        except UnreadableCommandError as error:
            reason = str(error)
        else:
            if command.site == self._place.site:
                return command
            reason = f"a command for site {command.site}"
        self._spawn(self._bury(message, reason), [message], name=f"bury {message.message_id}")
        return None

    async def _bury(self, message: Message, reason: str) -> None:
        say_of = partial(say, level=logging.ERROR, about=message.message_id, message_id=message.message_id)
        say_of("dead_letter", error=reason)
        try:
            await self._service(self._inbox.dead_letter, message)
        except StoreError as error:
            self._in_hand.pop(message.receipt, None)
            say_of("dead_letter_failed", error=str(error))
            return
        self._metrics.dead_letters.inc()
        await self._delete(message)

    async def _delete(self, message: Message) -> None:
        try:
            deleted = await self._receipts.delete(message.receipt)
        except StoreError as error:
            say("not_deleted", level=logging.WARNING, message_id=message.message_id, error=str(error))
        else:
            if not deleted:  # it was handed out again meanwhile; commands are idempotent
                say("not_deleted", level=logging.WARNING, message_id=message.message_id, error="the receipt is stale")
        finally:
            self._in_hand.pop(message.receipt, None)

    async def _put_back(self, message: Message, command: Command, reason: str) -> None:
        self._in_hand.pop(message.receipt, None)
        failures = message.receive_count - 1
        wait_s = max(1, round(backoff_s(failures, first_s=1.0, most_s=RETURN_MOST_S, chance=self._chance)))
        self._metrics.undelivered.inc()
        say(
            "stop_undelivered",
            level=logging.WARNING,
            each=True,
            error=reason,
            # SQS's own metric of age leaves out what was handed back a few times; an alarm reads this one.
            age_s=self._age_s(command),
            retry_in_s=wait_s,
            **described(command),
        )
        try:
            await self._service(self._inbox.set_visibility, [message.receipt], visibility_s=wait_s)
        except StoreError as error:
            say("not_put_back", level=logging.WARNING, message_id=message.message_id, error=str(error))
