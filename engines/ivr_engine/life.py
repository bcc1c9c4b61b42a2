"""The life of the engine behind a bridge: its session, whether its runtimes are known, and when it last answered.

Owns what the agent is told while a bridge does not know its engine (yet): nothing, so that a memory renews no lease and
an unfinished list deletes no rows. Called by bridges.
"""

from collections.abc import Callable

from ivr_engine.mirror import Mirror
from ivr_engine.model import AwayError, Snapshot
from ivr_engine.reporter import Reporter
from ivr_engine.stopping import Stops


class Life:
    """One session after another. `time` is monotonic, in seconds."""

    def __init__(self, reporter: Reporter, *, time: Callable[[], float]) -> None:
        self._reporter, self.now = reporter, time
        self.mirror = Mirror(session="", publish=reporter.put)
        self.known = False
        """Whether every runtime of this life is in the mirror."""
        self._answered = time()

    @property
    def session(self) -> str | None:
        """The session; None until its runtimes are known."""
        return self.mirror.session if self.known else None

    @property
    def answered_s(self) -> float:
        """How long ago the engine last answered, in seconds."""
        return self.now() - self._answered

    def snapshot(self) -> Snapshot:
        """Return every runtime; raises `AwayError` until they are known."""
        if not self.known:
            raise AwayError("the engine's runtimes are not known yet")
        return self.mirror.snapshot()

    def begin(self, session: str, *, seq: int) -> None:
        """Begin another life. `seq` is above each that an earlier bridge has told of it."""
        self.known = False
        self.mirror.begin(session, seq=seq)
        self._reporter.begin(session)

    def answered(self, asked_at: float | None = None) -> None:
        """Note that the engine answered what it was asked at that time, or spoke just now."""
        self._answered = max(self._answered, self.now() if asked_at is None else asked_at)


class Joined:
    """What the server asks of a bridge: the life of its engine, and the stops of its calls."""

    def __init__(self, life: Life, stops: Stops) -> None:
        self._life = life
        self.snapshot = life.snapshot
        self.external_stop, self.terminate = stops.external_stop, stops.terminate

    @property
    def session(self) -> str | None:
        """The session of the engine's life."""
        return self._life.session

    @property
    def answered_s(self) -> float:
        """How long ago the engine last answered, in seconds."""
        return self._life.answered_s
