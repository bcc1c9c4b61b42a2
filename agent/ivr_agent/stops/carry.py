"""Carries out one stop command: by our engine, or by the agent of its node.

Owns the decision of the outcome (docs/agent.md, "What becomes of a stop"). Called by `drain` for messages of the
queue and by `control` for requests of peers. Raises `UndeliveredError` whenever the fate is not known for certain.
"""

from typing import Final, Protocol

from ivr_agent.aws import Clock, Run
from ivr_agent.engine import EngineError, EngineSide, Probe, Refusal
from ivr_agent.outcome import DeadlineInDoubtError, Outcome, UndeliveredError
from ivr_agent.rows import Registry
from ivr_agent.settings import Place
from ivr_runtimes.command import Command
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import NodeName, RuntimeId, Session, StopId
from ivr_runtimes.model import Node
from ivr_runtimes.ports import NodeLookup

CONTRADICTION_S: Final = 300.0
"""Clocks further apart contradict each other. AWS refuses requests signed by a clock further off."""

RESULTS: Final = {"acted": Outcome.ACTED, "already_stopping": Outcome.ALREADY_STOPPING}


class Forward(Protocol):
    """The way to a peer; raises `UndeliveredError`."""

    async def __call__(self, command: Command, node: Node) -> Outcome:
        """Send the command to the agent of `node` and return its outcome."""
        ...


class Carrier:
    """Carries commands. `forward` is None at a one-node site."""

    def __init__(  # noqa: PLR0913  # the collaborators; bundling them would only hide them
        self,
        *,
        place: Place,
        engine: EngineSide,
        probe: Probe,
        registry: Registry,
        nodes: NodeLookup,
        service: Run,
        clock: Clock,
        forward: Forward | None,
    ) -> None:
        self._place = place
        self._engine = engine
        self._probe = probe
        self._registry = registry
        self._nodes = nodes
        self._service = service
        self._clock = clock
        self._forward = forward

    async def carry(self, command: Command, *, queue_s: float | None = None) -> Outcome:
        """Carry out a command of our site's queue, for any node. `queue_s` is the queue's time."""
        if self._clock.now_s() > command.deadline_s:
            self._believe_the_clock(queue_s)
            return Outcome.EXPIRED
        if command.node == self._place.node:
            return await self.act(command)
        return await self._pass_on(command)

    def _believe_the_clock(self, queue_s: float | None) -> None:
        """Raise if all other clocks contradict ours: by a wrong one a fresh command looks expired."""
        if not self._clock.synchronised:
            raise UndeliveredError("AWS's time is not known yet, and by the host's clock the deadline has passed")
        ahead_s = {"host": -self._clock.host_ahead_s}
        if queue_s is not None:
            ahead_s["queue"] = self._clock.now_s() - queue_s
        if all(abs(off_s) > CONTRADICTION_S for off_s in ahead_s.values()):
            told = " and ".join(f"{off_s:.0f} s ahead of the {name}'s" for name, off_s in ahead_s.items())
            raise DeadlineInDoubtError(
                f"the clock by which the deadline has passed is {told}: see the Date of AWS's answers"
            )

    async def act(self, command: Command) -> Outcome:
        """Carry out a command of our own node.

        An answer from the command's session is true, whichever agent asks. One from another session proves nothing by
        itself: another agent may have the node and the command's session by now.
        """
        session, stop_id = Session(command.session), StopId(command.stop_id)
        runtime_id = RuntimeId(command.runtime_id)
        spelling = self._registry.spelling(session, runtime_id)
        try:
            answer = await self._engine.command(command.verb, spelling or runtime_id, session=session, stop_id=stop_id)
        except EngineError as error:
            raise UndeliveredError(str(error)) from error
        self._probe.suspect(answer.session)
        if answer.session != session:
            if (await self._row(command)).session == session:
                raise UndeliveredError(f"our engine is in session {answer.session}, the node in the command's")
            return Outcome.NODE_GONE
        if isinstance(answer, Refusal):
            return _refused(answer, certain=spelling is not None)
        return RESULTS[answer.result]

    async def _pass_on(self, command: Command) -> Outcome:
        node = await self._row(command)
        if node.session != command.session:
            return Outcome.NODE_GONE
        if self._forward is None:
            raise UndeliveredError(f"{command.node} is another node, but the site is declared single-node")
        return await self._forward(command, node)

    async def _row(self, command: Command) -> Node:
        """Return the present row of the command's node: it names the node's session."""
        try:
            node = await self._service(self._nodes.read, self._place.site, NodeName(command.node))
        except StoreUnavailableError as error:
            raise UndeliveredError(f"the row of {command.node} cannot be read: {error}") from error
        if node is None:
            raise UndeliveredError(f"node {command.node} is not known")
        return node


def _refused(refusal: Refusal, *, certain: bool) -> Outcome:
    if refusal.error == "unknown_runtime":
        if not certain:  # the engine may write this id in another letter case
            raise UndeliveredError("the engine has not told its runtimes yet")
        return Outcome.ALREADY_ENDED
    raise UndeliveredError("the engine says session_mismatch and names the very session it was asked for")
