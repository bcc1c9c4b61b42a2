"""How a stop is carried out on a channel, and how one knows that it was.

Owns the order of the actions. An answer of Asterisk proves nothing: Redirect succeeds into an extension that is not
there and kills the call, and is forgotten when the channel is on its way elsewhere. What counts is what the channel is
seen to do. Whatever stays open is refused as temporary, and the agent sends the command again. Called by `bridge`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from ivr_asterisk.accepted import VARIABLE
from ivr_asterisk.channel import STACK, Channel
from ivr_asterisk.connection import AmiError, Connection, DrainingError, RefusedError
from ivr_asterisk.dialogue import Answer
from ivr_asterisk.publisher import NO_CHANNEL, Publisher
from ivr_engine.model import Ack, AwayError, Result, State, UnknownRuntimeError
from ivr_engine.reconnect import LostError

COMMAND_S: Final = 3.5
"""How long a command may take: the agent waits 4 s."""

SEEN_S: Final = 1.5
"""How long after an action the channel may take to be seen doing it, before it is looked up."""

PLAIN_EXTEN: Final = re.compile(r"[^\s,()\[\]{}$\"\\]{1,79}")
"""Extensions that can be asked for: no other stands in a dialplan, but callers can dial one."""


Act = Callable[[Channel, str], Awaitable[Ack]]
"""What a command does to a channel, with the command's id."""


class Stops:
    """The two commands. `branches` is the context of the External Stop branches, `cause` that of our hang-ups."""

    def __init__(
        self, publisher: Publisher, connection: Callable[[], Connection], *, branches: str, cause: int
    ) -> None:
        self._publisher, self._connection = publisher, connection
        self._branches, self._cause = branches, cause
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Lead the channel into its script's branch, or hang it up where there is none."""
        return await self._one_at_a_time(runtime_id, stop_id, self._external_stop)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Hang the channel up."""
        return await self._one_at_a_time(runtime_id, stop_id, self._hang_up)

    async def _one_at_a_time(self, runtime_id: str, stop_id: str, act: Act) -> Ack:
        self._connection()  # while there is none, nobody is said to be unknown
        self._publisher.channel_of(runtime_id)
        lock = self._locks.setdefault(runtime_id, asyncio.Lock())
        try:
            async with asyncio.timeout(COMMAND_S), lock:
                channel = self._publisher.channel_of(runtime_id)
                if channel.stops.settled(stop_id):
                    return Ack(self._state(channel), Result.ALREADY_STOPPING)
                return await self._carry_out(channel, stop_id, act)
        except TimeoutError:
            raise AwayError("what became of the command was not seen in time") from None
        except LostError as error:
            raise AwayError(str(error)) from None

    async def _carry_out(self, channel: Channel, stop_id: str, act: Act) -> Ack:
        try:
            return await act(channel, stop_id)
        except DrainingError:
            raise
        except RefusedError:
            await self._look(channel)
            if self._state(channel) is State.ENDED:
                raise UnknownRuntimeError(channel.uniqueid) from None
            raise

    async def _external_stop(self, channel: Channel, stop_id: str) -> Ack:
        if self._state(channel) is State.POST_PROCESSING:
            await self._accept(channel, stop_id, done=True)
            return Ack(State.POST_PROCESSING, Result.ALREADY_STOPPING)
        await self._accept(channel, stop_id, done=False)
        if await self._has_branch(channel):
            return await self._redirect(channel, stop_id)
        return await self._hang_up(channel, stop_id)

    async def _has_branch(self, channel: Channel) -> bool:
        """Ask whether the executing script has a branch: a reload of the dialplan makes no event."""
        if not PLAIN_EXTEN.fullmatch(code := self._code(channel)):
            return False
        asked = f"DIALPLAN_EXISTS({self._branches},{code},1)"
        told = (await self._connection().ask("Getvar", {"Variable": asked})).response.get("Value")
        if told not in {"0", "1"}:
            raise AmiError("Asterisk does not know the function DIALPLAN_EXISTS (yet)")
        return told == "1"

    async def _redirect(self, channel: Channel, stop_id: str) -> Ack:
        place = {"Context": self._branches, "Exten": self._code(channel), "Priority": "1"}
        channel.in_branch = False
        result = Result.ACTED
        try:
            await self._connection().ask("Redirect", {"Channel": channel.uniqueid, **place})
        except DrainingError:
            raise
        except RefusedError:
            result = Result.ALREADY_STOPPING  # another Redirect or a hang-up came first: what is seen decides
        state = await self._seen(channel, lambda: channel.in_branch)
        if state is State.ENDED:
            if result is Result.ACTED:
                return Ack(State.ENDED, Result.ACTED)
            raise UnknownRuntimeError(channel.uniqueid)
        if not (channel.in_branch or state is State.POST_PROCESSING):
            raise AmiError("the channel has not been seen in its External Stop branch")
        await self._accept(channel, stop_id, done=True)
        return Ack(self._state(channel), result)

    async def _hang_up(self, channel: Channel, _: str) -> Ack:
        def note(answer: Answer) -> None:
            channel.stopping = channel.stopping or answer.accepted

        await self._connection().ask("Hangup", {"Channel": channel.uniqueid, "Cause": str(self._cause)}, take=note)
        if await self._seen(channel, lambda: False) is not State.ENDED:
            raise AmiError("the channel was asked to hang up and has not ended yet")
        return Ack(State.ENDED, Result.ACTED)

    async def _accept(self, channel: Channel, stop_id: str, *, done: bool) -> None:
        """Keep a stop id in the channel, and show it."""
        accepted = channel.stops.with_id(stop_id, done=done)

        def note(answer: Answer) -> None:
            if answer.accepted:
                channel.stops = accepted
                self._publisher.changed(channel)

        fields = {"Channel": channel.uniqueid, "Variable": VARIABLE, "Value": accepted.as_text()}
        await self._connection().ask("Setvar", fields, take=note)

    async def _seen(self, channel: Channel, arrived: Callable[[], bool]) -> State:
        """Wait until the channel has arrived or ended, look it up if it has not in time, and return its state."""
        with self._publisher.watching(channel.uniqueid) as changed:
            try:
                async with asyncio.timeout(SEEN_S):
                    while not arrived() and self._state(channel) is not State.ENDED:
                        changed.clear()
                        await changed.wait()
            except TimeoutError:
                await self._look(channel)
        return self._state(channel)

    async def _look(self, channel: Channel) -> None:
        await look_up(self._connection(), self._publisher, channel.uniqueid)

    def _state(self, channel: Channel) -> State:
        state = self._publisher.state_of(channel)
        return state.state if state else State.ENDED

    def _code(self, channel: Channel) -> str:
        state = self._publisher.state_of(channel)
        if state is None:
            raise UnknownRuntimeError(channel.uniqueid)
        return state.code


async def look_up(connection: Connection, publisher: Publisher, uniqueid: str) -> None:
    """Ask Asterisk what a channel does, and through which subroutines; raises `AmiError` where it tells nothing."""
    try:
        await connection.ask(
            "Status",
            {"Channel": uniqueid, "Variables": ",".join(STACK)},
            take=lambda answer: publisher.looked_up(uniqueid, answer),
        )
    except RefusedError as refusal:
        if refusal.said != NO_CHANNEL:  # that one the publisher has taken in
            raise
