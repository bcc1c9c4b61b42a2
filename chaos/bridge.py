"""`python -m chaos.bridge`: a real bridge with a witness of its commands inside.

Owns the composition only. Started by the stack in the place of an engine; the settings tell which bridge it is.
"""

import os
import sys
from typing import Final
from unittest import mock

from chaos import sabotage
from chaos.witness import Witness
from ivr_asterisk import __main__ as asterisk
from ivr_engine import program
from ivr_engine.life import Joined, Life
from ivr_engine.model import Commands
from ivr_freeswitch import __main__ as freeswitch

BRIDGES: Final = {"IVR_ASTERISK_NODE": asterisk.main, "IVR_FREESWITCH_NODE": freeswitch.main}
"""The bridges by the setting that names the node."""


class Witnessed(Joined):
    """What the server asks of the bridge, with a witness."""

    def __init__(self, life: Life, stops: Commands) -> None:
        super().__init__(life, stops)
        witness = Witness(os.environ[_setting()], life.mirror.snapshot)
        self.external_stop = witness.watched("external_stop", stops.external_stop)
        self.terminate = witness.watched("terminate", stops.terminate)


def main() -> int:
    """Run the bridge with our part in the place of its own."""
    sabotage.bridge()
    with mock.patch.object(program, "Joined", Witnessed):
        return BRIDGES[_setting()]([])


def _setting() -> str:
    return next(name for name in BRIDGES if name in os.environ)


if __name__ == "__main__":
    sys.exit(main())
