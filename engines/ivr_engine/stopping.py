"""How a bridge stops a call: one command after another, until what the engine does proves it.

Owns the rules of the two commands: which ids act, how long to wait for the proof, when to repeat, and that a stop
without proof is refused as temporary, so that the agent sends it again. What is said to the engine is the bridge's:
`Hands`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

from ivr_engine.calls import Call
from ivr_engine.model import Ack, AwayError, Result, State, UnknownRuntimeError
from ivr_engine.reconnect import LostError

STOP_S: Final = 3.6
"""How long a stop may take: the agent waits 4 s for its answer, and sends it again after an error."""

PROOF_S: Final = 1.0
"""How long to wait for the event that proves a stop, before the engine is asked and the stop repeated."""


class Hands(ABC):
    """What a bridge does to a channel; it may raise `LostError` or `TimeoutError`. False: there is no such channel."""

    @abstractmethod
    def running(self, runtime_id: str) -> Call | None:
        """Return the call that the runtime is, if it runs."""

    @abstractmethod
    def gone(self, call: Call) -> None:
        """Take in that the channel is gone."""

    @abstractmethod
    async def has_branch(self, call: Call) -> bool:
        """Whether the running script is known to have an External Stop branch."""

    @abstractmethod
    async def transfer(self, call: Call) -> bool:
        """Lead the channel into that branch."""

    @abstractmethod
    async def kill(self, call: Call) -> bool:
        """Hang the channel up."""

    @abstractmethod
    async def keep(self, call: Call, ids: str) -> bool:
        """Keep the stop ids in the channel."""

    @abstractmethod
    async def look(self, call: Call) -> None:
        """Ask the engine what the channel does, and take it in."""


class _Turn:
    """Who stops one runtime; `moved` is set by each of its events."""

    def __init__(self) -> None:
        self.lock, self.moved, self.waiting = asyncio.Lock(), asyncio.Event(), 0


class Stops:
    """The two commands of the engine protocol."""

    def __init__(self, hands: Hands, *, stop_s: float = STOP_S, proof_s: float = PROOF_S) -> None:
        self._hands, self._stop_s, self._proof_s = hands, stop_s, proof_s
        self._turns: dict[str, _Turn] = {}

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Hand control to the External Stop branch of the running script, or end the call if it has none."""
        async with self._turn(runtime_id) as call:
            if stop_id in call.ids:
                return Ack(_state(call), Result.ALREADY_STOPPING)
            if call.branch:
                await self._accept(call, stop_id)
                return Ack(_state(call), Result.ALREADY_STOPPING)
            if await self._hands.has_branch(call):
                return await self._transfer(call, stop_id)
            return await self._kill(call)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """End the call."""
        async with self._turn(runtime_id) as call:
            if stop_id in call.ids:
                return Ack(_state(call), Result.ALREADY_STOPPING)
            return await self._kill(call)

    def moved(self, runtime_id: str) -> None:
        """Look again whether a stop is proven: the channel had an event."""
        if turn := self._turns.get(runtime_id):
            turn.moved.set()

    @asynccontextmanager
    async def _turn(self, runtime_id: str) -> AsyncIterator[Call]:
        """Let one command after another stop a runtime; each sees what the one before did."""
        turn = self._turns.setdefault(runtime_id, _Turn())
        turn.waiting += 1
        try:
            async with asyncio.timeout(self._stop_s), turn.lock:
                call = self._hands.running(runtime_id)
                if call is None:
                    raise UnknownRuntimeError(runtime_id)
                yield call
        except LostError as error:
            raise AwayError(str(error)) from None
        except TimeoutError:
            raise AwayError("the engine was told, but what came of it was not seen") from None
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[runtime_id]

    async def _transfer(self, call: Call, stop_id: str) -> Ack:
        """Transfer until the channel is seen in the branch, or ended by it."""
        if not await self._hands.keep(call, call.ids.packed(tried=stop_id)):
            self._gone(call)
        while call.shown and not call.branch:
            await self._act(call, self._hands.transfer)
            if not await self._seen(call, lambda: call.branch or not call.shown):
                await self._hands.look(call)  # the event may be late, and another transfer would start anew
        if not call.shown:
            return Ack(State.ENDED, Result.ACTED)
        await self._accept(call, stop_id)
        return Ack(_state(call), Result.ACTED)

    async def _kill(self, call: Call) -> Ack:
        """Kill until the channel is seen to hang up, or is gone."""
        await self._act(call, self._hands.kill)
        while not await self._seen(call, lambda: not call.shown):
            await self._hands.look(call)
            if call.shown and not await self._hands.kill(call):
                self._hands.gone(call)
        return Ack(State.ENDED, Result.ACTED)

    async def _act(self, call: Call, act: Callable[[Call], Awaitable[bool]]) -> None:
        """Stop the call; its end may be told before the answer. If it was gone already, it ended by itself."""
        before, call.stopping = call.stopping, True
        if not await act(call):
            call.stopping = before
            self._gone(call)

    def _gone(self, call: Call) -> NoReturn:
        self._hands.gone(call)
        raise UnknownRuntimeError(call.id)

    async def _seen(self, call: Call, happened: Callable[[], bool]) -> bool:
        """Whether the call's events show it in time."""
        moved = self._turns[call.id].moved
        with suppress(TimeoutError):
            async with asyncio.timeout(self._proof_s):
                while not happened():
                    moved.clear()
                    await moved.wait()
        return happened()

    async def _accept(self, call: Call, stop_id: str) -> None:
        """Remember a stop id here and in the channel, for a bridge that restarts."""
        call.ids.accept(stop_id)
        if not await self._hands.keep(call, call.ids.packed()):
            self._hands.gone(call)  # a branch may be over at once


def _state(call: Call) -> State:
    if not call.shown:
        return State.ENDED
    return State.POST_PROCESSING if call.branch else State.RUNNING
