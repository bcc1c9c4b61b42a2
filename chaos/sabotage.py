"""Defects put into the real programs on purpose, to show that the harness finds them. Never part of a product run.

Owns one patch per defect. The wrapper programs `engine`, `agent` and those of bridges apply the one that CHAOS_SABOTAGE
names, if any.
"""

import asyncio
import os
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from chaos.schedule import Kind, Profile
from ivr_engine.model import Ack, Result, State, StopType
from ivr_engine.stopids import StopIds
from ivr_sandbox.engine import Engine, Runtime

VARIABLE: Final = "CHAOS_SABOTAGE"


class Sabotage(StrEnum):
    """The defects."""

    RELATIVE = "relative"  # commands say "one step further": each delivery escalates
    DELETE_FIRST = "delete_first"  # messages are deleted before their effect
    FORGETFUL = "forgetful"  # engines remember no stop ids; in a mixed fleet the bridges alone
    NO_REASSERTION = "no_reassertion"  # ambiguous writes are not written again
    HOPEFUL = "hopeful"  # rows are deleted by what a command is to do, before the engine was told


SHOWS: Final = {
    Sabotage.RELATIVE: "killed_by_own_retry",
    Sabotage.DELETE_FIRST: "lost",
    Sabotage.FORGETFUL: "killed_by_own_retry",
    Sabotage.NO_REASSERTION: "ghosts",
    Sabotage.HOPEFUL: "false_outcome",
}
"""The violation that belongs to each defect: a run with it ends as soon as that is certain."""

PROFILES: Final = {
    Sabotage.RELATIVE: Profile(
        wait=0.0,
        weights={Kind.TWICE: 1.0},
        chance=0.7,
        always=True,
        victims=(),
        cut=0.0,
        slow=0.0,
        outage=False,
        second=0.0,
        settle_s=0.0,
    ),
    Sabotage.DELETE_FIRST: Profile(
        wait=0.0,
        always=True,
        chance=0.05,
        victims=("agent",),
        calm_s=(2.0, 4.0),
        outage=False,
        settle_s=0.0,
    ),
    Sabotage.FORGETFUL: Profile(
        wait=0.0,
        weights={Kind.LOST: 1.0, Kind.CUT: 1.0},
        chance=0.05,
        victims=(),
        cut=0.0,
        slow=0.0,
        outage=False,
        second=0.6,
        echo=0.6,
        settle_s=0.0,
    ),
    Sabotage.NO_REASSERTION: Profile(
        wait=0.0,
        weights={Kind.HELD: 1.0},
        chance=0.5,
        always=True,
        agents_only=True,
        victims=(),
        cut=0.0,
        slow=0.0,
        outage=False,
        second=1.0,
    ),
    Sabotage.HOPEFUL: Profile(
        weights={},
        victims=(),
        cut=0.0,
        slow=0.0,
        outage=False,
        impatience=0.0,
        wait=1.0,
        settle_s=0.0,
    ),
}
"""What brings each defect to light soonest."""


def chosen() -> Sabotage | None:
    """Return the defect that the environment names."""
    name = os.environ.get(VARIABLE)
    return Sabotage(name) if name else None


def engine(base: type[Engine]) -> type[Engine]:
    """Return the engine class, with its defect if one is chosen."""
    match chosen():
        case Sabotage.RELATIVE:
            return _relative(base)
        case Sabotage.FORGETFUL:
            return _forgetful(base)
        case _:
            return base


def bridge() -> None:
    """Put the chosen defect, if it is one of engines, into the kit of the bridges."""
    if chosen() is Sabotage.FORGETFUL:

        def forget(self: StopIds, stop_id: str) -> None:
            """Remember nothing."""

        StopIds.accept = forget  # type: ignore[method-assign]  # the defect itself


def _relative(base: type[Engine]) -> type[Engine]:
    class Relative(base):  # type: ignore[misc,valid-type]  # the base is chosen at run time
        async def _told(self, verb: str, act: Any, runtime_id: str, stop_id: str) -> Ack:
            async def escalate(_: str, *, stop_id: str) -> Ack:
                runtime: Runtime = self._find(runtime_id)
                if not runtime.stopping:
                    ack: Ack = await act(runtime_id, stop_id=stop_id)
                    return ack
                self._end(runtime, StopType.STOP)
                return Ack(State.ENDED, Result.ACTED)

            ack: Ack = await super()._told(verb, escalate, runtime_id, stop_id)
            return ack

    return Relative


def _forgetful(base: type[Engine]) -> type[Engine]:
    class Forgetful(base):  # type: ignore[misc,valid-type]  # the base is chosen at run time
        def _find(self, runtime_id: str) -> Runtime:
            runtime: Runtime = super()._find(runtime_id)
            runtime.stop_ids.clear()
            return runtime

    return Forgetful


def agent() -> None:
    """Put the chosen defect, if any, into the agent's classes."""
    match chosen():
        case Sabotage.DELETE_FIRST:
            _delete_first()
        case Sabotage.NO_REASSERTION:
            _no_reassertion()
        case Sabotage.HOPEFUL:
            _hopeful()
        case _:
            pass


def _delete_first() -> None:
    from ivr_agent.stops.drain import Drain  # noqa: PLC0415  # only once the agent's clock is shifted

    serve = Drain._serve  # noqa: SLF001  # the very place of the defect

    async def hasty(self: Drain, pairs: Iterable[Any]) -> None:
        taken = list(pairs)
        for message, _ in taken:
            await self._delete(message)
        await serve(self, taken)

    Drain._serve = hasty  # type: ignore[method-assign]  # noqa: SLF001  # the defect itself


def _no_reassertion() -> None:
    from ivr_agent.rows.ledger import Ledger  # noqa: PLC0415  # only once the agent's clock is shifted

    def forget(self: Ledger, due_s: float, ids: Iterable[Any]) -> None:
        """Owe nothing later."""

    Ledger.owe_at = forget  # type: ignore[method-assign]  # the defect itself


def _hopeful() -> None:
    from ivr_agent.stops.carry import Carrier  # noqa: PLC0415  # only once the agent's clock is shifted

    act = Carrier.act

    async def hoping(self: Carrier, command: Any) -> Any:
        registry = self._registry  # the set that the table follows
        if registry._live.pop(command.runtime_id, None) is not None:  # noqa: SLF001  # the defect itself
            registry._ledger.ended(command.runtime_id)  # noqa: SLF001  # likewise
        await asyncio.sleep(0.5)
        return await act(self, command)

    Carrier.act = hoping  # type: ignore[method-assign]  # the defect itself
