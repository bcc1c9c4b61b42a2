"""The stop: from a runtime's id to a command on its site's queue (docs/api.md).

Reads rows of the tables, strongly consistent, and sends one absolute command. Never writes a row and never waits for
the node: accepted means that the command is on its way. `wait` looks for its effect, where a caller asks for that.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ivr_runtimes.command import DEADLINE_S, Command
from ivr_runtimes.errors import NodeUnreachableError, OutcomeUnknownError, RuntimeNotFoundError, StoreUnavailableError
from ivr_runtimes.http import Caller
from ivr_runtimes.identifiers import RuntimeId, Site, StopId
from ivr_runtimes.lease import HEARTBEAT_INTERVAL_S, is_alive
from ivr_runtimes.model import Node, Runtime, Verb
from ivr_runtimes.ports import CommandQueue, NodeLookup, RuntimeLookup
from ivr_runtimes.stopping.deadline import within
from ivr_runtimes.stopping.request import StopRequest

CALL_TIMEOUT_S: Final = 4.0
"""The longest one AWS call may take, its retry included: 2 x (0.5 s connect or 1 s read) and up to 1 s between."""

BUDGET_S: Final = 9.0
"""No AWS call is begun that could end later than this."""

ANSWER_WITHIN_S: Final = 9.5
"""A stop answers within 10 s (docs/api.md), even if name resolution hangs, or a body comes byte by byte."""

RETRY_AFTER_S: Final = 1
"""When to repeat a stop whose outcome is unknown."""


@dataclass(frozen=True, slots=True)
class StopReceipt:
    """An accepted request of a caller: the runtime, the verb sent (None: this stop was accepted before).

    The runtime is as its row was read then. `begun_s` is when the request came, by the monotonic clock.
    """

    request: StopRequest
    caller: Caller
    runtime: Runtime
    verb: Verb | None
    begun_s: float

    @property
    def stop_id(self) -> StopId:
        """The stop's id."""
        return self.request.stop_id

    def described(self) -> dict[str, Any]:
        """Return what a log tells about the stop: who stopped what, and why."""
        return {
            "stop_id": self.stop_id,
            "runtime_id": self.runtime.id,
            "site": self.runtime.site,
            "node": self.runtime.node,
            "domain": self.caller.domain,
            "requested_by": self.caller.subject,
            "reason": self.request.reason,
        }


class RuntimeStop:
    """The use case. `clock` is in epoch seconds; `monotonic` measures the time budget."""

    def __init__(
        self,
        *,
        runtimes: RuntimeLookup,
        nodes: NodeLookup,
        queue: CommandQueue,
        sites: Sequence[Site],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtimes = runtimes
        self._nodes = nodes
        self._queue = queue
        self._sites = sites
        self._clock = clock
        self._monotonic = monotonic

    def accept(self, request: StopRequest, caller: Caller) -> StopReceipt:
        """Accept a stop.

        Raises `RuntimeNotFoundError` (the id is unknown, another domain's, or of an earlier session: all alike),
        `NodeUnreachableError` (its node's lease lapsed), `OutcomeUnknownError` (a table or the queue gave no answer).
        """
        try:
            return within(ANSWER_WITHIN_S, partial(self._accept, request, caller))
        except (StoreUnavailableError, TimeoutError) as error:
            raise _outcome_unknown(request.stop_id, request.runtime_id) from error

    def _accept(self, request: StopRequest, caller: Caller) -> StopReceipt:
        begun_s = self._monotonic()
        runtime, node = self._current(request.runtime_id, caller, begun_s)
        if runtime.stop_id == request.stop_id:
            return StopReceipt(request, caller, runtime, None, begun_s)
        self._check_reachable(node, request.stop_id, request.runtime_id)
        command = self._command(runtime, request, caller)
        self._check_time(begun_s)
        self._queue.send(command)
        return StopReceipt(request, caller, runtime, command.verb, begun_s)

    def _current(self, runtime_id: RuntimeId, caller: Caller, begun_s: float) -> tuple[Runtime, Node]:
        """Return the caller's runtime of that id, if it is of its node's present session, and the node's row."""
        for runtime in self._runtimes.find(runtime_id, self._sites):
            if runtime.domain != caller.domain:
                continue
            self._check_time(begun_s)
            node = self._nodes.read(runtime.site, runtime.node)
            if node is not None and node.session == runtime.session:
                return runtime, node
        raise RuntimeNotFoundError

    def _check_reachable(self, node: Node, stop_id: StopId, runtime_id: RuntimeId) -> None:
        if not is_alive(node, now_s=self._clock()):
            raise NodeUnreachableError(
                "The node that runs this script has not been heard of lately; the call may still be running."
                " Repeat later.",
                retry_after_s=int(HEARTBEAT_INTERVAL_S),
                trail={"stop_id": stop_id, "runtime_id": runtime_id},
            )

    def _check_time(self, begun_s: float) -> None:
        if self._monotonic() - begun_s > BUDGET_S - CALL_TIMEOUT_S:
            raise StoreUnavailableError(f"no time is left within {BUDGET_S} s")

    def _command(self, runtime: Runtime, request: StopRequest, caller: Caller) -> Command:
        now_s = self._clock()
        return Command(
            stop_id=request.stop_id,
            verb=Verb.TERMINATE if runtime.in_external_stop else Verb.EXTERNAL_STOP,
            site=runtime.site,
            node=runtime.node,
            session=runtime.session,
            runtime_id=runtime.id,
            domain=runtime.domain,
            requested_by=caller.subject,
            reason=request.reason,
            accepted_at_s=now_s,
            deadline_s=now_s + DEADLINE_S,
        )


def _outcome_unknown(stop_id: StopId, runtime_id: RuntimeId) -> OutcomeUnknownError:
    detail = (
        "Whether the stop was accepted is not known. Repeat the request with the header "
        f"'Idempotency-Key: {stop_id}': a repeat with the same key never stops a script twice."
    )
    trail = {"stop_id": stop_id, "runtime_id": runtime_id}
    return OutcomeUnknownError(detail, retry_after_s=RETRY_AFTER_S, trail=trail)
