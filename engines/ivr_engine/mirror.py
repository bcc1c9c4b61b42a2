"""The runtimes of one session as the agent should know them, and the session's `seq`.

Gives every change the next `seq`, publishes it as an event, and shows it in the snapshot just as in the event: the
protocol asks this of every engine. Called by engines only, on each change.
"""

from collections.abc import Callable

from ivr_engine.model import Changed, Ended, Event, FullState, Snapshot, StopType, UnknownRuntimeError


class Mirror:
    """The states of a session's runtimes.

    `publish` takes every event, in order of `seq`, and must not wait: a reporter's `put`. `seq` is the last one used: a
    bridge that restarts beside a running engine must begin above every seq it told before.
    """

    def __init__(self, *, session: str, publish: Callable[[Event], None], seq: int = 0) -> None:
        self.session = session
        self.seq = seq
        self._publish = publish
        self._states: dict[str, FullState] = {}

    def put(self, state: FullState) -> None:
        """Take in that a runtime started or changed."""
        self.seq += 1
        self._states[state.id] = state
        self._publish(Changed(self.seq, state))

    def end(self, runtime_id: str, stoptype: StopType) -> None:
        """Take in that a runtime ended; raises `UnknownRuntimeError`."""
        self.get(runtime_id)
        self.seq += 1
        del self._states[runtime_id]
        self._publish(Ended(self.seq, runtime_id, stoptype))

    def begin(self, session: str, *, seq: int = 0) -> None:
        """Begin another session: the engine restarted, and nothing of the old session runs."""
        self.session, self.seq = session, seq
        self._states.clear()

    def get(self, runtime_id: str) -> FullState:
        """Return a runtime's state; raises `UnknownRuntimeError`."""
        try:
            return self._states[runtime_id]
        except KeyError:
            raise UnknownRuntimeError(runtime_id) from None

    def snapshot(self) -> Snapshot:
        """Return every runtime as of `seq`."""
        return Snapshot(self.session, self.seq, tuple(self._states.values()))
