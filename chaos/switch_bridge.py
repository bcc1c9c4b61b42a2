"""`python -m chaos.switch_bridge`: the real bridge to FreeSWITCH with a witness of its commands inside.

Owns the composition only, as `bridge` does for Asterisk. Started by the stack in the place of an engine.
"""

import os
import sys
from unittest import mock

from chaos import sabotage
from chaos.witness import Witness
from ivr_engine import program
from ivr_engine.life import Joined, Life
from ivr_engine.stopping import Stops
from ivr_freeswitch import __main__ as bridge


class Witnessed(Joined):
    """What the server asks of the bridge, with a witness."""

    def __init__(self, life: Life, stops: Stops) -> None:
        super().__init__(life, stops)
        witness = Witness(os.environ["IVR_FREESWITCH_NODE"], life.mirror.snapshot)
        self.external_stop = witness.watched("external_stop", stops.external_stop)
        self.terminate = witness.watched("terminate", stops.terminate)


def main() -> int:
    """Run the bridge with our part in the place of its own."""
    sabotage.bridge()
    with mock.patch.object(program, "Joined", Witnessed):
        return bridge.main([])


if __name__ == "__main__":
    sys.exit(main())
