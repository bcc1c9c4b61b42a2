"""`python -m chaos.bridge`: the real bridge to Asterisk with the recorder of commands inside.

Owns the composition only. What runs and ends is written down by the Asterisk itself (`pbx`); here, which command
came, and what its runtime did then. Started by the stack in the place of an engine.
"""

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

from chaos.engine import SETTINGS
from chaos.history import Before
from chaos.recorder import Recorder
from ivr_asterisk import __main__ as program
from ivr_asterisk.bridge import Bridge
from ivr_engine.model import Ack, AwayError, FullState, State, UnknownRuntimeError

WITH_BRANCH: Final = frozenset({"survey", "endless", "goodbye"})
"""Codes for which chaos/extensions.conf has an External Stop branch."""


class RecordedBridge(Bridge):
    """The bridge, and a note of every command that had an effect or was answered, as of its arrival.

    One that is refused as temporary is none unless the runtime is in its branch for it: it comes again.
    """

    def __init__(self, **wiring: Any) -> None:
        super().__init__(**wiring)
        records = Path(json.loads(os.environ[SETTINGS])["records"])
        self._recorder = Recorder(records, node=os.environ["IVR_ASTERISK_NODE"])

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("external_stop", super().external_stop, runtime_id, stop_id)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("terminate", super().terminate, runtime_id, stop_id)

    async def _told(self, verb: str, act: Callable[..., Awaitable[Ack]], runtime_id: str, stop_id: str) -> Ack:
        row = self._row(runtime_id)
        told = {"at": time.time(), "runtime": runtime_id, "stop_id": stop_id, "verb": verb, **_before(row)}
        try:
            ack = await act(runtime_id, stop_id=stop_id)
        except UnknownRuntimeError:
            self._recorder.note("told", **{**told, "before": Before.UNKNOWN, "branch": False, "ended": False})
            raise
        except AwayError:
            now = self._row(runtime_id)
            if now and (now.state, now.stop_id) == (State.POST_PROCESSING, stop_id):
                self._recorder.note("told", **told, ended=False)
            raise
        self._recorder.note("told", **told, ended=ack.state is State.ENDED)
        return ack

    def _row(self, runtime_id: str) -> FullState | None:
        return next((row for row in self._mirror.snapshot().runtimes if row.id == runtime_id), None)


def _before(row: FullState | None) -> dict[str, Any]:
    """Return what a runtime did when a command came, and whether its script has a branch."""
    if row is None:
        return {"before": Before.UNKNOWN, "branch": False}
    if row.state is State.POST_PROCESSING:
        return {"before": Before.BRANCH, "branch": True}
    return {"before": Before.STOPPING if row.stop_id else Before.RUNNING, "branch": row.code in WITH_BRANCH}


def main() -> int:
    """Run the bridge with our part in the place of its own."""
    with mock.patch.object(program, "Bridge", RecordedBridge):
        return program.main([])


if __name__ == "__main__":
    sys.exit(main())
