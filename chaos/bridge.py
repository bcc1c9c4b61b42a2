"""`python -m chaos.bridge`: the real bridge to Asterisk with the recorder of commands inside.

Owns the composition only. What runs and ends is written down by the Asterisk itself (`pbx`); here, which command
came, and what its runtime did then. Started by the stack in the place of an engine.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from unittest import mock

from chaos.engine import SETTINGS
from chaos.history import Before
from chaos.recorder import Recorder
from ivr_asterisk import __main__ as program
from ivr_asterisk.bridge import Bridge
from ivr_engine.model import Ack, State, UnknownRuntimeError

WITH_BRANCH: Final = frozenset({"survey", "endless", "goodbye"})
"""Codes for which chaos/extensions.conf has an External Stop branch."""


class RecordedBridge(Bridge):
    """The bridge, and a note of every command that was answered.

    One that is refused as temporary is none: it comes again, and what it may have done is seen then.
    """

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("external_stop", super().external_stop, runtime_id, stop_id)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._told("terminate", super().terminate, runtime_id, stop_id)

    async def _told(self, verb: str, act: Callable[..., Awaitable[Ack]], runtime_id: str, stop_id: str) -> Ack:
        before, branch = self._before(runtime_id)
        try:
            ack = await act(runtime_id, stop_id=stop_id)
        except UnknownRuntimeError:
            self._note(runtime_id, stop_id, verb, before=Before.UNKNOWN, branch=False, ended=False)
            raise
        self._note(runtime_id, stop_id, verb, before=before, branch=branch, ended=ack.state is State.ENDED)
        return ack

    def _note(self, runtime_id: str, stop_id: str, verb: str, *, before: Before, branch: bool, ended: bool) -> None:
        recorder = Recorder(_records(), node=os.environ["IVR_ASTERISK_NODE"])
        recorder.note("told", runtime=runtime_id, stop_id=stop_id, verb=verb, before=before, branch=branch, ended=ended)

    def _before(self, runtime_id: str) -> tuple[Before, bool]:
        row = next((row for row in self._mirror.snapshot().runtimes if row.id == runtime_id), None)
        if row is None:
            return Before.UNKNOWN, False
        if row.state is State.POST_PROCESSING:
            return Before.BRANCH, True
        return (Before.STOPPING if row.stop_id else Before.RUNNING), row.code in WITH_BRANCH


def _records() -> Path:
    return Path(json.loads(os.environ[SETTINGS])["records"])


def main() -> int:
    """Run the bridge with our part in the place of its own."""
    with mock.patch.object(program, "Bridge", RecordedBridge):
        return program.main([])


if __name__ == "__main__":
    sys.exit(main())
