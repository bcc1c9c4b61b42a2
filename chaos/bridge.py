"""`python -m chaos.bridge`: the real bridge to Asterisk with a witness of its commands inside.

Owns the composition only. Started by the stack in the place of an engine.
"""

import os
import sys
from typing import Any
from unittest import mock

from chaos import sabotage
from chaos.witness import Witness
from ivr_asterisk import __main__ as program
from ivr_asterisk.bridge import Bridge
from ivr_engine.model import Ack


class WitnessedBridge(Bridge):
    """The bridge with a witness."""

    def __init__(self, **wiring: Any) -> None:
        super().__init__(**wiring)
        witness = Witness(os.environ["IVR_ASTERISK_NODE"], self._mirror.snapshot)
        self._external_stop = witness.watched("external_stop", super().external_stop)
        self._terminate = witness.watched("terminate", super().terminate)

    async def external_stop(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._external_stop(runtime_id, stop_id=stop_id)

    async def terminate(self, runtime_id: str, *, stop_id: str) -> Ack:
        """Carry out and write down."""
        return await self._terminate(runtime_id, stop_id=stop_id)


def main() -> int:
    """Run the bridge with our part in the place of its own."""
    sabotage.bridge()
    with mock.patch.object(program, "Bridge", WitnessedBridge):
        return program.main([])


if __name__ == "__main__":
    sys.exit(main())
