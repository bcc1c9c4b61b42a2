"""The witness inside a bridge: which command came, what the runtime did then, and whether it ended.

Owns no part of a bridge. What runs and ends is written down by the played engine itself (`pbx`, `switch`). `bridge`
puts a witness into the real bridges.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from chaos.engine import SETTINGS
from chaos.history import Before
from chaos.recorder import Recorder
from ivr_engine.model import Ack, AwayError, FullState, Snapshot, State, UnknownRuntimeError

WITH_BRANCH: Final = frozenset({"survey", "endless", "goodbye"})
"""Codes for which chaos/extensions.conf and chaos/dialplan.xml have an External Stop branch."""


class Command(Protocol):
    """A command of the engine protocol."""

    async def __call__(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry it out."""
        ...


class Witness:
    """Notes every command that had an effect or was answered, as of its arrival. `rows` are the bridge's runtimes.

    One that is refused as temporary is none unless the runtime is in its branch for it: it comes again. Each is written
    down twice, as it comes and as it is answered: the bridge may be killed in between.
    """

    def __init__(self, node: str, rows: Callable[[], Snapshot]) -> None:
        self._rows = rows
        self._recorder = Recorder(Path(json.loads(os.environ[SETTINGS])["records"]), node=node)

    def watched(self, verb: str, act: Command) -> Command:
        """Return a command of the bridge that is carried out and written down."""

        async def told(runtime_id: str, *, stop_id: str) -> Ack:
            return await self._told(verb, act, runtime_id, stop_id)

        return told

    async def _told(self, verb: str, act: Command, runtime_id: str, stop_id: str) -> Ack:
        row = self._row(runtime_id)
        told = {"at": time.time(), "runtime": runtime_id, "stop_id": stop_id, "verb": verb, **_before(row)}
        self._recorder.note("asked", **told)
        try:
            ack = await act(runtime_id, stop_id=stop_id)
        except UnknownRuntimeError:
            self._recorder.note("told", **{**told, "before": Before.UNKNOWN, "branch": False, "ended": False})
            raise
        except AwayError:
            now = self._row(runtime_id)
            began = now is not None and (now.state, now.stop_id) == (State.POST_PROCESSING, stop_id)
            self._recorder.note("told" if began else "away", **told, ended=False)
            raise
        self._recorder.note("told", **told, ended=ack.state is State.ENDED)
        return ack

    def _row(self, runtime_id: str) -> FullState | None:
        return next((row for row in self._rows().runtimes if row.id == runtime_id), None)


def _before(row: FullState | None) -> dict[str, Any]:
    """Return what a runtime did when a command came, and whether its script has a branch."""
    if row is None:
        return {"before": Before.UNKNOWN, "branch": False}
    if row.state is State.POST_PROCESSING:
        return {"before": Before.BRANCH, "branch": True}
    return {"before": Before.STOPPING if row.stop_id else Before.RUNNING, "branch": row.code in WITH_BRANCH}
